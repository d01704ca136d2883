"""The parts of a trace, and nested Python structures of tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, NamedTuple

import torch

from mmt.torch_side.fingerprint import InputSpec


class TensorSpec(NamedTuple):
    """Shape and torch dtype name ("float32", "int64", …) of a tensor."""

    shape: tuple[int, ...]
    dtype: str = "float32"


SPECS = (TensorSpec, InputSpec)


class Slot(NamedTuple):
    """Stands for flattened tensor number `index` in a structure."""

    index: int


class UnsupportedFunction(Exception):
    """A traced module called something that has no canonical form (or none in ONNX).

    Attributes: `function` (torch's name of it) and `place` ("file.py:12", the line of the model that called it).
    """

    def __init__(self, function: str, place: str, reason: str = "has no canonical form") -> None:
        super().__init__(f"{function} {reason} ({place})")
        self.function = function
        self.place = place


@dataclass(frozen=True)
class ClosedOperator:
    """A module that stays closed in a trace.

    `outputs`: what it returns, as TensorSpec or as tuple, list, dict or dataclass of them (None and scalars stay).
    """

    fingerprint: str
    name: str
    outputs: Any


class TraceNode:
    """One recorded call; fields as in docs/tracing.md.

    `call` is what replays it: (function or module, args, kwargs, the tensors that `inputs` stand for, in place?).
    """

    __slots__ = ("arguments", "call", "fingerprint", "inputs", "kind", "module", "name", "outputs")

    def __init__(
        self,
        kind: str,
        name: str,
        module: str,
        fingerprint: str,
        inputs: list[int],
        arguments: dict[str, Any],
        outputs: list[int],
        call: tuple[Any, tuple, dict, list, bool],
    ) -> None:
        self.kind = kind
        self.name = name
        self.module = module
        self.fingerprint = fingerprint
        self.inputs = inputs
        self.arguments = arguments
        self.outputs = outputs
        self.call = call

    def __repr__(self) -> str:
        return f"TraceNode({self.name!r}, {self.inputs} -> {self.outputs}, {self.arguments}, module={self.module!r})"


_DTYPES: dict[torch.dtype, str] = {
    dtype: str(dtype).removeprefix("torch.") for dtype in vars(torch).values() if isinstance(dtype, torch.dtype)
}


def dtype_name(dtype: torch.dtype) -> str:
    """torch.float32 -> "float32"."""
    return _DTYPES[dtype]


def map_leaves(function: Callable[[Any], Any], value: Any, leaf: type | tuple[type, ...]) -> Any:
    """A copy of nested tuples, lists, dicts and dataclasses with `function` applied to every `leaf`."""
    if isinstance(value, leaf):
        return function(value)
    if isinstance(value, dict):
        items = {key: map_leaves(function, item, leaf) for key, item in value.items()}
        if type(value) is dict:
            return items
        if is_dataclass(value):  # a dict and a dataclass at once: model outputs of some libraries
            return type(value)(**items)
        try:
            return type(value)(items)
        except TypeError:
            return items
    if isinstance(value, (tuple, list)):
        parts = [map_leaves(function, item, leaf) for item in value]
        if hasattr(value, "_fields"):
            return type(value)(*parts)
        return parts if type(value) is list else tuple(parts) if type(value) is tuple else _rebuild(value, parts)
    if is_dataclass(value) and not isinstance(value, type):
        changes = {f.name: map_leaves(function, getattr(value, f.name), leaf) for f in fields(value) if f.init}
        return replace(value, **changes)
    return value


def _rebuild(value: Any, parts: list[Any]) -> Any:
    try:
        return type(value)(parts)
    except TypeError:
        return tuple(parts)


def flatten(value: Any, leaf: type | tuple[type, ...]) -> list[Any]:
    """All leaves of a nested structure, in order."""
    if isinstance(value, leaf):
        return [value]
    found: list[Any] = []
    _flatten(value, leaf, found)
    return found


def _flatten(value: Any, leaf: type | tuple[type, ...], found: list[Any]) -> None:
    if isinstance(value, leaf):
        found.append(value)
    elif isinstance(value, dict):
        for item in value.values():
            _flatten(item, leaf, found)
    elif isinstance(value, (tuple, list)):
        for item in value:
            _flatten(item, leaf, found)
    elif is_dataclass(value) and not isinstance(value, type):
        for f in fields(value):
            _flatten(getattr(value, f.name), leaf, found)


def describe(value: Any) -> Any:
    """A structure as JSON values, with "tensor" for tensors and the text of anything that JSON does not know."""
    if isinstance(value, torch.Tensor):
        return "tensor"
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else repr(value)
    if isinstance(value, (tuple, list)):
        return [describe(item) for item in value]
    if isinstance(value, dict):
        return {str(key): describe(item) for key, item in value.items()}
    return str(value) if isinstance(value, (torch.dtype, slice, torch.device)) else type(value).__name__
