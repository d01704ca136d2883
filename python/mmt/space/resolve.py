"""From the text of a space to Python's classes: modules, classes and parameter names are checked here."""

from __future__ import annotations

import difflib
import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmt._core import space as core
from mmt.errors import MmtError, mmt_error
from mmt.space.imports import beside, import_module, local_names

__all__ = ["LIMIT", "ResolvedOperator", "ResolvedSpace", "check_size", "constructor_parameters", "resolve"]

#: A space of more operators asks for confirmation first.
LIMIT = 100_000


@dataclass(frozen=True)
class ResolvedOperator:
    """One operator of a space: a class that exists and keywords that its constructor knows. Nothing is built yet.

    `cls` is None for a captured instance (`captured_id`). `input_ranges`: [low, high) per input, empty where the space
    gives none. `occurs`: how often a model holds it, 0 where unknown. `place`: "ops.yaml:3:5" or what was called.
    """

    cls: type | None
    module: str
    class_name: str
    parameters: dict[str, Any]
    input_shapes: list[list[int]]
    input_dtypes: list[str]
    input_ranges: list[tuple[float, float]]
    occurs: int
    captured_id: str
    place: str
    search_path: list[str]

    def build(self) -> Any:
        """Instantiates the class; its module finds its neighbours while the constructor runs."""
        if self.cls is None:
            raise mmt_error("unsupported", f"{self.place}: '{self.captured_id}' is a captured instance, not a class")
        with beside(Path(self.search_path[0]) if self.search_path else None):
            return self.cls(**self.parameters)


@dataclass(frozen=True)
class ResolvedSpace:
    """A space whose modules, classes and parameter names exist. `classes`: one per entry, None for captured ones."""

    space: core.Space
    classes: list[type | None]
    folder: Path | None

    def count(self) -> int:
        """Number of operators."""
        return self.space.count()

    def operators(self, yes: bool = False) -> Iterator[ResolvedOperator]:
        """The operators one by one, in the order of the file. Raises MmtError for more than LIMIT without `yes`."""
        check_size(self.space, yes)
        return self._operators()

    def _operators(self) -> Iterator[ResolvedOperator]:
        names = [_class_name(cls) if cls else "captured" for cls in self.classes]
        search_path = [str(self.folder)] if self.folder else []
        source = self.space.source
        for spec in self.space:
            place = f"{source}:{spec.place.line}:{spec.place.column}" if spec.place.line else source
            yield ResolvedOperator(
                cls=self.classes[spec.entry], module=spec.module, class_name=names[spec.entry],
                parameters=json.loads(spec.parameters_json), input_shapes=spec.input_shapes,
                input_dtypes=spec.input_dtypes, input_ranges=spec.input_ranges, occurs=spec.occurs,
                captured_id=spec.captured_id, place=place, search_path=search_path)


def check_size(space: core.Space, yes: bool = False) -> None:
    """Raises MmtError with the count where a space is larger than LIMIT and nobody said yes."""
    count = space.count()
    if count <= LIMIT or yes:
        return
    words = f"{count:,}" if count < 2**64 - 1 else f"at least {count:,}"
    raise mmt_error("invalid_argument", f"{space.source}: the space holds {words} operators, more than {LIMIT:,}; "
                    "narrow its lists, or confirm with --yes (from Python: yes=True)")


def resolve(space: core.Space, folder: str | Path | None = None, cls: type | None = None) -> ResolvedSpace:
    """Finds the classes of a space and checks the parameter names against their constructors.

    `folder`: where modules are looked for first; by default the folder of the space's file. `cls`: the class itself,
    for a keyword space. Raises MmtError that names file, line, column, key and what would be right.
    """
    if folder is None and cls is None:
        folder = Path(space.source).resolve().parent
    folder = Path(folder).resolve() if folder is not None else None
    classes: list[type | None] = []
    for entry in space.entries:
        if entry.captured:
            classes.append(None)
            continue
        found = cls if cls is not None else _find_class(space, entry, folder)
        _check_module_class(space, entry, found)
        _check_parameters(space, entry, found)
        classes.append(found)
    return ResolvedSpace(space, classes, folder)


def _class_name(cls: type) -> str:
    from mmt.torch_side.canonical import class_name

    return class_name(cls)


def _error(space: core.Space, place: core.SourcePlace, key: str, owner: str, what: str,
           code: str = "parse") -> MmtError:
    return mmt_error(code, core.space_message(space.source, place, key, owner, what))


def _suggest(word: str, candidates: list[str]) -> str:
    """", did you mean 'Conv2d'?", or ""."""
    nearest = core.did_you_mean(word, candidates) or next(iter(difflib.get_close_matches(word, candidates, 1)), "")
    return f", did you mean '{nearest}'?" if nearest else ""


