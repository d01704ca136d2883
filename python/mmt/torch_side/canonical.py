"""Canonical text of configuration values, functions and classes: the raw material of fingerprints.

The text depends on what a thing *is* (names, values, source), never on where it lies in memory, which process made
it, how it prints itself or the order in which unrelated attributes were set. Tensors count by shape and type only.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import functools
import hashlib
import inspect
import linecache
import os
import sys
import textwrap
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

# Libraries whose functions and classes are known by name: their source is as fixed as their version.
LIBRARIES = frozenset(sys.stdlib_module_names) | {"torch", "numpy"}
_HEAP_TYPE = 1 << 9  # Python's flag of classes that were made by a class statement

# Class members that do not take part in a forward pass.
_IRRELEVANT = frozenset({
    "__init__", "__repr__", "__str__", "extra_repr", "__module__", "__qualname__", "__doc__", "__dict__",
    "__weakref__", "__annotations__", "__parameters__", "__orig_bases__", "__constants__", "__firstlineno__",
    "__static_attributes__", "__abstractmethods__", "_abc_impl", "__setstate__", "__getstate__",
})

ATOMS = frozenset({bool, int, float, complex, str, bytes, type(None), type(Ellipsis), range, slice})
_VALUES = ATOMS | {tuple, list, dict, functools.partial}

Definition = type | types.FunctionType
ModuleText = Callable[[torch.nn.Module], str]


def is_library(thing: Any) -> bool:
    """Whether a class, function or module belongs to Python or to a library that is identified by name alone."""
    if isinstance(thing, types.ModuleType):
        name = thing.__name__
    else:
        name = getattr(thing, "__module__", None) or "builtins"
    root = name.partition(".")[0]
    if root == "builtins":  # also what code made by exec() without a module name says
        made = isinstance(thing, types.FunctionType) or (isinstance(thing, type) and thing.__flags__ & _HEAP_TYPE)
        return not made
    return root in LIBRARIES and root != "__main__"


def module_name_of(thing: Any) -> str:
    """Name of the module that defines `thing`; a script that is run directly counts under its file's name."""
    name = getattr(thing, "__module__", None) or ""
    if name in ("__main__", "__mp_main__"):
        file = getattr(sys.modules.get(name), "__file__", None)
        if file:
            return Path(file).stem
    return name


def class_name(cls: type) -> str:
    """Qualified name of a class, with the public name for the classes of `torch.nn`."""
    name = cls.__qualname__
    if cls.__module__.startswith("torch.nn.") and getattr(torch.nn, name, None) is cls:
        return f"torch.nn.{name}"
    return f"{module_name_of(cls)}.{name}"


class Canonical:
    """Turns values into text. One object serves one walk.

    `module_text` gives the text of torch modules held in values. With `references`, the user's own functions and
    classes are written by name and source only and put into that list, for the caller to follow; without, they are
    written with everything that they use.
    """

    def __init__(self, module_text: ModuleText, references: list[Definition] | None = None) -> None:
        self._module_text = module_text
        self._references = references
        self._open: list[int] = []  # ids of the containers and objects that are being written, outermost first

    def value(self, value: Any) -> str:
        """Text of any value."""
        kind = type(value)
        if kind in ATOMS:
            return f"{kind.__name__}:{value!r}"
        if id(value) in self._open:
            return f"cycle:{len(self._open) - self._open.index(id(value))}"
        self._open.append(id(value))
        try:
            if kind is tuple or kind is list or kind is torch.Size:  # a YAML file knows no tuples: both are lists
                return f"list({self._join(value)})"
            return self._compound(value, kind)
        finally:
            self._open.pop()

    def _compound(self, value: Any, kind: type) -> str:
        if isinstance(value, torch.nn.Module):
            return f"nn:{self._module_text(value)}"
        if isinstance(value, torch.Tensor):
            return f"tensor:{tensor_text(value)}"
        if isinstance(value, torch.dtype):
            return f"dtype:{value}"
        if isinstance(value, (torch.device, torch.Generator, weakref.ReferenceType)):
            return kind.__name__  # where a thing lies is no part of what it is
        if isinstance(value, enum.Enum):
            return f"enum:{class_name(kind)}.{value.name}"
        if isinstance(value, types.ModuleType):
            return f"module:{value.__name__}"
        if isinstance(value, (type, types.FunctionType)):
            return f"definition:{self._definition(value)}"
        if callable(value):
            text = self._callable(value)
            if text is not None:
                return text
        if isinstance(value, (tuple, list)):
            return f"{class_name(kind)}({self._join(value)})"
        if isinstance(value, (set, frozenset)):
            return f"set({','.join(sorted(self.value(item) for item in value))})"
        if isinstance(value, (dict, types.MappingProxyType)):
            named = "" if kind is dict else class_name(kind)
            items = (f"{self.value(key)}={self.value(item)}" for key, item in value.items())
            return f"dict{named}({','.join(items)})"
        if kind.__module__.partition(".")[0] == "numpy" and hasattr(value, "tobytes"):
            digest = hashlib.sha256(value.tobytes()).hexdigest()
            return f"numpy:{value.dtype}{tuple(value.shape)}:{digest}"
        return self._object(value, kind)

    def _join(self, values: Iterable[Any]) -> str:
        return ",".join([self.value(value) for value in values])

    def _definition(self, thing: Definition) -> str:
        if self._references is None or _known_by_name(thing):
            return identity(thing)
        self._references.append(thing)
        return _shallow(thing)

    def _object(self, value: Any, kind: type) -> str:
        """An object of some class: its class and its state."""
        if dataclasses.is_dataclass(value):
            state: Any = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
        elif hasattr(value, "__dict__"):
            state = vars(value)
        else:
            try:
                reduced = value.__reduce_ex__(2)
            except Exception as refusal:  # a thing that cannot be taken apart is known by its class
                return f"object:{self._definition(kind)}:{type(refusal).__name__}"
            parts = reduced if isinstance(reduced, str) else self.value(reduced[1:3])
            return f"object:{self._definition(kind)}({parts})"
        items = ",".join([f"{name}={self.value(state[name])}" for name in sorted(state, key=str)])
        return f"object:{self._definition(kind)}({items})"

    def _callable(self, value: Any) -> str | None:
        """Text of a function-like value; None where it is an object that only happens to be callable."""
        if isinstance(value, functools.partial):
            keywords = tuple(sorted(value.keywords.items()))
            return f"partial({self.value(value.func)};{self._join(value.args)};{self.value(keywords)})"
        if isinstance(value, types.MethodType):
            return f"method({self.value(value.__self__)}.{self.value(value.__func__)})"
        if isinstance(value, (torch.jit.ScriptFunction, torch._C.ScriptMethod)):
            return f"script:{hashlib.sha256(value.code.encode()).hexdigest()}"
        if isinstance(value, (types.BuiltinFunctionType, types.WrapperDescriptorType, types.MethodDescriptorType)):
            return f"builtin:{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', value.__name__)}"
        if type(value).__module__.startswith("torch._ops"):
            return f"op:{value}"
        wrapped = getattr(value, "__wrapped__", None)
        return f"wrapped({self.value(wrapped)})" if callable(wrapped) else None


