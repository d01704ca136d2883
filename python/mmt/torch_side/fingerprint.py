"""Fingerprints: the identity of operators.

A fingerprint is 32 hexadecimal digits over class, configuration, parameters and buffers (names, shapes, types),
children, the source of custom methods, and the inputs' shapes and types. It does not depend on weight values, the
device, training mode, hooks, `__repr__`, memory addresses or the process.

Everything is looked at on each call, so a module that was changed (another stride, a replaced child) gets another
fingerprint. What makes it quick is that the texts are remembered by content: a configuration that was seen before,
in this object or in another one, costs about as much as reading its attributes.
"""

from __future__ import annotations

import hashlib
import marshal
import operator
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from mmt.torch_side.canonical import Canonical, class_name, identity, tensor_text

__all__ = ["Fingerprints", "InputSpec", "class_name", "fingerprint", "input_specs"]

#: A part of every fingerprint; changes when the rules do, so that old tables are not matched by accident.
SCHEME = "mmt operator 1"

# nn.Module's own bookkeeping, and torch's caches of tensors: no configuration.
_BOOKKEEPING = frozenset(torch.nn.Module().__dict__) | {
    "_flat_weights", "_flat_weight_refs", "_is_hf_initialized", "_compiled_call_impl", "_forward_module",
}

_MEMO_LIMIT = 200_000
_dumps = marshal.dumps


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


class _Plan:
    """How to read the configuration of modules of one class with one set of attributes."""

    __slots__ = ("attributes", "identity", "names", "read")

    def __init__(self, cls: type, attributes: Iterable[str]) -> None:
        self.identity = identity(cls)
        self.attributes = tuple(attributes)
        self.names = tuple(sorted(name for name in attributes if name not in _BOOKKEEPING))
        self.read: Callable[[dict[str, Any]], Any] = (
            operator.itemgetter(*self.names) if self.names else lambda attributes: ())


#: Per class, the plan that was used last: modules of a class mostly have the same attributes in the same order.
_latest: dict[type, _Plan] = {}
_plans: dict[tuple[Any, ...], _Plan] = {}
_memo: dict[tuple[Any, ...], str] = {}
_lock = threading.Lock()


