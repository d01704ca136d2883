"""Handlers of what layers are made of: convolution, normalization, activation, pooling, recurrence, attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmt.torch_side.functions import HANDLERS, axis_of, ints, number, records
from mmt.torch_side.functions_math import cast


# --- convolution and linear -------------------------------------------------------------------------------------------
def conv_shape(
    x: Sequence[int], weight: Sequence[int], stride: list[int], padding: list[int], dilation: list[int], groups: int
) -> list[int] | None:
    """Output shape of a convolution; None where the shapes do not fit (torch then says why)."""
    n = len(stride)
    if len(x) != n + 2 or len(weight) != n + 2 or x[1] != weight[1] * groups or weight[0] % groups:
        return None
    shape = [x[0], weight[0]]
    for i in range(n):
        space = x[2 + i] + padding[i] + padding[n + i] - dilation[i] * (weight[2 + i] - 1) - 1
        if space < 0:
            return None
        shape.append(space // stride[i] + 1)
    return shape


def conv_padding(padding: Any, weight: Sequence[int], dilation: list[int]) -> list[int]:
    """[begin…, end…] of torch's padding argument ("same", "valid", an int or ints)."""
    n = len(dilation)
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, weight[2:], strict=True)]
        return [t // 2 for t in total] + [t - t // 2 for t in total]
    return ints(0 if padding == "valid" else padding, n) * 2


def emit_conv(
    rec: Any, n: int, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    stride, dilation = ints(stride, n), ints(dilation, n)
    padding = conv_padding(padding, weight.shape, dilation)
    shape = conv_shape(x.shape, weight.shape, stride, padding, dilation, groups)
    if shape is None and x.dim() == n + 1:
        rec.unsupported(f"conv{n}d", "without a batch axis has no canonical form")
    arguments = {"stride": stride, "padding": padding, "dilation": dilation, "groups": int(groups)}
    return rec.emit(f"conv{n}d", [x, weight, bias], arguments, shape)


def _conv(n: int) -> Any:
    def handler(
        rec: Any, input: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
        groups: int = 1,
    ) -> Any:  # fmt: skip
        return emit_conv(rec, n, input, weight, bias, stride, padding, dilation, groups)

    return handler


def _conv_transpose(n: int) -> Any:
    def handler(
        rec: Any, input: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, padding: Any = 0,
        output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
    ) -> Any:  # fmt: skip
        if input.dim() != n + 2:
            rec.unsupported(f"conv_transpose{n}d", "without a batch axis has no canonical form")
        arguments = {
            "stride": ints(stride, n), "padding": ints(padding, n) * 2, "output_padding": ints(output_padding, n),
            "dilation": ints(dilation, n), "groups": int(groups),
        }  # fmt: skip
        return rec.emit(f"conv_transpose{n}d", [input, weight, bias], arguments)

    return handler


for _n in (1, 2, 3):
    records(f"conv{_n}d")(_conv(_n))
    records(f"conv_transpose{_n}d")(_conv_transpose(_n))


@records("linear")
def linear(rec: Any, input: Tensor, weight: Tensor, bias: Any = None) -> Any:
    fits = weight.dim() == 2 and input.dim() > 0 and input.shape[-1] == weight.shape[1] and input.dtype == weight.dtype
    return rec.emit("linear", [input, weight, bias], {}, [*input.shape[:-1], weight.shape[0]] if fits else None)


@records("embedding", spaces=(F,))
def _embedding(rec: Any, input: Tensor, weight: Tensor, *_: Any, **__: Any) -> Any:
    return rec.emit("embedding", [input, weight], {}, [*input.shape, weight.shape[1]], weight.dtype)


# --- normalization ----------------------------------------------------------------------------------------------------
@records("batch_norm", spaces=(F,))
def batch_norm(
    rec: Any, input: Tensor, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
    training: bool = False, momentum: Any = 0.1, eps: float = 1e-5,
) -> Any:  # fmt: skip
    if running_mean is None or training:
        rec.unsupported("batch_norm", "with statistics of the batch has no canonical form")
    shape = input.shape if input.dim() > 1 and input.shape[1] == running_mean.shape[0] else None
    return rec.emit("batch_norm", [input, running_mean, running_var, weight, bias], {"eps": float(eps)}, shape)


@records("instance_norm", spaces=(F,))
def _instance_norm(
    rec: Any, input: Tensor, running_mean: Any = None, running_var: Any = None, weight: Any = None, bias: Any = None,
    use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Any:  # fmt: skip
    if not use_input_stats:
        return batch_norm(rec, input, running_mean, running_var, weight, bias, False, momentum, eps)
    return rec.emit("instance_norm", [input, weight, bias], {"eps": float(eps)}, input.shape)


@records("layer_norm")
def _layer_norm(
    rec: Any, input: Tensor, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any
) -> Any:
    shape = ints(normalized_shape, 1)
    known = input.shape if list(input.shape[-len(shape) :]) == shape else None
    return rec.emit("layer_norm", [input, weight, bias], {"shape": shape, "eps": float(eps)}, known)


@records("rms_norm")
def _rms_norm(rec: Any, input: Tensor, normalized_shape: Any, weight: Any = None, eps: Any = None) -> Any:
    shape = ints(normalized_shape, 1)
    eps = torch.finfo(input.dtype).eps if eps is None else eps
    known = input.shape if list(input.shape[-len(shape) :]) == shape else None
    return rec.emit("rms_norm", [input, weight], {"shape": shape, "eps": float(eps)}, known)


@records("group_norm")
def _group_norm(
    rec: Any, input: Tensor, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any
) -> Any:
    known = input.shape if input.dim() > 1 and input.shape[1] % num_groups == 0 else None
    return rec.emit("group_norm", [input, weight, bias], {"groups": int(num_groups), "eps": float(eps)}, known)


@records("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "feature_dropout")
def _dropout(rec: Any, input: Tensor, *_: Any, **__: Any) -> Any:
    return input


# --- activation -------------------------------------------------------------------------------------------------------
def activation(rec: Any, name: str, input: Tensor, inplace: bool = False, **arguments: Any) -> Any:
    rec.inplace |= inplace
    return rec.emit(name, [input], arguments, input.shape)


for _name in ("relu", "relu6", "hardswish", "hardsigmoid", "silu", "mish", "selu"):
    records(_name)(lambda rec, input, inplace=False, _canonical=_name: activation(rec, _canonical, input, inplace))
for _name in ("sigmoid", "tanh", "softsign", "logsigmoid", "tanhshrink"):
    records(_name)(lambda rec, input, _canonical=_name: activation(rec, _canonical, input))
HANDLERS[torch.special.expit] = HANDLERS[torch.sigmoid]


@records("gelu")
def _gelu(rec: Any, input: Tensor, *, approximate: str = "none") -> Any:
    return activation(rec, "gelu", input, approximate=approximate)


@records("leaky_relu")
def _leaky_relu(rec: Any, input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    return activation(rec, "leaky_relu", input, inplace, slope=float(negative_slope))


@records("elu", "celu")
def _elu(rec: Any, input: Tensor, alpha: float = 1.0, *rest: Any, inplace: bool = False, **more: Any) -> Any:
    flags = [value for value in rest if isinstance(value, bool)]
    if len(flags) != len(rest) or more:
        rec.unsupported(rec.name, "with other scales has no canonical form")
    return activation(rec, rec.name, input, inplace or any(flags), alpha=float(alpha))


@records("softplus")
def _softplus(rec: Any, input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Any:
    return activation(rec, "softplus", input, beta=float(beta), threshold=float(threshold))


@records("hardshrink", "softshrink")
def _shrink(rec: Any, input: Tensor, lambd: float = 0.5) -> Any:
    return activation(rec, rec.name, input, **{"lambda": float(lambd)})


@records("prelu")
def _prelu(rec: Any, input: Tensor, weight: Tensor) -> Any:
    return rec.emit("prelu", [input, weight], {}, input.shape)


@records("glu")
def _glu(rec: Any, input: Tensor, dim: int = -1) -> Any:
    axis = axis_of(dim, input.dim())
    half = [size // 2 if i == axis else size for i, size in enumerate(input.shape)]
    return rec.emit("glu", [input], {"axis": axis}, half if input.shape[axis] % 2 == 0 else None)


# --- pooling ----------------------------------------------------------------------------------------------------------
def pool_shape(
    x: Sequence[int], kernel: list[int], stride: list[int], padding: list[int], dilation: list[int], ceil_mode: bool
) -> list[int] | None:
    n = len(kernel)
    if len(x) != n + 2:
        return None
    shape = [x[0], x[1]]
    for i in range(n):
        if 2 * padding[i] > kernel[i]:
            return None
        space = x[2 + i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1
        size = (space + (stride[i] - 1 if ceil_mode else 0)) // stride[i] + 1
        if ceil_mode and (size - 1) * stride[i] >= x[2 + i] + padding[i]:
            size -= 1  # the last window must begin inside the input or its left padding
        if size < 1:
            return None
        shape.append(size)
    return shape


def emit_pool(
    rec: Any, kind: str, n: int, input: Tensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
    ceil_mode: bool, **more: Any,
) -> Any:  # fmt: skip
    if input.dim() != n + 2:
        rec.unsupported(f"{kind}_pool{n}d", "without a batch axis has no canonical form")
    kernel = ints(kernel_size, n)
    stride = kernel if stride is None or stride == [] else ints(stride, n)
    padding, dilation = ints(padding, n), ints(dilation, n)
    arguments = {"kernel": kernel, "stride": stride, "padding": padding * 2, "ceil_mode": bool(ceil_mode), **more}
    if kind == "max":
        arguments["dilation"] = dilation
    shape = pool_shape(input.shape, kernel, stride, padding, dilation, ceil_mode)
    return rec.emit(f"{kind}_pool{n}d", [input], arguments, shape)


def _max_pool(n: int) -> Any:
    def handler(
        rec: Any, input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False, return_indices: bool = False,
    ) -> Any:  # fmt: skip
        if return_indices:
            rec.unsupported(f"max_pool{n}d", "with indices has no canonical form")
        return emit_pool(rec, "max", n, input, kernel_size, stride, padding, dilation, ceil_mode)

    return handler


def _avg_pool(n: int) -> Any:
    def handler(
        rec: Any, input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: Any = None,
    ) -> Any:  # fmt: skip
        return emit_pool(
            rec, "avg", n, input, kernel_size, stride, padding, 1, ceil_mode,
            count_include_pad=bool(count_include_pad), divisor=divisor_override,
        )  # fmt: skip

    return handler


def emit_adaptive(rec: Any, kind: str, n: int, input: Tensor, output_size: Any) -> Any:
    if input.dim() != n + 2:
        rec.unsupported(f"adaptive_{kind}_pool{n}d", "without a batch axis has no canonical form")
    wanted = list(output_size) if isinstance(output_size, (tuple, list)) else [output_size] * n
    wanted = wanted * n if len(wanted) == 1 else wanted
    size = [int(input.shape[2 + i] if item is None else item) for i, item in enumerate(wanted)]
    return rec.emit(f"adaptive_{kind}_pool{n}d", [input], {"size": size}, [*input.shape[:2], *size])


def _adaptive(kind: str, n: int) -> Any:
    def handler(rec: Any, input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
        if return_indices:
            rec.unsupported(f"adaptive_{kind}_pool{n}d", "with indices has no canonical form")
        return emit_adaptive(rec, kind, n, input, output_size)

    return handler


for _n in (1, 2, 3):
    records(f"max_pool{_n}d")(_max_pool(_n))
    records(f"avg_pool{_n}d")(_avg_pool(_n))
    records(f"adaptive_avg_pool{_n}d", spaces=(F, torch))(_adaptive("avg", _n))
    records(f"adaptive_max_pool{_n}d", spaces=(F,))(_adaptive("max", _n))


# --- attention and recurrence -----------------------------------------------------------------------------------------
@records("scaled_dot_product_attention")
def _attention(
    rec: Any, query: Tensor, key: Tensor, value: Tensor, attn_mask: Any = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: Any = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    if enable_gqa and key.shape[-3] != query.shape[-3]:
        rec.unsupported("scaled_dot_product_attention", "with shared key heads has no canonical form")
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    arguments = {"causal": bool(is_causal), "scale": float(scale)}
    fits = query.shape[-1] == key.shape[-1] and query.shape[:-2] == key.shape[:-2] == value.shape[:-2]
    shape = [*query.shape[:-1], value.shape[-1]] if fits and key.shape[-2] == value.shape[-2] else None
    return rec.emit("attention", [query, key, value, attn_mask], arguments, shape)


def _recurrent(name: str, nonlinearity: str | None = None) -> Any:
    def handler(
        rec: Any, input: Tensor, hx: Any, params: Any, has_biases: Any, num_layers: Any, dropout: Any = 0.0,
        train: Any = False, bidirectional: Any = False, batch_first: Any = False,
    ) -> Any:  # fmt: skip
        if not isinstance(has_biases, bool) or input.dim() != 3:
            rec.unsupported(name, "of packed sequences or without a batch axis has no canonical form")
        states = list(hx) if isinstance(hx, (tuple, list)) else [hx]
        hidden = int(states[0].shape[-1])
        if name == "lstm" and states[1].shape[-1] != hidden:
            rec.unsupported("lstm", "with a projection has no canonical form")
        arguments = {
            "layers": int(num_layers), "bidirectional": bool(bidirectional), "batch_first": bool(batch_first),
            "bias": bool(has_biases), "hidden": hidden,
        }  # fmt: skip
        if nonlinearity:
            arguments["nonlinearity"] = nonlinearity
        output = [*input.shape[:2], hidden * (2 if bidirectional else 1)]
        return rec.emit(name, [input, *states, *params], arguments, shapes=[output, *[state.shape for state in states]])

    return handler


HANDLERS[torch.lstm] = _recurrent("lstm")
HANDLERS[torch.gru] = _recurrent("gru")
HANDLERS[torch.rnn_tanh] = _recurrent("rnn", "tanh")
HANDLERS[torch.rnn_relu] = _recurrent("rnn", "relu")


def _lstm_cell(x: Tensor, hx: Any, w_ih: Tensor, w_hh: Tensor, b_ih: Any = None, b_hh: Any = None) -> Any:
    hidden, cell = hx
    gates = F.linear(hidden, w_hh, b_hh) + F.linear(x, w_ih, b_ih)
    in_gate, forget, new, out = gates.split(hidden.shape[1], 1)
    cell = torch.sigmoid(forget) * cell + torch.sigmoid(in_gate) * torch.tanh(new)
    return torch.sigmoid(out) * torch.tanh(cell), cell


def _gru_cell(x: Tensor, hidden: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Any = None, b_hh: Any = None) -> Any:
    i_reset, i_update, i_new = F.linear(x, w_ih, b_ih).split(hidden.shape[1], 1)
    h_reset, h_update, h_new = F.linear(hidden, w_hh, b_hh).split(hidden.shape[1], 1)
    reset, update = torch.sigmoid(h_reset + i_reset), torch.sigmoid(h_update + i_update)
    new = torch.tanh(i_new + h_new * reset)
    return (hidden - new) * update + new


def _rnn_cell(function: Any) -> Any:
    def compute(x: Tensor, hidden: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Any = None, b_hh: Any = None) -> Any:
        return function(F.linear(hidden, w_hh, b_hh) + F.linear(x, w_ih, b_ih))

    return compute


for _cell, _compute in (
    (torch.lstm_cell, _lstm_cell),
    (torch.gru_cell, _gru_cell),
    (torch.rnn_tanh_cell, _rnn_cell(torch.tanh)),
    (torch.rnn_relu_cell, _rnn_cell(torch.relu)),
):  # a cell is what torch itself, and hence its exporter, makes of it
    HANDLERS[_cell] = lambda rec, *args, _compute=_compute, **kwargs: rec.redo(_compute, *args, **kwargs)


# --- resampling -------------------------------------------------------------------------------------------------------
@records("interpolate", spaces=(F,))
def _interpolate(
    rec: Any, input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: Any = None, recompute_scale_factor: Any = None, antialias: bool = False,
) -> Any:  # fmt: skip
    n = input.dim() - 2
    if antialias:
        rec.unsupported("interpolate", "with antialias has no canonical form")
    if size is not None:
        scale = None
        size = ints(size, n)
    else:
        factors = list(scale_factor) if isinstance(scale_factor, (tuple, list)) else [scale_factor] * n
        scale = None if recompute_scale_factor else [float(number(factor)) for factor in factors]
        size = [
            int(float(length) * float(number(factor))) for length, factor in zip(input.shape[2:], factors, strict=True)
        ]
    arguments = {"size": size, "scale": scale, "mode": mode, "align_corners": bool(align_corners)}
    return rec.emit("interpolate", [input], arguments, [*input.shape[:2], *size])


@records("grid_sample", spaces=(F,))
def _grid_sample(
    rec: Any,
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: Any = None,
) -> Any:
    arguments = {"mode": mode, "padding_mode": padding_mode, "align_corners": bool(align_corners)}
    shape = [*input.shape[:2], *grid.shape[1:-1]]
    return rec.emit("grid_sample", [input, grid], arguments, shape)


@records("pixel_shuffle", "pixel_unshuffle")
def _pixel_shuffle(rec: Any, input: Tensor, factor: int) -> Any:
    return rec.emit(rec.name, [input], {"factor": int(factor)})


@records("channel_shuffle")
def _channel_shuffle(rec: Any, input: Tensor, groups: int) -> Any:
    shape = input.shape if input.shape[1] % groups == 0 else None
    return rec.emit("channel_shuffle", [input], {"groups": int(groups)}, shape)


__all__ = ["activation", "batch_norm", "cast", "emit_adaptive", "emit_conv", "emit_pool", "linear"]