def identity(thing: Definition) -> str:
    """Identity of a class or function: its name, and a hash of all user code that it may run.

    Code of libraries counts by name. Of a class every method counts but those that only build or print.
    """
    if _known_by_name(thing):
        return _name(thing)
    known = _identities.get(thing)
    if known is not None and _hold(known[1]):
        return known[0]
    watches: list[Watch] = []
    root_text, pending = _described(thing, watches)
    seen = {id(thing)}
    kept: list[Definition] = []  # keeps the ids valid
    others = []
    while pending:
        reference = pending.pop()
        if id(reference) in seen:
            continue
        seen.add(id(reference))
        kept.append(reference)
        text, more = _described(reference, watches)
        others.append(text)
        pending += more
    whole = "\n".join([root_text, *sorted(others)])
    text = f"{_name(thing)}#{hashlib.sha256(whole.encode()).hexdigest()[:32]}"
    if isinstance(thing, type) or not thing.__closure__:  # what a closure holds may change
        _identities[thing] = (text, watches)
    return text


#: What has to stay as it is for an identity: in a namespace, a name, its value, and the text of what that holds (None:
#: nothing that could change); without a name, the number of names.
Watch = tuple[Mapping[str, Any], str | None, Any, str | None]


def _watch(space: Mapping[str, Any], name: str, value: Any) -> Watch:
    return space, name, value, _content(value)


def _hold(watches: list[Watch]) -> bool:
    for space, name, value, content in watches:
        if name is None:
            if len(space) != value:
                return False
        elif space.get(name, _identities) is not value or (content is not None and content != _content(value)):
            return False
    return True


def _content(value: Any) -> str | None:
    """What may change inside a value that stays the same object."""
    return Canonical(lambda module: class_name(type(module)), []).value(value) if type(value) in (list, dict) else None


_identities: weakref.WeakKeyDictionary[Definition, tuple[str, list[Watch]]] = weakref.WeakKeyDictionary()


def _name(thing: Definition) -> str:
    return class_name(thing) if isinstance(thing, type) else f"{module_name_of(thing)}.{thing.__qualname__}"


def _known_by_name(thing: Definition) -> bool:
    return is_library(thing) and (isinstance(thing, type) or not thing.__closure__)


def _shallow(thing: Definition) -> str:
    """Name and source of a class or function, without what it uses."""
    if isinstance(thing, type):
        sources = [_source(member) for _, member in _members(thing) if isinstance(member, types.FunctionType)]
    else:
        sources = [_source(thing)]
    return f"{_name(thing)}#{hashlib.sha256(chr(10).join(sources).encode()).hexdigest()[:32]}"


