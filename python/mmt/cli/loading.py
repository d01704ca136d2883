"""Finding what a command line names: `models.py:resnet18`, `package.module:Class`."""

from __future__ import annotations

import inspect
import traceback
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mmt._core import space as core
from mmt.errors import MmtError, mmt_error
from mmt.space import imports
from mmt.space.imports import UnusableName, beside, import_file, import_module, locate

if TYPE_CHECKING:
    import torch

_OWN_FILES = {Path(__file__).resolve(), Path(imports.__file__).resolve()}

__all__ = ["load_model", "load_module", "load_object"]


def load_model(reference: str) -> torch.nn.Module:
    """The model that `reference` names, in evaluation mode.

    `reference`: a file or an importable module, a colon, and a name in it: a model, a class of models, or a function
    that returns one; classes and functions are called without arguments. Raises MmtError that says what is missing.
    """
    import torch

    found = load_object(reference)
    if isinstance(found, torch.nn.Module):
        return found.eval()
    if not callable(found):
        raise mmt_error("invalid_argument", f"{reference}: it is a {type(found).__name__}, not a model, a class "
                        "of models or a function that returns one")
    if isinstance(found, type) and not issubclass(found, torch.nn.Module):
        raise mmt_error("invalid_argument", f"{reference}: the class {found.__name__} is no torch.nn.Module")
    _check_call(reference, found)
    model = _call(reference, found)
    if not isinstance(model, torch.nn.Module):
        raise mmt_error("invalid_argument", f"{reference}: it returns a {type(model).__name__}, not a torch.nn.Module")
    return model.eval()


def load_object(reference: str) -> Any:
    """What `reference` ("file.py:name" or "package.module:name") names. Raises MmtError."""
    where, colon, name = reference.rpartition(":")
    if not colon or not where or not name:
        raise mmt_error("invalid_argument", f"'{reference}' names no model; write file and name with a colon between, "
                        f"such as {reference.strip(':') or 'models.py'}:resnet18")
    module = load_module(where)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            names = [known for known, value in vars(found).items() if callable(value) and not known.startswith("_")] \
                if hasattr(found, "__dict__") else []
            nearest = core.did_you_mean(part, names)
            own = [known for known in names if getattr(getattr(found, known), "__module__", "") == module.__name__]
            cure = f"did you mean '{nearest}'?" if nearest else f"it has {', '.join(own[:20]) or 'nothing to call'}"
            raise mmt_error("not_found", f"{where}: there is no '{part}'; {cure}")
        found = getattr(found, part)
    return found


def load_module(where: str) -> ModuleType:
    """The module of a file ("nets/models.py") or of an importable name ("package.module"). Raises MmtError."""
    is_file = where.endswith(".py") or "/" in where
    if is_file and not Path(where).is_file():
        near = sorted(path.name for path in Path(where).parent.glob("*.py"))
        nearest = core.did_you_mean(Path(where).name, near)
        cure = f"did you mean {Path(where).with_name(nearest)}?" if nearest else "give the path of a Python file"
        raise mmt_error("not_found", f"{where}: there is no such file; {cure}")
    try:
        return import_file(Path(where)) if is_file else import_module(where, Path.cwd())
    except MmtError:
        raise
    except ModuleNotFoundError as missing:
        if not is_file and (missing.name == where or where.startswith(f"{missing.name}.")):
            raise mmt_error("not_found", f"there is no module '{missing.name}'; a file is named with its ending, such "
                            f"as {where.replace('.', '/')}.py") from missing
        raise mmt_error("not_found", f"{where}: importing it fails, {missing}; install '{missing.name}' or run the "
                        "command where it can be found") from missing
    except UnusableName as name:
        raise mmt_error("invalid_argument", f"{where}: {name}; rename the file") from name
    except (Exception, SystemExit) as broken:
        raise mmt_error("invalid_argument", f"{where}: importing it fails{_in_words(broken)}") from broken


def _check_call(reference: str, found: Any) -> None:
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return  # No readable signature: calling it shows.
    needed = [parameter.name for parameter in parameters if parameter.default is parameter.empty
              and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)]
    if needed:
        raise mmt_error("invalid_argument", f"{reference}: it needs {', '.join(needed)}; write a function without "
                        "parameters that returns the model, and name that")


def _call(reference: str, found: Any) -> Any:
    where = reference.rpartition(":")[0]
    folder = locate(Path(where))[1] if where.endswith(".py") else Path.cwd()
    try:
        with beside(folder):
            return found()
    except (Exception, SystemExit) as broken:
        raise mmt_error("invalid_argument", f"{reference}: calling it fails{_in_words(broken)}") from broken


def _in_words(error: BaseException) -> str:
    """" at models.py:12, ValueError: …": the innermost line that is not in a library, and what it says."""
    place = ""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        library = "site-packages" in frame.filename or "importlib" in frame.filename or frame.filename.startswith("<")
        if not library and Path(frame.filename).resolve() not in _OWN_FILES:
            place = f" at {Path(frame.filename).name}:{frame.lineno}"
            break
    text = " ".join(str(error).split())
    return f"{place}, {type(error).__name__}{': ' + text if text else ''}"
