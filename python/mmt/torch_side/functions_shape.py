"""Handlers of what only moves or renames elements: reshaping, indexing, joining, padding."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmt.torch_side.functions import HANDLERS, axes_of, axis_of, ints, number, records, sizes_of


# --- nothing happens --------------------------------------------------------------------------------------------------
def _unchanged(rec: Any, input: Tensor, *_: Any, **__: Any) -> Tensor:
    return input


for _name in (
    "detach",
    "cpu",
    "cuda",
    "requires_grad_",
    "positive",
    "__pos__",
    "detach_",
    "resolve_conj",
    "resolve_neg",
):
    for _space in (torch, Tensor):
        if hasattr(_space, _name):
            HANDLERS[getattr(_space, _name)] = _unchanged
HANDLERS[Tensor.data.__get__] = _unchanged


@records("clone")
def _clone(rec: Any, input: Tensor, **_: Any) -> Tensor:
    return rec.copy(input)


@records("contiguous", spaces=(Tensor,))
def _contiguous(rec: Any, input: Tensor, **_: Any) -> Tensor:
    return input if input.is_contiguous() else rec.copy(input)


# --- reshaping --------------------------------------------------------------------------------------------------------
def reshape(rec: Any, input: Tensor, shape: list[int] | None = None) -> Any:
    """Records the current call as reshape; the shape is what the call gives unless it is known."""
    result_shape = shape
    if result_shape is None:
        func, args, kwargs = rec.call
        probe = input if rec.real else torch.empty(input.shape, dtype=input.dtype, device="meta")
        result_shape = list(func(probe, *args[1:], **kwargs).shape)
    if list(input.shape) == list(result_shape):
        return input
    return rec.emit("reshape", [input], {"shape": [int(size) for size in result_shape]}, result_shape, view=True)


@records("view", "reshape")
def _view(rec: Any, input: Tensor, *shape: Any, **kwargs: Any) -> Any:
    if shape and isinstance(shape[0], torch.dtype):
        rec.unsupported("Tensor.view(dtype)")
    sizes = sizes_of(shape or (kwargs.get("shape", kwargs.get("size")),))
    count = 1
    for size in sizes:
        count *= size
    if count == input.numel() and all(size >= 0 for size in sizes):
        return reshape(rec, input, sizes)
    if count < 0 and sizes.count(-1) == 1 and -count > 0 and input.numel() % -count == 0:
        sizes[sizes.index(-1)] = input.numel() // -count
        return reshape(rec, input, sizes)
    return reshape(rec, input)


@records("flatten", "ravel", "unflatten", "view_as", "reshape_as")
def _reshape(rec: Any, input: Tensor, *_: Any, **__: Any) -> Any:
    return reshape(rec, input)


def _permuted(rec: Any, input: Tensor, order: list[int]) -> Any:
    if order == sorted(order):
        return input
    return rec.emit("permute", [input], {"order": order}, view=True)


@records("permute")
def _permute(rec: Any, input: Tensor, *dims: Any, **kwargs: Any) -> Any:
    order = sizes_of(dims or (kwargs["dims"],))
    return _permuted(rec, input, [axis_of(axis, input.dim()) for axis in order])


@records("transpose", "swapaxes", "swapdims")
def _transpose(rec: Any, input: Tensor, first: int, second: int) -> Any:
    order = list(range(input.dim()))
    first, second = axis_of(first, input.dim()), axis_of(second, input.dim())
    order[first], order[second] = second, first
    return _permuted(rec, input, order)


@records("t", "adjoint")
def _t(rec: Any, input: Tensor) -> Any:
    order = list(range(input.dim()))
    order[-2:] = order[:-3:-1]
    return _permuted(rec, input, order)


def _reversed(rec: Any, input: Tensor) -> Any:
    return _permuted(rec, input, list(range(input.dim()))[::-1])


HANDLERS[Tensor.T.__get__] = _reversed
HANDLERS[Tensor.mT.__get__] = HANDLERS[Tensor.t]
HANDLERS[Tensor.H.__get__] = HANDLERS[Tensor.t]


@records("movedim", "moveaxis")
def _movedim(rec: Any, input: Tensor, source: Any, destination: Any) -> Any:
    rank = input.dim()
    source = [axis_of(axis, rank) for axis in ([source] if isinstance(source, int) else source)]
    destination = [axis_of(axis, rank) for axis in ([destination] if isinstance(destination, int) else destination)]
    rest = iter(axis for axis in range(rank) if axis not in source)
    places = dict(zip(destination, source, strict=True))
    return _permuted(rec, input, [places[i] if i in places else next(rest) for i in range(rank)])


@records("squeeze")
def _squeeze(rec: Any, input: Tensor, dim: Any = None) -> Any:
    axes = [axis for axis in axes_of(dim, input.dim()) if input.shape[axis] == 1]
    if dim == () or not axes:
        return input
    return rec.emit("squeeze", [input], {"axes": axes}, view=True)


@records("unsqueeze")
def _unsqueeze(rec: Any, input: Tensor, dim: int) -> Any:
    return rec.emit("unsqueeze", [input], {"axes": [axis_of(dim, input.dim() + 1)]}, view=True)


@records("expand", "expand_as", "broadcast_to")
def _expand(rec: Any, input: Tensor, *sizes: Any, **kwargs: Any) -> Any:
    if sizes and isinstance(sizes[0], Tensor):
        shape = list(sizes[0].shape)
    else:
        wanted = sizes_of(sizes or (kwargs["size"],))
        shape = [input.shape[i - (len(wanted) - input.dim())] if size == -1 else size for i, size in enumerate(wanted)]
    if shape == list(input.shape):
        return input
    rec.call = (Tensor.expand, (input, shape), {})
    return rec.emit("expand", [input], {"shape": shape}, view=True)


@records("repeat", "tile")
def _repeat(rec: Any, input: Tensor, *times: Any, **kwargs: Any) -> Any:
    counts = sizes_of(times or tuple(kwargs.values()))
    counts = [1] * (input.dim() - len(counts)) + counts
    if all(count == 1 for count in counts) and len(counts) == input.dim():
        return rec.copy(input)
    return rec.emit("repeat", [input], {"times": counts})


@records("repeat_interleave")
def _repeat_interleave(rec: Any, input: Tensor, repeats: Any, dim: Any = None, **_: Any) -> Any:
    if not isinstance(repeats, int) or dim is None:
        rec.unsupported("repeat_interleave", "with a tensor of counts, or of all elements, has no canonical form")
    axis = axis_of(dim, input.dim())

    def compute() -> Tensor:
        shape = list(input.shape)
        wide = input.unsqueeze(axis + 1).expand(*shape[: axis + 1], repeats, *shape[axis + 1 :])
        return wide.reshape(*shape[:axis], shape[axis] * repeats, *shape[axis + 1 :])

    return rec.redo(compute)


# --- joining and cutting ----------------------------------------------------------------------------------------------
@records("cat", "concat", "concatenate", spaces=(torch,))
def _cat(rec: Any, tensors: Any, dim: int = 0, **kwargs: Any) -> Any:
    tensors = [tensor for tensor in tensors if tensor.dim() != 1 or tensor.shape[0]]  # empty ones are let through
    axis = axis_of(kwargs.get("axis", dim), tensors[0].dim())
    first = list(tensors[0].shape)
    shape: list[int] | None = list(first)
    for tensor in tensors[1:]:
        mine = list(tensor.shape)
        same = len(mine) == len(first) and all(a == b for i, (a, b) in enumerate(zip(mine, first)) if i != axis)  # noqa: B905
        if not same or tensor.dtype != tensors[0].dtype:
            shape = None
            break
        shape[axis] += mine[axis]
    return rec.emit("cat", tensors, {"axis": axis}, shape)


@records("stack", spaces=(torch,))
def _stack(rec: Any, tensors: Any, dim: int = 0) -> Any:
    return rec.emit("stack", list(tensors), {"axis": axis_of(dim, tensors[0].dim() + 1)})


def _split(rec: Any, input: Tensor, axis: int, sizes: list[int], name: str = "split") -> Any:
    if len(sizes) == 1:
        return (input,)
    if name == "split":
        rec.call = (torch.split, (input, sizes, axis), {})
    return rec.emit(name, [input], {"axis": axis, "sizes": sizes}, view=True)


def _pieces(total: int, size: int) -> list[int]:
    return [min(size, total - start) for start in range(0, total, size)]


@records("split", "split_with_sizes", spaces=(torch, Tensor))
def _split_call(rec: Any, input: Tensor, split_size: Any, dim: int = 0) -> Any:
    axis = axis_of(dim, input.dim())
    if isinstance(split_size, int):
        return _split(rec, input, axis, _pieces(input.shape[axis], split_size))
    return _split(rec, input, axis, [int(size) for size in split_size])


@records("chunk")
def _chunk(rec: Any, input: Tensor, chunks: int, dim: int = 0) -> Any:
    axis = axis_of(dim, input.dim())
    total = input.shape[axis]
    return _split(rec, input, axis, _pieces(total, -(-total // chunks)), "chunk")


@records("tensor_split")
def _tensor_split(rec: Any, input: Tensor, indices_or_sections: Any, dim: int = 0) -> Any:
    axis = axis_of(dim, input.dim())
    total = input.shape[axis]
    if isinstance(indices_or_sections, int):
        base, extra = divmod(total, indices_or_sections)
        return _split(rec, input, axis, [base + (i < extra) for i in range(indices_or_sections)])
    ends = [*indices_or_sections, total]
    return _split(rec, input, axis, [end - start for start, end in zip([0, *ends[:-1]], ends, strict=True)])


@records("unbind")
def _unbind(rec: Any, input: Tensor, dim: int = 0) -> Any:
    return rec.emit("unbind", [input], {"axis": axis_of(dim, input.dim())}, view=True)


# --- indexing ---------------------------------------------------------------------------------------------------------
def slice_axis(x: Tensor, axis: int, start: int, stop: int, step: int) -> Tensor:
    """One axis cut; what a recorded slice calls."""
    return x[(slice(None),) * axis + (slice(start, stop, step),)]


def _slice(rec: Any, x: Tensor, axis: int, index: slice) -> Tensor:
    length = x.shape[axis]
    start, stop, step = index.indices(length)
    if (start, step) == (0, 1) and stop >= length:
        return x
    arguments = {"axis": axis, "start": start, "stop": max(start, stop), "step": step}
    args = (x, axis, start, max(start, stop), step)
    return rec.step("slice", slice_axis, args, [x], arguments, view=True)


def _select(rec: Any, x: Tensor, axis: int, index: int) -> Tensor:
    arguments = {"axis": axis, "index": index + x.shape[axis] if index < 0 else index}
    return rec.step("select", torch.select, (x, axis, index), [x], arguments, view=True)


@records("select")
def _select_call(rec: Any, input: Tensor, dim: int, index: int) -> Any:
    return _select(rec, input, axis_of(dim, input.dim()), int(index))


@records("narrow")
def _narrow(rec: Any, input: Tensor, dim: int, start: int, length: int) -> Any:
    axis = axis_of(dim, input.dim())
    start = axis_of(int(start), input.shape[axis])
    return _slice(rec, input, axis, slice(start, start + length))


@records("index_select")
def _index_select(rec: Any, input: Tensor, dim: int, index: Tensor) -> Any:
    return rec.emit("index_select", [input, index], {"axis": axis_of(dim, input.dim())})


@records("gather", "take_along_dim")
def _gather(rec: Any, input: Tensor, dim: int, index: Any, **_: Any) -> Any:
    if isinstance(dim, Tensor):  # take_along_dim(x, indices, dim)
        dim, index = index, dim
    return rec.emit("gather", [input, index], {"axis": axis_of(dim, input.dim())})


@records("__getitem__", spaces=(Tensor,))
def _getitem(rec: Any, input: Tensor, index: Any) -> Any:
    items = list(index) if isinstance(index, tuple) else [index]
    used = sum(item is not None and item is not Ellipsis for item in items)
    if any(item is Ellipsis for item in items):
        place = next(i for i, item in enumerate(items) if item is Ellipsis)
        items[place : place + 1] = [slice(None)] * (input.dim() - used)
    if sum(isinstance(item, (Tensor, list, bool)) for item in items) > 1:
        rec.unsupported("Tensor.__getitem__", "with several index tensors has no canonical form")
    x, axis = input, 0
    for item in items:
        if item is None:
            x = rec.step("unsqueeze", torch.unsqueeze, (x, axis), [x], {"axes": [axis]}, view=True)
            axis += 1
        elif isinstance(item, slice):
            x = _slice(
                rec, x, axis, slice(*(None if v is None else int(v) for v in (item.start, item.stop, item.step)))
            )
            axis += 1
        elif isinstance(item, list) or (isinstance(item, Tensor) and item.dim() > 0):
            x = _index(rec, x, axis, item)
            axis += 1
        elif isinstance(item, bool):
            rec.unsupported("Tensor.__getitem__", "with a bool has no canonical form")
        else:
            x = _select(rec, x, axis, int(item))
    return x


def _index(rec: Any, x: Tensor, axis: int, index: Any) -> Tensor:
    if isinstance(index, list):
        index = torch.tensor(index)
    if index.dtype == torch.bool or index.dim() != 1:
        rec.unsupported("Tensor.__getitem__", "with a mask, or indices of several axes, has no canonical form")
    if not rec.traced(index):
        index = torch.where(index < 0, index + x.shape[axis], index)
    return rec.step("index_select", torch.index_select, (x, axis, index), [x, index], {"axis": axis})


@records("__setitem__", spaces=(Tensor,))
def _setitem(rec: Any, input: Tensor, index: Any, value: Any) -> None:
    rec.unsupported("Tensor.__setitem__", "(assignment to a part of a tensor) has no canonical form")


@records("flip")
def _flip(rec: Any, input: Tensor, *dims: Any) -> Any:
    return rec.emit("flip", [input], {"axes": axes_of(sizes_of(dims), input.dim())}, input.shape)


@records("roll")
def _roll(rec: Any, input: Tensor, shifts: Any, dims: Any = None) -> Any:
    if dims is None or dims == ():
        rec.unsupported("torch.roll", "without axes has no canonical form")
    axes = [axis_of(axis, input.dim()) for axis in ([dims] if isinstance(dims, int) else dims)]
    return rec.emit("roll", [input], {"shifts": ints(shifts, len(axes)), "axes": axes}, input.shape)


@records("pad", spaces=(F,))
def _pad(rec: Any, input: Tensor, pad: Any, mode: str = "constant", value: Any = None) -> Any:
    rank = input.dim()
    begin, end = [0] * rank, [0] * rank
    for i in range(len(pad) // 2):
        begin[rank - 1 - i], end[rank - 1 - i] = int(pad[2 * i]), int(pad[2 * i + 1])
    if not any(begin) and not any(end):
        return rec.copy(input)
    if mode == "circular" or min(begin + end) < 0:
        rec.unsupported("pad", f"with mode {mode!r} or negative sizes has no canonical form")
    arguments = {"padding": begin + end, "mode": mode, "value": number(value or 0)}
    return rec.emit("pad", [input], arguments, [a + b + c for a, b, c in zip(begin, input.shape, end, strict=True)])


# --- made from the shape or type of a tensor: constants ---------------------------------------------------------------
def _constant_like(rec: Any, input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    kwargs.pop("device", None)
    return rec.call[0](torch.empty(input.shape, dtype=input.dtype), *args, **kwargs)


for _name in ("zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like", "new_zeros", "new_ones",
              "new_full", "new_empty", "new_tensor"):  # fmt: skip
    for _space in (torch, Tensor):
        if hasattr(_space, _name):
            HANDLERS[getattr(_space, _name)] = _constant_like