def _described(thing: Definition, watches: list[Watch]) -> tuple[str, list[Definition]]:
    """Text of a class or function, and the user's classes and functions that it refers to.

    `watches` gets what has to stay as it is for that.
    """
    references: list[Definition] = []
    canonical = Canonical(lambda module: class_name(type(module)), references)
    if isinstance(thing, type):
        parts = ["class " + " ".join(class_name(base) for base in thing.__mro__)]
        parts += [f"{name}={canonical.value(member)}" for name, member in _members(thing)]
        for base in thing.__mro__:
            if not is_library(base):
                watches.append((vars(base), None, len(vars(base)), None))
                watches += [_watch(vars(base), name, value) for name, value in vars(base).items()
                            if name not in _IRRELEVANT]
        return "\n".join(parts), references
    library = is_library(thing)
    parts = [_name(thing), "" if library else _source(thing),
             canonical.value(thing.__defaults__), canonical.value(thing.__kwdefaults__)]
    for variable, cell in zip(thing.__code__.co_freevars, thing.__closure__ or (), strict=True):
        if variable == "__class__":  # the cell of super(): the class is being described anyway
            continue
        try:
            parts.append(f"{variable}={canonical.value(cell.cell_contents)}")
        except ValueError:
            parts.append(f"{variable}=empty")
    if not library:
        for name, value in _globals(thing):
            parts.append(f"{name}={canonical.value(value)}")
            space, _, member = name.partition(".")
            watches.append(_watch(vars(thing.__globals__[space]), member, value) if member
                           else _watch(thing.__globals__, name, value))
    if hasattr(thing, "__wrapped__"):
        parts.append(f"wraps {canonical.value(thing.__wrapped__)}")
    return "\n".join(parts), references


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """Members of a class and its user-defined bases that a forward pass may use, by name."""
    for base in cls.__mro__:
        if is_library(base):
            continue
        for name in sorted(vars(base)):
            if name in _IRRELEVANT:
                continue
            member = vars(base)[name]
            if isinstance(member, (staticmethod, classmethod)):
                member = member.__func__
            elif isinstance(member, property):
                member = member.fget
            elif isinstance(member, functools.cached_property):
                member = member.func
            yield f"{base.__name__}.{name}", member


def _globals(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """What a function takes from its own module, and from user modules that it names there."""
    names = sorted(_names_in(function.__code__))
    known = function.__globals__
    for name in names:
        value = known.get(name)
        if isinstance(value, types.ModuleType) and not is_library(value):
            for member in names:
                if _is_definition(vars(value).get(member)):
                    yield f"{name}.{member}", vars(value)[member]
        elif _is_definition(value) or (name in known and type(value) in _VALUES):
            yield name, value


def _is_definition(value: Any) -> bool:
    return isinstance(value, (types.FunctionType, type)) and not is_library(value)


def _names_in(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names_in(constant)
    return names


def tensor_text(tensor: torch.Tensor) -> str:
    """`float32[64,3,7,7]`: type and shape, nothing else."""
    if torch.nn.parameter.is_lazy(tensor):
        return f"{str(tensor.dtype)[6:]}[uninitialized]"
    return f"{str(tensor.dtype)[6:]}[{','.join(map(str, tensor.shape))}]"


def _source(function: types.FunctionType) -> str:
    """Normalised source (no comments, docstrings, layout), or the byte code where there is no reliable source."""
    return _code_source(function.__code__, function.__name__)


@functools.lru_cache(maxsize=4096)
def _code_source(code: types.CodeType, name: str) -> str:
    if code.co_name != "<lambda>":  # several lambdas may share a line, and a line need not parse alone
        try:
            tree = ast.parse(textwrap.dedent(_text_of(code)))
        except (OSError, TypeError, SyntaxError, IndentationError):
            tree = None
        if tree is not None and len(tree.body) == 1 and getattr(tree.body[0], "name", None) == code.co_name:
            for node in ast.walk(tree):
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                    _drop_docstring(node)
            return f"source:{ast.unparse(tree)}"
    return f"code:{_code_text(code)}"


def _text_of(code: types.CodeType) -> str:
    """inspect.getsource of a function's code. That looks through all loaded modules to find the one that the code came
    from, which only matters where there is no file."""
    file = code.co_filename
    if not file.endswith(".py") or not os.path.isfile(file):
        return inspect.getsource(code)
    linecache.checkcache(file)
    lines = linecache.getlines(file)
    if code.co_firstlineno > len(lines):
        raise OSError("the file has fewer lines than the code says")
    return "".join(inspect.getblock(lines[code.co_firstlineno - 1 :]))


def _drop_docstring(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        node.body = node.body[1:] or [ast.Pass()]


def _code_text(code: types.CodeType) -> str:
    """What a code object does, without where it was written."""
    constants = []
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            constants.append(_code_text(constant))
        elif isinstance(constant, frozenset):
            constants.append(f"frozenset({sorted(map(repr, constant))})")
        else:
            constants.append(repr(constant))
    digest = hashlib.sha256(code.co_code).hexdigest()
    return f"({digest};{constants};{code.co_names};{code.co_varnames};{code.co_freevars};{code.co_flags})"
