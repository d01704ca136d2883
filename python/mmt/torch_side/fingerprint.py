"""Fingerprints: the identity of operators.

A fingerprint is 32 hexadecimal digits over class, configuration, parameters and buffers (names, shapes, types),
children, the source of custom methods, and the inputs' shapes and types. It does not depend on weight values, the
device, training mode, hooks, `__repr__`, memory addresses or the process.

Everything is looked at on each call, so a module that was changed (another stride, a replaced child) gets another
fingerprint. What makes it quick is that the walk is made in C++ (python/src/fingerprints.cpp), which writes the texts
of plain attributes itself and remembers their hashes.
"""

from __future__ import annotations

import atexit
from collections.abc import Sequence
from typing import Any

import torch

from mmt._core import fingerprints as _core
from mmt.torch_side.canonical import Canonical, class_name, identity, tensor_text

__all__ = ["Fingerprints", "InputSpec", "class_name", "fingerprint", "input_specs"]

#: A part of every fingerprint; changes when the rules do, so that old tables are not matched by accident.
SCHEME = "mmt operator 1"

# Classes are remembered, and with them all that their modules hold: tables, results.
atexit.register(_core.forget)

# nn.Module's own bookkeeping, torch's caches of tensors, what its compilers leave behind: no configuration.
_BOOKKEEPING = frozenset(torch.nn.Module().__dict__) | {
    "_flat_weights", "_flat_weight_refs", "_is_hf_initialized", "_compiled_call_impl", "_forward_module",
    "_is_torch_compile", "__overloads__",
}


class InputSpec(tuple):
    """Shape and type of one operator input: `InputSpec((1, 3, 224, 224), "float32")`."""

    __slots__ = ()

    def __new__(cls, shape: Sequence[int], dtype: str = "float32") -> InputSpec:
        return super().__new__(cls, (tuple(int(size) for size in shape), str(dtype).removeprefix("torch.")))

    @property
    def shape(self) -> tuple[int, ...]:
        return self[0]

    @property
    def dtype(self) -> str:
        """torch's name without `torch.`: "float32", "int64", …"""
        return self[1]

    def __str__(self) -> str:
        return f"{self[1]}[{','.join(map(str, self[0]))}]"


def input_specs(inputs: Any, dtype: str = "float32") -> list[InputSpec]:
    """Reads inputs in any usual form: a shape, shapes, (shape, dtype) pairs, tensors, or specs.

    Raises TypeError naming what cannot be read.
    """
    if isinstance(inputs, (torch.Tensor, InputSpec)):
        inputs = [inputs]
    inputs = list(inputs)
    if inputs and all(isinstance(size, int) for size in inputs):
        inputs = [inputs]
    return [_input_spec(item, dtype) for item in inputs]


def _input_spec(item: Any, dtype: str) -> InputSpec:
    if isinstance(item, InputSpec):
        return item
    if isinstance(item, torch.Tensor):
        return InputSpec(item.shape, str(item.dtype))
    if hasattr(item, "shape"):
        return InputSpec(item.shape, str(getattr(item, "dtype", dtype)))
    if isinstance(item, (tuple, list)):
        if all(isinstance(size, int) for size in item):
            return InputSpec(item, dtype)
        if len(item) == 2 and isinstance(item[0], (tuple, list)) and isinstance(item[1], (str, torch.dtype)):
            return InputSpec(item[0], str(item[1]))
    raise TypeError(f"{item!r} is no input: give a shape such as [1, 3, 224, 224], a (shape, dtype) pair or a tensor")


class Fingerprints:
    """One look at a model: every module below it is read once, however often its fingerprint is asked for.

    Use one object while the modules do not change (one prediction, one scan), then drop it.
    """

    def __init__(self) -> None:
        self._walk = _core.Walk(_Rules)

    def structure(self, model: torch.nn.Module) -> str | None:
        """Everything that a trace of `model` depends on besides its inputs and the numbers in its tensors: its
        configuration, and which modules are one and the same. None where hooks may do anything.

        The first question to this object.
        """
        structure = self._walk.structure(model)
        return None if self._walk.hooked or _has_global_hooks() else structure

    def fingerprint(self, module: torch.nn.Module, inputs: Sequence[tuple[Sequence[int], str]]) -> str:
        """Identity of `module` with these inputs, (shape, dtype) each: 32 hexadecimal digits."""
        return self._walk.fingerprint(SCHEME, module, inputs)

    def configuration(self, module: torch.nn.Module) -> str:
        """Identity of `module` whatever its inputs: 64 hexadecimal digits."""
        return self._walk.configuration(module)


class _Rules:
    """What the walk in C++ asks for."""

    identity = staticmethod(identity)
    tensor_text = staticmethod(tensor_text)
    bookkeeping = _BOOKKEEPING
    tensor_types = (torch.Tensor, torch.nn.Parameter)

    @staticmethod
    def value_text(walk: _core.Walk, value: Any) -> str:
        """Text of an attribute that is more than numbers and texts."""
        return Canonical(walk.configuration).value(value)


def _has_global_hooks() -> bool:
    """Whether a hook of all modules may do anything in a forward pass.

    PyTorch keeps marks of hooks with keyword arguments after these were removed, so its own answer stays true for ever.
    """
    module = torch.nn.modules.module
    return bool(module._global_forward_pre_hooks or module._global_forward_hooks)


def fingerprint(module: torch.nn.Module, inputs: Any) -> str:
    """Identity of `module` with `inputs` (see `input_specs` for their forms): 32 hexadecimal digits."""
    return Fingerprints().fingerprint(module, input_specs(inputs))
