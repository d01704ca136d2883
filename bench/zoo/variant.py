"""What the zoo holds: named variants of model families, each with its inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Input:
    """One model input. Floats are drawn from a normal distribution, integers from [0, high)."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    high: int = 0


@dataclass(frozen=True)
class Variant:
    """One configuration of a family. `build()` gives the same weights each time (the caller need not seed)."""

    name: str
    builder: Callable[[], nn.Module]
    inputs: tuple[Input, ...]

    @property
    def input_shape(self) -> list[int] | list[list[int]]:
        """A shape for one input, a list of shapes for several."""
        shapes = [list(one.shape) for one in self.inputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def input_dtypes(self) -> list[str]:
        return [one.dtype for one in self.inputs]

    def build(self) -> nn.Module:
        """The model, in evaluation mode."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.builder().eval()

    def example_inputs(self, seed: int = 0) -> tuple[torch.Tensor, ...]:
        """Seeded inputs for a forward pass."""
        generator = torch.Generator().manual_seed(seed)
        return tuple(
            torch.randint(0, one.high, one.shape, generator=generator)
            if one.dtype == "int64"
            else torch.randn(one.shape, generator=generator)
            for one in self.inputs
        )


def image(name: str, builder: Callable[[], nn.Module], size: int, batch: int = 1) -> Variant:
    """A variant with one input [batch, 3, size, size]."""
    return Variant(name, builder, (Input((batch, 3, size, size)),))
