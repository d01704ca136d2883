"""The recorder behind mmt.torch_side.trace: sees every torch function and module call of one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mmt.torch_side import calls, functions, structure
from mmt.torch_side.functions import HANDLERS, SHAPED_BY_NUMBERS, Pass, Reads, numbers_read
from mmt.torch_side.structure import TensorSpec, TraceNode, UnsupportedFunction, dtype_name

META = torch.device("meta")

_empty = torch.empty
_unwatched = torch._C.DisableTorchFunction


def _leaf_of(kind: type) -> Callable | None:
    """How a leaf module is recorded without running it (None: not known)."""
    from mmt.torch_side import leaves  # late: many a model consists of closed operators

    return leaves.LEAVES.get(kind)


class Recorder(TorchFunctionMode):
    """Records one run.

    Tensors of the run are either traced (values of the trace) or constants (everything real that does not depend on
    the inputs); what is called on constants alone is simply done.

    Aliasing: an in-place call gives its tensor object a new value and makes every other object that shares memory
    with it stale; using a stale object raises UnsupportedFunction.
    """

    def __init__(
        self,
        model: nn.Module,
        paths: Any,
        closed: Callable[[nn.Module, str, list[TensorSpec]], Any] | None,
        allow_unknown: bool,
        real: bool,
    ) -> None:
        super().__init__()
        self.real = real
        self.inplace = False  # the current call changes its first tensor
        self.module = ""  # path of the module that is running
        self.numbers_matter = real  # whether the model was told numbers of tensors, constants for instance
        self.specs: list[tuple[tuple[int, ...], torch.dtype, int]] = []  # of each value
        self.constants: list[Tensor] = []
        self.nodes: list[TraceNode] = []
        self.inputs: list[int] = []
        self._model = model
        self._paths = paths  # of its modules, by id(): module_paths.ModulePaths
        self._closed = closed
        self._allow_unknown = allow_unknown
        self._kept: list[Tensor] = []  # every tensor seen stays alive, so that its id() stays its own
        self._traced: dict[int, int] = {}  # id(tensor) -> value
        self._constant_values: dict[int, int] = {}  # the same for constants
        self._buffers: dict[int, Tensor] = {}  # the model's
        self._twins: dict[int, Tensor] = {}  # meta tensors in place of constants
        self._groups: dict[int, set[int]] = {}  # id(tensor) -> ids of all that share its memory
        self._stale: set[int] = set()
        self.call: tuple[Any, tuple, dict] = (None, (), {})  # the call that is being recorded

    @property
    def name(self) -> str:
        """Name of the function that is being recorded, without in-place underscore."""
        return self.call[0].__name__.rstrip("_")

    # --- values ---------------------------------------------------------------------------------------------------
    def add_input(self, tensor: Tensor) -> Tensor:
        """Takes `tensor` in as the next input."""
        self.inputs.append(self._bind(tensor))
        return tensor

    def traced(self, tensor: Any) -> bool:
        """Whether an object is a value of the trace (and not a constant or no tensor at all)."""
        return id(tensor) in self._traced

    def value(self, tensor: Tensor | None) -> int:
        """The value of a tensor object (a constant is taken in); -1 for None."""
        if tensor is None:
            return -1
        key = id(tensor)
        value = self._traced.get(key)
        if value is not None:
            if key in self._stale and not self._allow_unknown:
                self.unsupported("in-place change", "of a tensor while a view of it is used later is not recorded")
            return value
        value = self._constant_values.get(key)
        if value is None:
            if tensor.is_meta and not isinstance(tensor, nn.Parameter) and not self._is_buffer(tensor):
                self.unsupported("a computation", "outside of torch's functions cannot be recorded")
            value = len(self.specs)
            self.specs.append((tuple(tensor.shape), tensor.dtype, len(self.constants)))
            self.constants.append(tensor)
            self._kept.append(tensor)
            self._constant_values[key] = value
        return value

    def _is_buffer(self, tensor: Tensor) -> bool:
        """Whether it is a buffer of the model, which may have got new ones since it was looked through."""
        if id(tensor) not in self._buffers:
            self._buffers = {id(buffer): buffer for buffer in self._model.buffers()}
        return id(tensor) in self._buffers

    def copy(self, tensor: Tensor) -> Tensor:
        """Another tensor object with the same value and memory of its own (what `clone` gives)."""
        if self.real:
            copy = tensor.clone(memory_format=torch.contiguous_format)
        else:
            copy = _empty(tensor.shape, dtype=tensor.dtype, device=META)
        self._traced[id(copy)] = self.value(tensor)
        self._kept.append(copy)
        return copy

    def _bind(self, tensor: Tensor) -> int:
        value = len(self.specs)
        self.specs.append((tuple(tensor.shape), tensor.dtype, -1))
        self._kept.append(tensor)
        self._traced[id(tensor)] = value
        return value

    def _share(self, base: Tensor, view: Tensor) -> None:
        group = self._groups.setdefault(id(base), {id(base)})
        group.add(id(view))
        self._groups[id(view)] = group

    # --- recording ------------------------------------------------------------------------------------------------
    def emit(
        self,
        name: str,
        tensors: list[Tensor | None],
        arguments: dict[str, Any],
        shape: Any = None,
        dtype: torch.dtype | None = None,
        view: bool = False,
        shapes: list[Any] | None = None,
    ) -> Any:
        """Records the current call and returns its result.

        `shape` (and `dtype`, that of the first tensor by default): of the one result, where the caller knows it;
        `shapes`: of several. Neither: the call is made on meta tensors to see. `view`: the result shares memory with
        the first tensor.
        """
        inputs = [self.value(tensor) for tensor in tensors]
        func, args, kwargs = self.call
        if self.inplace:
            result = tensors[0]
            if self.real:
                if id(result) not in self._traced:
                    self._before_constant_changes(result)
                func(*args, **kwargs)
            self._stale.update(self._groups.get(id(result), ()))
            self._stale.discard(id(result))
            outputs = [self._bind(result)]
        else:
            if self.real or (shape is None and shapes is None):
                result = self._run(func, args, kwargs)
            elif shapes is not None:
                result = tuple(_empty(one, dtype=tensors[0].dtype, device=META) for one in shapes)
            else:
                result = _empty(shape, dtype=dtype or tensors[0].dtype, device=META)
            results = [result] if result.__class__ is Tensor else structure.flatten(result, Tensor)
            if any(id(item) in self._traced for item in results):  # given back as it was: nothing happened
                return result
            outputs = [self._bind(item) for item in results]
            if view:
                for item in results:
                    self._share(tensors[0], item)
        call = (func, args, kwargs, tensors, self.inplace)
        self.nodes.append(TraceNode("function", name, self.module, "", inputs, arguments, outputs, call))
        return result

    def step(self, name: str, func: Callable, args: tuple, tensors: list, arguments: dict, **known: Any) -> Any:
        """`emit` for one of the several functions that a call stands for."""
        self.inplace = False
        self.call = (func, args, {})
        return self.emit(name, tensors, arguments, **known)

    def redo(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        """Calls a composition of torch functions, which are recorded in place of the current call."""
        with self:
            return function(*args, **kwargs)

    def assign(self, target: Tensor, result: Tensor) -> Tensor:
        """In-place call made of other functions: `target` becomes `result`, which is nobody else's."""
        value = self.value(result)
        if self.real:
            target.copy_(result)
        self._stale.update(self._groups.get(id(target), ()))
        self._stale.discard(id(target))
        self._traced[id(target)] = value
        return target

    def unsupported(self, function: str, reason: str = "has no canonical form") -> None:
        """Raises UnsupportedFunction for the line of the model that is running."""
        raise UnsupportedFunction(function, calls.place(), reason)

    def _run(self, func: Callable, args: tuple, kwargs: dict) -> Any:
        if self.real:
            return func(*args, **kwargs)
        return func(*[self._twin(value) for value in args], **{key: self._twin(item) for key, item in kwargs.items()})

    def _twin(self, value: Any) -> Any:
        """A constant's stand-in on the meta device; anything else as it is."""
        if isinstance(value, Tensor):
            if value.is_meta or (value.dim() == 0 and id(value) not in self._traced):
                return value
            twin = self._twins.get(id(value))
            if twin is None:
                twin = self._twins[id(value)] = value.detach().to(META)
                self._kept.append(value)
            return twin
        if value.__class__ is list or value.__class__ is tuple:
            return value.__class__(self._twin(item) for item in value)
        return value

    # --- what torch calls -----------------------------------------------------------------------------------------
    def __torch_function__(self, func, types, args=(), kwargs=None):
        if not functions.loaded:
            functions.load()
        handler = HANDLERS.get(func)
        if handler is Pass:
            return func(*args, **kwargs) if kwargs else func(*args)
        if handler is Reads:
            self.numbers_matter = True
            return func(*args, **kwargs) if kwargs else func(*args)
        traced = self._traced
        for value in args:
            if id(value) in traced or (
                (value.__class__ is list or value.__class__ is tuple) and self._any_traced(value)
            ):
                break
        else:
            if not kwargs or not self._any_traced(kwargs):
                return self._fold(func, args, kwargs or {})
        self.inplace = False
        self.call = (func, args, kwargs or {})
        if handler is None:
            return self._unknown(func, args, kwargs or {})
        if not self._allow_unknown:
            return handler(self, *args, **kwargs) if kwargs else handler(self, *args)
        try:
            return handler(self, *args, **(kwargs or {}))
        except UnsupportedFunction:
            return self._record_unknown(func, args, kwargs or {})

    def _any_traced(self, value: Any) -> bool:
        return any(id(item) in self._traced for item in structure.flatten(value, Tensor))

    def _fold(self, func: Callable, args: tuple, kwargs: dict) -> Any:
        """Calls on constants alone are done at once."""
        name = getattr(func, "__name__", "")
        if name in SHAPED_BY_NUMBERS or (name == "__getitem__" and structure.flatten(args[1:], Tensor)):
            self.numbers_matter = True
        if self._constant_values and functions.changes_in_place(func):
            self._before_constant_changes(args[0])
        return func(*args, **kwargs)

    def _before_constant_changes(self, tensor: Tensor) -> None:
        """What was recorded of a constant keeps the numbers that it had."""
        address = tensor.untyped_storage().data_ptr()
        for key, value in list(self._constant_values.items()):
            index = self.specs[value][2]
            if self.constants[index].untyped_storage().data_ptr() == address:
                self.constants[index] = self.constants[index].clone()
                del self._constant_values[key]
                self._twins.pop(key, None)

    def _unknown(self, func: Callable, args: tuple, kwargs: dict) -> Any:
        handler = functions.handler_of_operator(func)  # torch.ops.aten.relu is torch.relu
        if handler is not None:
            return handler(self, *args, **kwargs)
        opened = calls.opened(func)
        if opened is not None:
            return self.redo(opened, *args, **kwargs)
        if not self._allow_unknown:
            self.unsupported(calls.function_name(func))
        return self._record_unknown(func, args, kwargs)

    def _record_unknown(self, func: Callable, args: tuple, kwargs: dict) -> Any:
        """A function under torch's own name."""
        self.call = (func, args, kwargs)
        self.inplace = functions.changes_in_place(func)
        arguments = {"arguments": structure.describe((args, kwargs))}
        return self.emit(calls.function_name(func), structure.flatten((args, kwargs), Tensor), arguments)

    # --- modules --------------------------------------------------------------------------------------------------
    @contextmanager
    def installed(self) -> Iterator[None]:
        """Functions and module calls of this thread come here while this lasts."""
        read_before = len(numbers_read)
        try:
            with calls.modules_to(self.call_module), self:
                yield
        finally:
            if len(numbers_read) > read_before:
                self.numbers_matter = True
                numbers_read.clear()

    def call_module(self, outer: Callable, module: nn.Module, args: tuple, kwargs: dict) -> Any:
        """A module is called; `outer` would do it."""
        with _unwatched():
            result = self._closed_or_leaf(module, args, kwargs)
            if result is NotImplemented and isinstance(module, torch.jit.ScriptModule):
                self.unsupported(f"script module {self._name(module)!r}",
                                 "cannot be looked into: give the module that it was scripted or traced from")
        if type(module).__name__ == "OptimizedModule":  # what torch.compile gives
            return module._orig_mod(*args, **kwargs)
        if result is not NotImplemented:
            return result
        inside, self.module = self.module, self._name(module)
        try:
            return outer(module, *args, **kwargs)
        finally:
            self.module = inside

    def _name(self, module: nn.Module) -> str:
        name = self._paths.get(id(module))
        return f"{self.module}.<{type(module).__name__}>".lstrip(".") if name is None else name

    def _closed_or_leaf(self, module: nn.Module, args: tuple, kwargs: dict) -> Any:
        """The result of a module that is not run, NotImplemented for one that is."""
        if self._closed is not None:
            tensors = structure.flatten(args, Tensor)
            if kwargs:
                tensors += structure.flatten(kwargs, Tensor)
            if any(id(tensor) in self._traced for tensor in tensors):
                specs = [TensorSpec(tuple(tensor.shape), dtype_name(tensor.dtype)) for tensor in tensors]
                operator = self._closed(module, self._name(module), specs)
                if operator is not None:
                    return self._emit_operator(operator, module, args, kwargs, tensors)
        leaf = None if module._modules else _leaf_of(module.__class__)
        if leaf is None or self.real or kwargs or len(args) != 1 or id(args[0]) not in self._traced:
            return NotImplemented
        if module._forward_hooks or module._forward_pre_hooks or "forward" in module.__dict__:
            return NotImplemented
        inside, self.module = self.module, self._name(module)
        try:
            self.inplace = False
            self.call = (module, args, kwargs)
            return leaf(self, module, args[0])
        finally:
            self.module = inside

    def _emit_operator(self, operator: Any, module: nn.Module, args: tuple, kwargs: dict, tensors: list) -> Any:
        inputs = [self.value(tensor) for tensor in tensors]
        outputs: list[int] = []

        def make(spec: TensorSpec) -> Tensor:
            dtype = getattr(torch, spec.dtype)
            tensor = torch.zeros(spec.shape, dtype=dtype) if self.real else _empty(spec.shape, dtype=dtype, device=META)
            outputs.append(self._bind(tensor))
            return tensor

        result = structure.map_leaves(make, operator.outputs, structure.SPECS)
        plain = not kwargs and all(isinstance(value, Tensor) for value in args)
        arguments = {} if plain else {"call": structure.describe([args, kwargs])}
        call = (module, args, kwargs, tensors, False)
        name = self._name(module)
        self.nodes.append(
            TraceNode("operator", operator.name, name, operator.fingerprint, inputs, arguments, outputs, call)
        )
        return result
