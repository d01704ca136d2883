"""Torch's own leaf modules, recorded without running their forward.

Only for speed: what is recorded is what their forward would call. `leaf(rec, module, x)` returns NotImplemented
where it does not know the module's configuration.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from mmt.torch_side.functions_layers import activation, batch_norm, conv_shape, emit_adaptive, emit_pool, linear


def _conv(n: int) -> Any:
    def leaf(rec: Any, module: Any, x: Tensor) -> Any:
        parameters = module._parameters
        weight = parameters["weight"]
        if module.padding_mode != "zeros" or isinstance(module.padding, str) or weight is None:
            return NotImplemented
        stride, dilation, padding = list(module.stride), list(module.dilation), list(module.padding) * 2
        shape = conv_shape(x.shape, weight.shape, stride, padding, dilation, module.groups)
        if shape is None:
            return NotImplemented
        arguments = {"stride": stride, "padding": padding, "dilation": dilation, "groups": module.groups}
        return rec.emit(f"conv{n}d", [x, weight, parameters["bias"]], arguments, shape)

    return leaf


def _batch_norm(rank: tuple[int, ...]) -> Any:
    def leaf(rec: Any, module: Any, x: Tensor) -> Any:
        buffers, parameters = module._buffers, module._parameters
        mean = buffers["running_mean"]
        if mean is None or x.dim() not in rank or x.shape[1] != mean.shape[0]:
            return NotImplemented
        return batch_norm(
            rec, x, mean, buffers["running_var"], parameters["weight"], parameters["bias"], eps=module.eps
        )

    return leaf


def _linear(rec: Any, module: Any, x: Tensor) -> Any:
    weight = module._parameters["weight"]
    if weight is None or x.dim() == 0 or x.shape[-1] != weight.shape[1] or x.dtype != weight.dtype:
        return NotImplemented
    return linear(rec, x, weight, module._parameters["bias"])


def _activation(name: str) -> Any:
    return lambda rec, module, x: activation(rec, name, x, getattr(module, "inplace", False))


def _max_pool(rec: Any, module: Any, x: Tensor) -> Any:
    if module.return_indices or x.dim() != 4:
        return NotImplemented
    known = _fits(x, module.kernel_size, module.padding)
    if not known:
        return NotImplemented
    return emit_pool(
        rec, "max", 2, x, module.kernel_size, module.stride, module.padding, module.dilation, module.ceil_mode
    )


def _fits(x: Tensor, kernel_size: Any, padding: Any) -> bool:
    """Cheap proof that a pooling has a result, so that its shape is known."""
    kernel = max(kernel_size) if isinstance(kernel_size, tuple) else kernel_size
    pad = padding if isinstance(padding, int) else max(padding)
    least = kernel if isinstance(kernel_size, int) else min(kernel_size)
    return 2 * pad <= least and kernel <= min(x.shape[2], x.shape[3])


def _adaptive_avg_pool(rec: Any, module: Any, x: Tensor) -> Any:
    return emit_adaptive(rec, "avg", 2, x, module.output_size) if x.dim() == 4 else NotImplemented


def _identity(rec: Any, module: Any, x: Tensor) -> Tensor:
    return x


LEAVES: dict[type, Any] = {
    nn.Conv1d: _conv(1),
    nn.Conv2d: _conv(2),
    nn.Conv3d: _conv(3),
    nn.BatchNorm1d: _batch_norm((2, 3)),
    nn.BatchNorm2d: _batch_norm((4,)),
    nn.BatchNorm3d: _batch_norm((5,)),
    nn.Linear: _linear,
    nn.ReLU: _activation("relu"),
    nn.ReLU6: _activation("relu6"),
    nn.Hardswish: _activation("hardswish"),
    nn.Hardsigmoid: _activation("hardsigmoid"),
    nn.SiLU: _activation("silu"),
    nn.Sigmoid: _activation("sigmoid"),
    nn.Tanh: _activation("tanh"),
    nn.Mish: _activation("mish"),
    nn.MaxPool2d: _max_pool,
    nn.AdaptiveAvgPool2d: _adaptive_avg_pool,
    nn.Identity: _identity,
    nn.Dropout: _identity,
    nn.Dropout2d: _identity,
}