class Fingerprints:
    """One look at a model: every module below it is read once, however often its fingerprint is asked for.

    Use one object while the modules do not change (one prediction, one scan), then drop it.
    """

    def __init__(self) -> None:
        self._seen: dict[int, tuple[torch.nn.Module, str]] = {}
        self._open: list[int] = []
        self._checked: set[_Plan] = set()
        self._hooked = False
        self._shared: list[tuple[int, ...]] = []

    def structure(self, model: torch.nn.Module) -> str | None:
        """Everything that a trace of `model` depends on besides its inputs and the numbers in its tensors: its
        configuration, and which modules are one and the same. None where hooks may do anything.

        The first question to this object.
        """
        configuration = self.configuration(model)
        if self._hooked or _has_global_hooks():
            return None
        return f"{configuration}{self._shared}" if self._shared else configuration

    def fingerprint(self, module: torch.nn.Module, inputs: Sequence[tuple[Sequence[int], str]]) -> str:
        """Identity of `module` with these inputs, (shape, dtype) each: 32 hexadecimal digits."""
        texts = ";".join([f"{dtype}[{','.join(map(str, shape))}]" for shape, dtype in inputs])
        text = f"{SCHEME}\n{self.configuration(module)}\n{texts}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def configuration(self, module: torch.nn.Module) -> str:
        """Identity of `module` whatever its inputs: 64 hexadecimal digits."""
        number = id(module)
        seen = self._seen.get(number)
        if seen is not None:
            return self._again(number, seen[1])
        self._seen[number] = module, ""
        self._open.append(number)
        try:
            digest = self._configuration(module)
        except BaseException:
            del self._seen[number]
            raise
        finally:
            self._open.pop()
        self._seen[number] = module, digest
        return digest

    def _again(self, number: int, digest: str) -> str:
        """A module that was met before: asked for once more, in two places, or inside of itself."""
        if not digest:
            return f"cycle:{len(self._open) - self._open.index(number)}"
        if self._open:
            self._shared.append((len(self._seen), list(self._seen).index(number)))
        return digest

    def _configuration(self, module: torch.nn.Module) -> str:
        attributes = module.__dict__
        if attributes.get("_forward_hooks") or attributes.get("_forward_pre_hooks"):
            self._hooked = True
        cls = type(module)
        plan = _latest.get(cls)
        if plan is None or plan.attributes != tuple(attributes) or plan not in self._checked:
            plan = self._plan(cls, attributes)
        values = plan.read(attributes)
        try:
            token: Any = _dumps(values, 2)
        except ValueError:  # something beyond plain values
            token = self._texts(plan, values)
        tensors = attributes["_parameters"]
        parameters = _tensors(tensors) if tensors else None
        tensors = attributes["_buffers"]
        buffers = _tensors(tensors) if tensors else None
        children: Any = attributes["_modules"]
        if children:
            configuration = self.configuration
            children = tuple([(name, None if child is None else configuration(child))
                              for name, child in children.items()])
        else:
            children = None
        key = (plan, token, parameters, buffers, children)
        digest = _memo.get(key)
        if digest is None:
            digest = hashlib.sha256(self._text(plan, values, attributes, children).encode()).hexdigest()
            with _lock:
                _trim(_memo)
                _memo[key] = digest
        return digest

    def _plan(self, cls: type, attributes: dict[str, Any]) -> _Plan:
        """How to read a module, with the code of its class as it is now."""
        key = (cls, *attributes)
        plan = _plans.get(key)
        if plan is not None and plan not in self._checked and plan.identity != identity(cls):  # was changed since
            plan = None
        if plan is None:
            plan = _Plan(cls, attributes)
        self._checked.add(plan)
        with _lock:
            _trim(_plans)
            _trim(_latest)
            _plans[key] = _latest[cls] = plan
        return plan

    def _texts(self, plan: _Plan, values: Any) -> tuple[str, ...]:
        canonical = Canonical(self.configuration)
        return tuple(canonical.value(value) for value in (values if len(plan.names) > 1 else (values,)))

    def _text(self, plan: _Plan, values: Any, attributes: dict[str, Any], children: Any) -> str:
        lines = [plan.identity]
        texts = self._texts(plan, values) if plan.names else ()
        lines += [f"{name}={text}" for name, text in zip(plan.names, texts, strict=True)]
        for kind in ("_parameters", "_buffers"):
            lines += [f"{kind} {name} {'none' if tensor is None else tensor_text(tensor)}"
                      for name, tensor in sorted(attributes[kind].items())]
        lines += [f"child {name!r} {digest}" for name, digest in children or ()]
        return "\n".join(lines)


def _tensors(tensors: dict[str, torch.Tensor | None]) -> tuple[Any, ...]:
    """Key of a module's own tensors."""
    try:
        return tuple([(name, tensor if tensor is None else (tensor.shape, tensor.dtype))
                      for name, tensor in tensors.items()])
    except RuntimeError:  # a lazy module's parameter has no shape yet
        return tuple((name, tensor if tensor is None else tensor_text(tensor)) for name, tensor in tensors.items())


def _has_global_hooks() -> bool:
    """Whether a hook of all modules may do anything in a forward pass.

    PyTorch keeps marks of hooks with keyword arguments after these were removed, so its own answer stays true for ever.
    """
    module = torch.nn.modules.module
    return bool(module._global_forward_pre_hooks or module._global_forward_hooks)


def _trim(memory: dict[Any, Any]) -> None:
    if len(memory) >= _MEMO_LIMIT:
        memory.clear()


def fingerprint(module: torch.nn.Module, inputs: Any) -> str:
    """Identity of `module` with `inputs` (see `input_specs` for their forms): 32 hexadecimal digits."""
    return Fingerprints().fingerprint(module, input_specs(inputs))
