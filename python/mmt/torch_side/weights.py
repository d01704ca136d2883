"""Seeded weights: the same operator gets the same values on every machine and in every run.

Values are of a realistic size (layers keep the scale of what flows through them) and never near the denormals, which
would change the time of a run.
"""

from __future__ import annotations

import hashlib
import math

import torch

from mmt._core import onnx


def seed_of(text: str) -> int:
    """A 63-bit seed from any text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def seed_weights(module: torch.nn.Module, identity: str) -> None:
    """Fills all parameters of `module`, and the statistics of its batch norms, with values that follow from `identity`.

    Parameters of rank 2 and more: uniform, scaled to their fan-in. Vectors: scales around 1, biases around 0. Running
    means around 0, running variances in [0.5, 1.5]. Other buffers (masks, tables, positions) stay as the module made
    them. A parameter that occurs twice is filled once, under its first name.
    """
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            _fill(parameter.data, name, identity)
        for name, buffer in module.named_buffers():
            kind = name.rpartition(".")[2]
            if kind in ("running_mean", "running_var") and buffer.is_floating_point():
                _fill(buffer, name, identity)


def seeded(tensor: torch.Tensor, name: str, identity: str) -> torch.Tensor:
    """What `seed_weights` puts into the parameter or statistic of this name, as a new tensor in memory."""
    values = torch.empty(tensor.shape, dtype=tensor.dtype)
    _fill(values, name, identity)
    return values


def _fill(tensor: torch.Tensor, name: str, identity: str) -> None:
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return
    values = tensor
    if tensor.dtype != torch.float32 or not tensor.is_contiguous() or tensor.device.type != "cpu":
        values = torch.empty(tensor.shape, dtype=torch.float32)
    low, high = _range(tensor, name.rpartition(".")[2])
    onnx.fill_weights(values.data_ptr(), values.numel(), low, high, seed_of(f"{identity}/{name}"))
    if values is not tensor:
        tensor.copy_(values)


def _range(tensor: torch.Tensor, kind: str) -> tuple[float, float]:
    if kind == "running_var":
        return 0.5, 1.5
    if kind == "running_mean":
        return -0.5, 0.5
    if tensor.dim() <= 1:
        if "bias" in kind or kind == "beta":
            return -0.1, 0.1
        return 0.5, 1.5  # scales of norms, layer scales, slopes
    bound = math.sqrt(3.0 / max(1, tensor[0].numel()))  # uniform serves as well as normal: only the size matters
    return -bound, bound
