"""Seeded weights: the same operator gets the same values on every machine and in every run.

Values are of a realistic size (layers keep the scale of what flows through them) and never near the denormals, which
would change the time of a run.
"""

from __future__ import annotations

import hashlib
import math

import torch

_SMALLEST = 1e-4  # magnitude below which no weight falls


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
            _fill(parameter.data, name.rpartition(".")[2], _generator(identity, name))
        for name, buffer in module.named_buffers():
            kind = name.rpartition(".")[2]
            if kind in ("running_mean", "running_var") and buffer.is_floating_point():
                _fill(buffer, kind, _generator(identity, name))


def seeded(tensor: torch.Tensor, name: str, identity: str) -> torch.Tensor:
    """What `seed_weights` puts into the parameter or statistic of this name, as a new tensor in memory."""
    values = torch.empty(tensor.shape, dtype=tensor.dtype)
    _fill(values, name.rpartition(".")[2], _generator(identity, name))
    return values


def _generator(identity: str, name: str) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(f"{identity}/{name}"))


def _fill(tensor: torch.Tensor, kind: str, generator: torch.Generator) -> None:
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return
    values = torch.empty(tensor.shape, dtype=torch.float32)
    if kind == "running_var":
        values.uniform_(0.5, 1.5, generator=generator)
    elif kind == "running_mean":
        values.uniform_(-0.5, 0.5, generator=generator)
    elif tensor.dim() <= 1:
        if "bias" in kind or kind == "beta":
            values.uniform_(-0.1, 0.1, generator=generator)
        else:  # scales of norms, layer scales, slopes
            values.uniform_(0.5, 1.5, generator=generator)
    else:
        fan_in = tensor[0].numel()
        # Uniform costs a third of normal and serves as well: only the size of the values matters.
        bound = math.sqrt(3.0 / max(1, fan_in))
        values.uniform_(-bound, bound, generator=generator)
    tiny = values.abs() < _SMALLEST
    if bool(tiny.any()):
        values[tiny] = _SMALLEST
    tensor.copy_(values)
