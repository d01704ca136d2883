"""Importing modules that lie beside a file, without leaving their folder on `sys.path`.

A module beside an operator space is registered under its real name, so that pickles, `inspect.getsource` and plain
imports of the same name find it. Two folders may hold different modules of one name: each folder keeps its own, and
the one that was used last is the one in `sys.modules`.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

__all__ = ["UnusableName", "beside", "import_file", "import_module", "local_names", "locate"]

_lock = threading.RLock()
_loaded: dict[Path, dict[str, ModuleType]] = {}  # folder -> modules of that folder by their names

# Names that are never looked for beside a file: a stray folder of that name must not replace the library.
_FIXED = frozenset(sys.stdlib_module_names) | {"torch", "numpy", "mmt"}


class UnusableName(Exception):
    """A file that cannot be imported because of its name."""


def local_names(folder: Path) -> list[str]:
    """Top-level modules and packages that lie in `folder`, sorted."""
    names = set()
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.suffix == ".py" and "." not in entry.stem:
            names.add(entry.stem)
        elif entry.name.isidentifier() and entry.is_dir() and any(entry.glob("*.py")):
            names.add(entry.name)
    return sorted(names - _FIXED)


def locate(file: Path) -> tuple[str, Path]:
    """Import name and search folder of a `.py` file: the packages around it (with `__init__.py`) belong to the name."""
    file = file.resolve()
    parts = [] if file.name == "__init__.py" else [file.stem]
    folder = file.parent
    while (folder / "__init__.py").exists():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts), folder


def import_module(name: str, folder: Path | None = None) -> ModuleType:
    """Imports `name`; where its top-level part lies in `folder`, that one wins. Raises whatever the import raises."""
    top = name.partition(".")[0]
    if folder is None or not _lies_in(top, folder):
        return importlib.import_module(name)
    with _lock:
        importlib.invalidate_caches()  # The file may be younger than the last look into the folder.
        with beside(folder):
            _remove_foreign(top, folder.resolve())
            return importlib.import_module(name)


def import_file(file: Path) -> ModuleType:
    """Imports a `.py` file under the name that it has for Python; its neighbours are found.

    Raises UnusableName where the file's name cannot be one of a module, and whatever the import raises.
    """
    name, folder = locate(file)
    top = name.partition(".")[0]
    if top in _FIXED or "." in file.stem:
        raise UnusableName(f"a module cannot be called '{file.stem}'" if "." in file.stem else
                           f"'{top}' is the name of a library")
    with _lock:
        importlib.invalidate_caches()
        with beside(folder):
            _remove_foreign(top, folder)
            return importlib.import_module(name)


@contextmanager
def beside(folder: Path | None) -> Iterator[None]:
    """Within, imports look into `folder` first and find the modules loaded from there before. None: nothing changes."""
    if folder is None:
        yield
        return
    folder = folder.resolve()
    with _lock:
        _swap_in(folder)
        sys.path.insert(0, str(folder))
        try:
            yield
        finally:
            sys.path.remove(str(folder))
            _remember(folder)


def _lies_in(top: str, folder: Path) -> bool:
    if top in _FIXED or not top.isidentifier():
        return False
    package = folder / top
    return (folder / f"{top}.py").is_file() or (package.is_dir() and any(package.glob("*.py")))


def _belongs(name: str, module: ModuleType, folder: Path) -> bool:
    """Whether `module` is what importing `name` with `folder` on the search path gives."""
    base = folder.joinpath(*name.split("."))
    file = getattr(module, "__file__", None)
    if file:
        return Path(file).resolve() in (base.with_suffix(".py"), base / "__init__.py")
    return any(Path(entry).resolve() == base for entry in getattr(module, "__path__", ()))


def _swap_in(folder: Path) -> None:
    mine = _loaded.get(folder, {})
    for other, modules in _loaded.items():
        if other == folder:
            continue
        for name, module in modules.items():
            if sys.modules.get(name) is module and (name in mine or _lies_in(name.partition(".")[0], folder)):
                del sys.modules[name]
    sys.modules.update(mine)


def _remove_foreign(top: str, folder: Path) -> None:
    """Makes room for this folder's `top` where a module of that name came from elsewhere."""
    present = sys.modules.get(top)
    if present is None or _belongs(top, present, folder):
        return
    for name in [name for name in sys.modules if name == top or name.startswith(f"{top}.")]:
        del sys.modules[name]


def _remember(folder: Path) -> None:
    names = set(local_names(folder))
    found = {name: module for name, module in list(sys.modules.items())
             if name.partition(".")[0] in names and isinstance(module, ModuleType) and _belongs(name, module, folder)}
    _loaded.setdefault(folder, {}).update(found)
