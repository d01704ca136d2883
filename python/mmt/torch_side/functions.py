"""Which torch functions a trace knows, and their canonical forms (docs/tracing.md).

A handler has the signature of the torch function behind the recorder: `handler(rec, *args, **kwargs)`. It calls
`rec.emit(name, tensors, arguments, shape)`, or `rec.step`/`rec.redo` where one call stands for several functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

#: Calls that are not recorded and simply made.
Pass = object()

#: Such calls that tell the model numbers of tensors: what it does then may depend on more than its structure.
Reads = object()

#: torch function -> handler or Pass.
HANDLERS: dict[Any, Any] = {}

_SPACES = (torch, Tensor, F, torch._C._nn, torch.special, torch.linalg)


def changes_in_place(func: Callable) -> bool:
    """Whether a torch function changes its first argument, by torch's naming rule."""
    name = getattr(func, "__name__", "")
    return name in ("__setitem__", "__iadd__", "__isub__", "__imul__", "__itruediv__") or (
        name.endswith("_") and not name.endswith("__")
    )


def _in_place(handler: Callable) -> Callable:
    def changed(rec: Any, *args: Any, **kwargs: Any) -> Any:
        rec.inplace = True
        return handler(rec, *args, **kwargs)

    return changed


def handler_of_operator(func: Any) -> Callable | None:
    """The handler of a dispatcher operator ("torch.ops.aten.relu"), by its name; None where there is none."""
    packet = getattr(func, "overloadpacket", func)
    if not isinstance(packet, torch._ops.OpOverloadPacket) or not str(packet).startswith("aten."):
        return None
    name = str(packet).removeprefix("aten.")
    found = getattr(torch, name, None) or getattr(Tensor, name, None)
    handler = HANDLERS.get(found)
    return None if handler is Pass or handler is Reads else handler


def records(*names: str, spaces: Sequence[Any] = _SPACES) -> Callable:
    """Registers a handler for torch functions of these names, wherever they live, and their in-place forms."""

    def register(handler: Callable) -> Callable:
        for name in names:
            found = False
            for space in spaces:
                for variant in (name, name + "_"):
                    func = getattr(space, variant, None)
                    if func is not None and callable(func):
                        HANDLERS.setdefault(func, handler if variant == name else _in_place(handler))
                        found = True
            if not found:
                raise LookupError(f"torch has no function {name}")
        return handler

    return register


def passes(*names: str, entry: object = Pass) -> None:
    """Registers methods and properties of tensors, and functions, that are not recorded."""
    for name in names:
        for space in (torch, Tensor):
            func = getattr(space, name, None)
            if func is None:
                continue
            if callable(func):
                HANDLERS[func] = entry
            elif hasattr(func, "__get__"):
                HANDLERS[func.__get__] = entry


passes(
    "shape", "dtype", "ndim", "layout", "requires_grad", "is_cuda", "is_meta", "is_sparse", "is_quantized", "is_nested",
    "is_mkldnn", "is_leaf", "grad", "grad_fn", "names", "itemsize", "nbytes", "is_mps", "is_xpu", "is_cpu", "_version",
    "output_nr", "_base", "is_vulkan", "is_xla", "is_sparse_csr",
    "size", "dim", "ndimension", "numel", "nelement", "stride", "storage_offset", "element_size", "is_contiguous",
    "is_floating_point", "is_complex", "is_signed", "__len__", "get_device", "__hash__", "_is_view",
    "is_inference", "is_same_size", "is_set_to", "is_tensor", "is_storage",
    "result_type", "promote_types", "can_cast", "broadcast_shapes",
    "__iter__", "is_conj", "is_neg", "set_grad_enabled", "is_grad_enabled", "register_hook", "retain_grad",
)  # fmt: skip
passes(
    "__repr__", "data_ptr", "untyped_storage", "is_nonzero", "item", "tolist", "numpy", "__array__", "__bool__",
    "__int__", "__float__", "__index__", "__contains__", "__format__", "equal", "allclose", entry=Reads,
)  # fmt: skip

#: Functions whose result has another shape for other numbers.
SHAPED_BY_NUMBERS = frozenset({
    "nonzero", "argwhere", "masked_select", "unique", "unique_consecutive", "bincount", "repeat_interleave", "where",
})  # fmt: skip


def _device(rec: Any, tensor: Tensor) -> torch.device:
    return torch.device("cpu")  # so that what a model creates "on the device of x" is real, and a constant


HANDLERS[Tensor.device.__get__] = _device


# --- helpers of the handlers ------------------------------------------------------------------------------------------
#: Grows with every number of a tensor that became an argument.
numbers_read: list[bool] = []


def number(value: Any) -> int | float | bool | str:
    """A scalar as JSON: torch scalars and one-element constants become Python's, infinities text."""
    if isinstance(value, Tensor):
        numbers_read.append(True)
        value = value.item()
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return repr(value)
    return value


def ints(value: Any, count: int) -> list[int]:
    """An int or a sequence as a list of `count` ints (one is repeated)."""
    if isinstance(value, (tuple, list)):
        items = [int(item) for item in value]
        return items * count if len(items) == 1 else items
    return [int(value)] * count


def axis_of(axis: int, rank: int) -> int:
    """A negative axis counted from the front."""
    return axis + rank if axis < 0 else axis


def axes_of(axes: Any, rank: int) -> list[int]:
    """Sorted non-negative axes; all of them for None or an empty sequence."""
    if axes is None:
        return list(range(rank))
    items = [axes] if isinstance(axes, int) else list(axes)
    return sorted({axis_of(int(axis), rank) for axis in items}) or list(range(rank))


def sizes_of(args: Sequence[Any]) -> list[int]:
    """`f(2, 3)` and `f((2, 3))` alike, as ints."""
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = args[0]
    return [int(size) for size in args]


def broadcast(first: Sequence[int], second: Sequence[int]) -> list[int] | None:
    """The common shape; None where there is none."""
    if len(first) < len(second):
        first, second = second, first
    shape = list(first)
    offset = len(first) - len(second)
    for i, size in enumerate(second):
        mine = shape[offset + i]
        if mine != size:
            if mine == 1:
                shape[offset + i] = size
            elif size != 1:
                return None
    return shape


loaded = False


def load() -> None:
    """Registers all handlers, which takes longer than many a model needs: first when a function is to be recorded."""
    global loaded
    from mmt.torch_side import functions_layers, functions_math, functions_reduce, functions_shape  # noqa: F401

    loaded = True
