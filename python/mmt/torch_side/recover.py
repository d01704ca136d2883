"""Recovering how a module was constructed, so that an operator space can name its class and parameters."""

from __future__ import annotations

import importlib.machinery
import inspect
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mmt.space.imports import local_names
from mmt.torch_side.fingerprint import Fingerprints, InputSpec

__all__ = ["can_be_named", "recover_parameters"]

_IGNORED = {"device", "dtype"}
_PLAIN = (bool, int, float, str, type(None))
_MOST_SEARCHED = 256  # constructions that a search may cost


def recover_parameters(module: nn.Module, inputs: Sequence[InputSpec], fingerprint: str) -> dict[str, Any] | None:
    """Constructor parameters that build an operator with the same fingerprint; None where none were found.

    They are read from attributes of the same names. Parameters that the class does not store are looked for among the
    numbers that occur in the module. What is returned was tried: building with it gives the same operator.
    """
    cls = type(module)
    known = _constructor(cls)
    if known is None:
        return None
    read: dict[str, Any] = {}
    unknown: list[str] = []
    for name, default in known.items():
        found, value = _attribute(module, name, default)
        if found:
            read[name] = value
        elif default is inspect.Parameter.empty:
            unknown.append(name)
    needed = {name: value for name, value in read.items()
              if known[name] is inspect.Parameter.empty or not _equal(value, known[name])}
    optional = [name for name in known if name not in read and name not in unknown]
    for parameters in _candidates(module, known, needed, unknown, optional):
        if _builds(cls, parameters, inputs, fingerprint):
            ordered = {name: parameters[name] for name in known if name in parameters}
            return _shortened(cls, known, ordered, inputs, fingerprint)
    return None


def _constructor(cls: type) -> dict[str, Any] | None:
    """Names and defaults of the keyword parameters of a constructor; None where it cannot be called by keywords."""
    known: dict[str, Any] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        if base is nn.Module:
            return known
        open_ended = False
        try:
            parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
        except (TypeError, ValueError):
            return None
        for parameter in parameters:
            if parameter.kind is parameter.POSITIONAL_ONLY:
                return None
            if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                open_ended = open_ended or parameter.kind is parameter.VAR_KEYWORD
                if parameter.kind is parameter.VAR_POSITIONAL and not cls.__module__.startswith("torch.nn."):
                    return None
            elif parameter.name not in _IGNORED and not (base is not cls and parameter.name == "mode"):
                known.setdefault(parameter.name, parameter.default)
        if not open_ended:
            return known
    return known


def _attribute(module: nn.Module, name: str, default: Any) -> tuple[bool, Any]:
    """(found, value) of what a constructor parameter became."""
    missing = object()
    value = getattr(module, name, missing)
    if value is missing:
        return False, None
    if isinstance(value, torch.Tensor):  # such as bias=True, which becomes the bias
        return isinstance(default, bool), True
    if value is None and isinstance(default, bool):
        return True, False
    if isinstance(value, (tuple, list)):
        value = list(value)
        return all(type(item) in _PLAIN for item in value), value
    return type(value) in _PLAIN, value


def _equal(value: Any, default: Any) -> bool:
    if isinstance(default, (tuple, list)):
        return isinstance(value, list) and value == list(default)
    return type(value) is type(default) and value == default


def _candidates(module: nn.Module, known: dict[str, Any], needed: dict[str, Any], unknown: list[str],
                optional: list[str]) -> Iterator[dict[str, Any]]:
    """Parameter sets worth trying, most likely first: with what is stored, then with numbers found in the module."""
    if not unknown:
        yield needed
    names = unknown + [name for name in optional if type(known[name]) in (bool, int)]
    if not names or len(names) > 6:
        return
    numbers = _numbers(module)
    choices: list[list[Any]] = []
    for name in names:
        default = known[name]
        if type(default) is bool:
            choices.append([default, not default])
        else:
            values = [] if default is inspect.Parameter.empty else [default]
            choices.append([*values, *(number for number in numbers if number not in values)])
    for values in itertools.islice(_by_distance(choices), _MOST_SEARCHED):
        yield {**needed, **{name: value for name, value in zip(names, values, strict=True)
                            if name in unknown or not _equal(value, known[name])}}


def _by_distance(choices: list[list[Any]]) -> Iterator[tuple[Any, ...]]:
    """All combinations, those near the front of each list first."""
    for total in range(sum(len(values) - 1 for values in choices) + 1):
        for places in _places(choices, total):
            yield tuple(values[place] for values, place in zip(choices, places, strict=True))


def _places(choices: list[list[Any]], total: int) -> Iterator[tuple[int, ...]]:
    if not choices:
        if total == 0:
            yield ()
        return
    for place in range(min(total, len(choices[0]) - 1) + 1):
        for rest in _places(choices[1:], total - place):
            yield (place, *rest)


def _numbers(module: nn.Module) -> list[int]:
    """Whole numbers in the configuration of a module's parts (channels, strides, …), in order of first appearance."""
    numbers: dict[int, None] = {}
    for part in module.modules():
        for name, value in vars(part).items():
            if name.startswith("_") or name in ("training", "padding_mode"):
                continue
            for item in value if isinstance(value, (tuple, list)) else [value]:
                if type(item) is int and item > 0:
                    numbers.setdefault(item)
    return list(numbers)


def _builds(cls: type, parameters: dict[str, Any], inputs: Sequence[InputSpec], fingerprint: str) -> bool:
    try:
        with torch.device("meta"):
            built = cls(**parameters)
    except Exception:  # whatever a constructor raises, these parameters are not the ones
        return False
    return Fingerprints().fingerprint(built, inputs) == fingerprint


def _shortened(cls: type, known: dict[str, Any], parameters: dict[str, Any], inputs: Sequence[InputSpec],
               fingerprint: str) -> dict[str, Any]:
    """Leaves out what the defaults say as well, and writes [3, 3] as 3, where that is the same operator."""
    for name, value in list(parameters.items()):
        tries = []
        if known[name] is not inspect.Parameter.empty:
            tries.append({key: item for key, item in parameters.items() if key != name})
        if isinstance(value, list) and len(value) > 1 and len(set(map(str, value))) == 1:
            tries.append({**parameters, name: value[0]})
        parameters = next((shorter for shorter in tries if _builds(cls, shorter, inputs, fingerprint)), parameters)
    return parameters


def can_be_named(cls: type, folder: Path) -> bool:
    """Whether a space in `folder` can refer to a class: its module lies there, or Python finds it anywhere."""
    module = cls.__module__
    if module == "__main__" or "<" in cls.__qualname__:
        return False
    top = module.partition(".")[0]
    if top in local_names(folder):
        file = inspect.getsourcefile(cls)
        return file is not None and Path(file).resolve().is_relative_to(folder.resolve())
    if top in sys.builtin_module_names or top in sys.stdlib_module_names:
        return True
    spec = importlib.machinery.PathFinder.find_spec(top, sys.path)
    return spec is not None