def _find_class(space: core.Space, entry: core.SpaceEntry, folder: Path | None) -> type:
    module = _find_module(space, entry, folder)
    found: Any = module
    for name in entry.class_name.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise _error(space, entry.class_place, entry.class_name, entry.module,
                         f"no such class{_suggest(entry.class_name, _class_candidates(module))}"
                         f"{_defined_in(module)}") from None
    return found


def _defined_in(module: Any) -> str:
    file = getattr(module, "__file__", None)
    return f" (looked in {file})" if file else ""


def _class_candidates(module: Any) -> list[str]:
    return [name for name, value in vars(module).items() if isinstance(value, type) and not name.startswith("_")]


def _find_module(space: core.Space, entry: core.SpaceEntry, folder: Path | None) -> Any:
    try:
        return import_module(entry.module, folder)
    except ModuleNotFoundError as missing:
        absent = missing.name or ""
        if entry.module != absent and not entry.module.startswith(f"{absent}."):
            raise _error(space, entry.module_place, entry.module, "", f"importing it fails, {missing}; install or "
                         f"write '{absent}'", "not_found") from missing
        what = "no such module" + (f", neither importable nor in {folder}" if folder else "")
        if "is not a package" in str(missing):
            what += f"; '{absent.rpartition('.')[0]}' is a module, not a package"
        else:
            what += _suggest(entry.module, _module_candidates(entry.module, folder))
        raise _error(space, entry.module_place, entry.module, "", what, "not_found") from missing
    except MmtError:
        raise
    except (Exception, SystemExit) as broken:
        raise _error(space, entry.module_place, entry.module, "", f"importing it fails, {type(broken).__name__}: "
                     f"{' '.join(str(broken).split())}; mend the module") from broken


def _module_candidates(name: str, folder: Path | None) -> list[str]:
    """Names near which a misspelt module may lie: files in the folder, and modules of its package."""
    candidates = local_names(folder) if folder else []
    parent, _, _ = name.rpartition(".")
    if parent:
        try:
            package = importlib.import_module(parent)
            candidates += [f"{parent}.{info.name}" for info in pkgutil.iter_modules(getattr(package, "__path__", []))]
        except Exception:  # Then the parent is the misspelt part: the list of top-level modules answers.
            candidates += [f"{top.name}.{name.partition('.')[2]}" for top in pkgutil.iter_modules()]
    else:
        candidates += [top.name for top in pkgutil.iter_modules()]
    return candidates


def _check_module_class(space: core.Space, entry: core.SpaceEntry, found: Any) -> None:
    import torch

    if isinstance(found, type) and issubclass(found, torch.nn.Module):
        return
    what = f"a class, {found.__name__}, but no torch.nn.Module" if isinstance(found, type) else \
        f"a {type(found).__name__}, not a class"
    raise _error(space, entry.class_place, entry.class_name, entry.module,
                 f"this is {what}; name a subclass of torch.nn.Module (a function: wrap it in one)")


def constructor_parameters(cls: type) -> tuple[dict[str, inspect.Parameter], bool]:
    """Keyword parameters of a constructor, and whether it takes others as well (**kwargs)."""
    try:
        parameters = inspect.signature(cls).parameters
    except (TypeError, ValueError):  # Without a readable signature, the constructor itself has to refuse.
        return {}, True
    named = {name: parameter for name, parameter in parameters.items()
             if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)}
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    if open_ended and cls.__module__.startswith("torch.nn."):  # These hand their keywords to their base's constructor.
        for base in cls.__mro__[1:]:
            if "__init__" not in vars(base) or not base.__module__.startswith("torch.nn.") or base.__name__ == "Module":
                continue
            above, open_ended = constructor_parameters(base)
            return {**above, **named} | {name: parameter.replace(default=None) for name, parameter in above.items()}, \
                open_ended
    return named, open_ended


def _check_parameters(space: core.Space, entry: core.SpaceEntry, cls: type) -> None:
    known, open_ended = constructor_parameters(cls)
    owner = f"{entry.module}.{entry.class_name}"
    for parameter in entry.parameters:
        if parameter.name not in known and not open_ended:
            suggestion = _suggest(parameter.name, [*known, *core.reserved_keys()])
            raise _error(space, parameter.place, parameter.name, owner, f"unknown parameter{suggestion or ';'} "
                         f"the constructor takes {', '.join(known) or 'nothing'}")
    given = {parameter.name for parameter in entry.parameters}
    needed = [name for name, parameter in known.items() if parameter.default is parameter.empty and name not in given]
    if needed:
        missing = ", ".join(f"'{name}'" for name in needed)
        raise _error(space, entry.class_place, entry.class_name, entry.module,
                     f"the constructor needs {missing}; add {'it' if len(needed) == 1 else 'them'} below the class, "
                     f"for example '{needed[0]}: [64]'")
