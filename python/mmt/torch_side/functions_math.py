"""Handlers of arithmetic, comparison, selection, types and matrix products."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmt.torch_side.functions import HANDLERS, axis_of, broadcast, number, records
from mmt.torch_side.structure import dtype_name

_OPERATORS = {
    "add": ["__add__", "__radd__", "__iadd__"],
    "sub": ["__sub__", "__isub__", "subtract"],
    "mul": ["__mul__", "__rmul__", "__imul__", "multiply"],
    "div": ["__div__", "__truediv__", "__itruediv__", "__idiv__", "divide", "true_divide"],
}
_COMPARISONS = {"eq": "__eq__", "ne": "__ne__", "gt": "__gt__", "ge": "__ge__", "lt": "__lt__", "le": "__le__"}
_LOGIC = {"logical_and": "__and__", "logical_or": "__or__", "logical_xor": "__xor__"}


def binary(rec: Any, name: str, left: Any, right: Any, dtype: torch.dtype | None = None, **arguments: Any) -> Any:
    """Records a broadcasting function of two operands, one of which may be a scalar. `dtype`: of the result, where
    it is not that of the operands."""
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        if left.dtype == right.dtype:
            shape = broadcast(left.shape, right.shape)
            return rec.emit(name, [left, right], arguments, None if rec.inplace else shape, dtype)
        return rec.emit(name, [left, right], arguments)
    tensor, scalar, side = (left, right, "other") if isinstance(left, Tensor) else (right, left, "self")
    arguments[side] = number(scalar)
    kept = tensor.dtype.is_floating_point or (type(scalar) is int and tensor.dtype != torch.bool and name != "div")
    if not kept and dtype is None:
        return rec.emit(name, [tensor], arguments)
    return rec.emit(name, [tensor], arguments, tensor.shape, dtype)


def _scaled(name: str) -> Any:
    def handler(rec: Any, input: Any, other: Any, *, alpha: Any = 1) -> Any:
        extra = {} if alpha == 1 else {"alpha": number(alpha)}
        return binary(rec, name, input, other, **extra)

    return handler


@records("mul", *_OPERATORS["mul"])
def _mul(rec: Any, input: Any, other: Any) -> Any:
    return binary(rec, "mul", input, other)


@records("div", *_OPERATORS["div"])
def _div(rec: Any, input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    if rounding_mode == "floor":
        return binary(rec, "floor_divide", input, other)
    if rounding_mode is not None:
        rec.unsupported(f"torch.div(rounding_mode={rounding_mode!r})")
    if isinstance(input, Tensor) and not input.dtype.is_floating_point:
        extra = {"other": number(other)} if not isinstance(other, Tensor) else {}
        return rec.emit("div", [input] + ([other] if isinstance(other, Tensor) else []), extra)
    return binary(rec, "div", input, other)


records("add", *_OPERATORS["add"])(_scaled("add"))
records("sub", *_OPERATORS["sub"])(_scaled("sub"))


@records("rsub", "__rsub__")
def _rsub(rec: Any, input: Any, other: Any, *, alpha: Any = 1) -> Any:
    extra = {} if alpha == 1 else {"alpha": number(alpha)}
    return binary(rec, "sub", other, input, **extra)


@records("__rdiv__", "__rtruediv__")
def _rdiv(rec: Any, input: Tensor, other: Any) -> Any:
    return binary(rec, "div", other, input)


@records("pow", "__pow__", "float_power")
def _pow(rec: Any, input: Any, exponent: Any) -> Any:
    return binary(rec, "pow", input, exponent)


@records("__rpow__")
def _rpow(rec: Any, input: Tensor, other: Any) -> Any:
    return binary(rec, "pow", other, input)


for _name, _more in (
    ("maximum", ()),
    ("minimum", ()),
    ("remainder", ("__mod__",)),
    ("floor_divide", ("__floordiv__",)),
    ("atan2", ("arctan2",)),
):

    def _simple(rec: Any, input: Any, other: Any, _canonical: str = _name) -> Any:
        return binary(rec, _canonical, input, other)

    records(_name, *_more)(_simple)

for _name, _method in (_COMPARISONS | _LOGIC).items():

    def _compare(rec: Any, input: Any, other: Any, _canonical: str = _name) -> Any:
        return binary(rec, _canonical, input, other, torch.bool)

    records(_name)(_compare)
    HANDLERS.setdefault(getattr(Tensor, _method), _compare)


@records("bitwise_and", "bitwise_or", "bitwise_xor")
def _bitwise(rec: Any, input: Any, other: Any) -> Any:
    name = rec.name.replace("bitwise", "logical")
    if not isinstance(input, Tensor) or input.dtype != torch.bool:
        rec.unsupported(name.replace("logical", "bitwise"), "on numbers has no canonical form")
    return binary(rec, name, input, other, torch.bool)


_UNARY = (
    "neg abs exp expm1 log log1p log2 log10 sqrt rsqrt square reciprocal erf erfc sin cos tan asin acos atan sinh cosh "
    "asinh acosh atanh floor ceil trunc round sign"
)
for _name in _UNARY.split():

    def _unary(rec: Any, input: Tensor, _canonical: str = _name) -> Any:
        return rec.emit(_canonical, [input], {}, input.shape if input.dtype.is_floating_point else None)

    records(_name)(_unary)
for _alias, _name in (("__neg__", "neg"), ("__abs__", "abs"), ("negative", "neg"), ("absolute", "abs")):
    HANDLERS.setdefault(getattr(Tensor, _alias), HANDLERS[getattr(Tensor, _name)])
    if hasattr(torch, _alias):
        HANDLERS.setdefault(getattr(torch, _alias), HANDLERS[getattr(Tensor, _name)])


@records("logical_not", "__invert__", "bitwise_not")
def _logical_not(rec: Any, input: Tensor) -> Any:
    if input.dtype != torch.bool:
        rec.unsupported("logical_not", "on numbers has no canonical form")
    return rec.emit("logical_not", [input], {}, input.shape)


@records("isnan", "isinf")
def _isnan(rec: Any, input: Tensor) -> Any:
    return rec.emit(rec.name, [input], {}, input.shape, torch.bool)


@records("clamp", "clip")
def clamp(rec: Any, input: Tensor, min: Any = None, max: Any = None) -> Any:
    """Clamping by numbers; by tensors it is maximum and minimum."""
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        changed = rec.inplace
        result = rec.redo(_clamp_by_tensors, input, min, max)
        return rec.assign(input, result) if changed else result
    if input.dtype.is_floating_point and min == 0 and max == 6:
        return rec.emit("relu6", [input], {}, input.shape)
    arguments = {"min": None if min is None else number(min), "max": None if max is None else number(max)}
    return rec.emit("clamp", [input], arguments, input.shape if input.dtype.is_floating_point else None)


def _clamp_by_tensors(input: Tensor, low: Any, high: Any) -> Tensor:
    if low is not None:
        input = torch.maximum(input, low) if isinstance(low, Tensor) else torch.clamp(input, min=low)
    if high is not None:
        input = torch.minimum(input, high) if isinstance(high, Tensor) else torch.clamp(input, max=high)
    return input


@records("clamp_min")
def _clamp_min(rec: Any, input: Tensor, min: Any) -> Any:
    return clamp(rec, input, min, None)


@records("clamp_max")
def _clamp_max(rec: Any, input: Tensor, max: Any) -> Any:
    return clamp(rec, input, None, max)


@records("hardtanh")
def hardtanh(rec: Any, input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    rec.inplace |= inplace
    return clamp(rec, input, min_val, max_val)


@records("addcmul")
def _addcmul(rec: Any, input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Any:
    changed = rec.inplace
    scaled = (lambda: input + tensor1 * tensor2) if value == 1 else (lambda: input + tensor1 * tensor2 * value)
    result = rec.redo(scaled)
    return rec.assign(input, result) if changed else result


@records("addcdiv")
def _addcdiv(rec: Any, input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Any:
    changed = rec.inplace
    result = rec.redo(lambda: input + (tensor1 / tensor2 if value == 1 else value * tensor1 / tensor2))
    return rec.assign(input, result) if changed else result


@records("lerp")
def _lerp(rec: Any, input: Tensor, end: Tensor, weight: Any) -> Any:
    changed = rec.inplace
    result = rec.redo(lambda: input + (end - input) * weight)
    return rec.assign(input, result) if changed else result


# --- selection --------------------------------------------------------------------------------------------------------
@records("where")
def _where(rec: Any, condition: Tensor, input: Any = None, other: Any = None) -> Any:
    if input is None or other is None:
        rec.unsupported("torch.where(condition)", "gives a result whose shape depends on values")
    if not isinstance(condition, Tensor) or condition.dtype != torch.bool:
        rec.unsupported("torch.where", "with a condition that is not bool has no canonical form")
    if rec.call[0] is Tensor.where:  # x.where(condition, y)
        rec.unsupported("Tensor.where")
    return _select(rec, condition, input, other)


def _select(rec: Any, condition: Tensor, input: Any, other: Any) -> Any:
    arguments = {}
    tensors: list[Tensor | None] = [condition, None, None]
    for place, (key, value) in enumerate((("self", input), ("other", other)), start=1):
        if isinstance(value, Tensor):
            tensors[place] = value
        else:
            arguments[key] = number(value)
    return rec.emit("where", tensors, arguments)


def _method_where(rec: Any, input: Any, condition: Tensor, other: Any) -> Any:
    rec.call = (torch.where, (condition, input, other), {})
    return _select(rec, condition, input, other)


HANDLERS[Tensor.where] = _method_where


@records("masked_fill")
def _masked_fill(rec: Any, input: Tensor, mask: Tensor, value: Any) -> Any:
    shape = None if rec.inplace else broadcast(input.shape, mask.shape)
    return rec.emit("masked_fill", [input, mask], {"value": number(value)}, shape)


@records("tril", "triu")
def _triangle(rec: Any, input: Tensor, diagonal: int = 0) -> Any:
    return rec.emit(rec.name, [input], {"diagonal": int(diagonal)}, input.shape)


# --- matrix products --------------------------------------------------------------------------------------------------
@records("matmul", "__matmul__", "bmm", "mm", "mv", "dot")
def _matmul(rec: Any, input: Tensor, other: Tensor) -> Any:
    shape = None
    if input.dim() >= 2 and other.dim() >= 2 and input.dtype == other.dtype and input.shape[-1] == other.shape[-2]:
        batch = broadcast(input.shape[:-2], other.shape[:-2])
        shape = None if batch is None else [*batch, input.shape[-2], other.shape[-1]]
    return rec.emit("matmul", [input, other], {}, shape)


@records("__rmatmul__")
def _rmatmul(rec: Any, input: Tensor, other: Tensor) -> Any:
    rec.call = (torch.matmul, (other, input), {})
    return _matmul(rec, other, input)


@records("addmm", "baddbmm")
def _addmm(rec: Any, input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
    arguments = {"alpha": number(alpha), "beta": number(beta)}
    return rec.emit(rec.name, [input, mat1, mat2], arguments)


@records("einsum", spaces=(torch,))
def _einsum(rec: Any, equation: str, *operands: Any) -> Any:
    if not isinstance(equation, str):
        rec.unsupported("torch.einsum", "with lists of indices has no canonical form")
    tensors = list(operands[0]) if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else list(operands)
    return rec.emit("einsum", tensors, {"equation": equation.replace(" ", "")})


@records("softmax", "log_softmax")
def softmax(rec: Any, input: Tensor, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    if isinstance(_stacklevel, torch.dtype):  # torch.softmax(x, dim, dtype)
        dtype = _stacklevel
    name = rec.name
    if dim is None:
        dim = 0 if input.dim() in (0, 1, 3) else 1  # what torch takes, with a warning
    if dtype is not None and dtype != input.dtype:
        return rec.redo(lambda: getattr(F, name)(input.to(dtype), dim=dim))
    return rec.emit(name, [input], {"axis": axis_of(dim, input.dim())}, input.shape)


@records("type_as")
def _type_as(rec: Any, input: Tensor, other: Tensor) -> Any:
    return cast(rec, input, other.dtype)


def cast(rec: Any, input: Tensor, dtype: torch.dtype) -> Any:
    """A change of type; nothing where it is the same."""
    if dtype == input.dtype:
        return input
    rec.call = (Tensor.to, (input, dtype), {})
    return rec.emit("cast", [input], {"dtype": dtype_name(dtype)}, input.shape, dtype)


@records("to", spaces=(Tensor,))
def _to(rec: Any, input: Tensor, *args: Any, **kwargs: Any) -> Any:
    for value in (*args, *kwargs.values()):
        if isinstance(value, torch.dtype):
            return cast(rec, input, value)
        if isinstance(value, Tensor):
            return cast(rec, input, value.dtype)
    return input


@records("as_tensor", "asarray", spaces=(torch,))
def _as_tensor(rec: Any, data: Tensor, dtype: Any = None, device: Any = None, **_: Any) -> Any:
    return data if dtype is None else cast(rec, data, dtype)


@records("type", spaces=(Tensor,))
def _type(rec: Any, input: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    if not isinstance(dtype, torch.dtype):
        rec.unsupported("Tensor.type", "with a name has no canonical form")
    return cast(rec, input, dtype)


def _caster(dtype: torch.dtype) -> Any:
    return lambda rec, input, memory_format=None: cast(rec, input, dtype)


for _name in ("float", "double", "half", "bfloat16", "int", "long", "short", "bool"):
    HANDLERS[getattr(Tensor, _name)] = _caster(getattr(torch, _name))
