"""Handlers of reductions, and of what picks elements by value."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mmt.torch_side.functions import axes_of, axis_of, records
from mmt.torch_side.functions_math import binary


def reduce(rec: Any, name: str, input: Tensor, dim: Any, keepdim: bool, dtype: Any = None, **arguments: Any) -> Any:
    axes = axes_of(dim, input.dim())
    if dtype is not None and dtype != input.dtype:
        rec.unsupported(f"torch.{name}(dtype={dtype})")
    shape = [1 if i in axes else size for i, size in enumerate(input.shape) if keepdim or i not in axes]
    arguments = {"axes": axes, "keepdim": bool(keepdim), **arguments}
    return rec.emit(name, [input], arguments, shape if input.dtype.is_floating_point else None)


for _name in ("mean", "sum", "amax", "amin", "logsumexp"):

    def _reduce(
        rec: Any, input: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None, _canonical: str = _name
    ) -> Any:
        return reduce(rec, _canonical, input, dim, keepdim, dtype)

    records(_name)(_reduce)


@records("prod")
def _prod(rec: Any, input: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    return reduce(rec, "prod", input, dim, keepdim, dtype)


@records("all", "any")
def _truth(rec: Any, input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    if input.dtype != torch.bool:
        rec.unsupported(rec.name, "on numbers has no canonical form")
    axes = axes_of(dim, input.dim())
    return rec.emit(rec.name, [input], {"axes": axes, "keepdim": bool(keepdim)})


@records("var", "std")
def _spread(rec: Any, input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, **more: Any) -> Any:
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    correction = more.get("correction")
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    name = rec.name
    return reduce(rec, name, input, dim, keepdim, correction=int(correction))


@records("norm")
def _norm(rec: Any, input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, out: Any = None,
          dtype: Any = None, ord: Any = None) -> Any:  # fmt: skip
    order = p if ord is None else ord
    return _vector_norm(rec, input, 2 if order in ("fro", None) else order, dim, keepdim, dtype=dtype)


@records("vector_norm")
def _vector_norm(
    rec: Any, x: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Any:
    if ord not in (1, 2):
        rec.unsupported(f"norm(p={ord})")
    return reduce(rec, "norm", x, dim, keepdim, dtype, p=int(ord))


def _extreme(whole: str, pair: str, two: str) -> Any:
    def handler(rec: Any, input: Tensor, dim: Any = None, keepdim: bool = False, other: Any = None) -> Any:
        if isinstance(dim, Tensor) or other is not None:
            return binary(rec, two, input, dim if other is None else other)
        if dim is None:
            return reduce(rec, whole, input, None, False)
        axis = axis_of(dim, input.dim())
        return rec.emit(pair, [input], {"axis": axis, "keepdim": bool(keepdim)})

    return handler


records("max")(_extreme("amax", "max_with_indices", "maximum"))
records("min")(_extreme("amin", "min_with_indices", "minimum"))


@records("argmax", "argmin")
def _argmax(rec: Any, input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    axis = None if dim is None else axis_of(dim, input.dim())
    return rec.emit(rec.name, [input], {"axis": axis, "keepdim": bool(keepdim)})


@records("cumsum")
def _cumsum(rec: Any, input: Tensor, dim: int, *, dtype: Any = None) -> Any:
    if dtype not in (None, input.dtype):
        rec.unsupported(f"torch.cumsum(dtype={dtype})")
    return rec.emit("cumsum", [input], {"axis": axis_of(dim, input.dim())})


@records("topk")
def _topk(rec: Any, input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    return rec.emit("topk", [input], {"axis": axis_of(dim, input.dim()), "k": int(k), "largest": bool(largest)})


@records("sort")
def _sort(rec: Any, input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    return rec.emit("sort", [input], {"axis": axis_of(dim, input.dim()), "largest": bool(descending)})
