"""Small models of many kinds for tests, and operator folders that are scanned and metered for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(4, 8, 1)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.a(x) + self.b(y))


class Tokens(nn.Module):
    """Integer input, embedding, attention, layer norms."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 32)
        self.layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.head = nn.Linear(32, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(self.embedding(x)))


class Recurrent(nn.Module):
    def __init__(self, cls: type[nn.Module]) -> None:
        super().__init__()
        self.layer, self.head = cls(16, 24, batch_first=True), nn.Linear(24, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(x)[0])


class Upsampling(nn.Module):
    """Transposed and dilated convolutions, interpolation."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, 8, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 8, 4, 2, 1)
        self.dilated = nn.Conv2d(8, 8, 3, padding=2, dilation=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dilated(nn.functional.interpolate(self.up(self.first(x)), scale_factor=2, mode="bilinear"))


def images() -> nn.Module:
    layers = [nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 64, 10)]
    return nn.Sequential(*layers)


def sequence() -> nn.Module:
    convolutions = [nn.Conv1d(8, 16, 3, padding=1), nn.ReLU(), nn.Conv1d(16, 16, 3, padding=2, dilation=2)]
    return nn.Sequential(*convolutions, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(16, 4))


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(16, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 4))


class DenseLayer(nn.Module):
    """Ends with a concatenation, which the next layer reads, and joins to its own."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(channels), nn.Conv2d(channels, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.conv(torch.relu(self.norm(x)))], 1)


def dense() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), *(DenseLayer(channels) for channels in (16, 24, 32)),
                         nn.BatchNorm2d(40), nn.ReLU())  # fmt: skip


class Split(nn.Module):
    """Halves of the channels go different ways, as in cross-stage networks."""

    def __init__(self) -> None:
        super().__init__()
        self.inlet, self.outlet = nn.Conv2d(4, 16, 3, padding=1), nn.Conv2d(24, 8, 1)
        self.ways = nn.ModuleList(nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = self.inlet(x).chunk(2, dim=1)
        second = self.ways[0](second)
        return self.outlet(torch.cat([self.ways[1](first), second, self.ways[2](second)], 1))


@dataclass(frozen=True)
class Kind:
    build: Callable[[], nn.Module]
    shapes: list[list[int]]
    dtype: str = "float32"


class Normed(nn.Module):
    """Norms that end with a reshape, activations behind reshapes, a classifier of linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.instance, self.groups = nn.InstanceNorm2d(8, affine=True), nn.GroupNorm(4, 16)
        self.head = nn.Sequential(nn.Linear(16 * 16, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 5), nn.LogSoftmax(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.max_pool2d(functional.leaky_relu(self.instance(self.first(x)), 0.2), 2)
        x = functional.max_pool2d(functional.leaky_relu(self.groups(self.second(x)), 0.2), 2)
        return self.head(x.view(x.size(0), -1))


class Skipping(nn.Module):
    """A skip connection that is concatenated to what a transposed convolution makes."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.up, self.join = nn.ConvTranspose2d(16, 8, 2, 2), nn.Conv2d(16, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = torch.relu(self.down(x))
        x = torch.relu(self.deep(functional.max_pool2d(kept, 2)))
        return self.join(torch.cat([kept, self.up(x)], 1))


class Branching(nn.Module):
    """Branches that are concatenated, twice, and read by several layers."""

    def __init__(self) -> None:
        super().__init__()
        self.ones = nn.ModuleList([nn.Conv2d(channels, 8, 1) for channels in (4, 16)])
        self.threes = nn.ModuleList([nn.Conv2d(channels, 8, 3, padding=1) for channels in (4, 16)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for one, three in zip(self.ones, self.threes, strict=True):
            x = torch.cat((torch.relu(one(x)), torch.relu(three(x))), dim=1)
        return x.mean((2, 3))


class Resized(nn.Module):
    """Kernels that the engine computes in plain C++ code between others: it copies what they read and write."""

    def __init__(self) -> None:
        super().__init__()
        self.low, self.high = nn.Conv2d(8, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = functional.interpolate(self.low(x), scale_factor=2, mode="bilinear")
        return self.high(functional.elu(low + x))


def temporal() -> nn.Module:
    return nn.Sequential(nn.Conv1d(8, 16, 3, padding=1), nn.ELU(), nn.Conv1d(16, 16, 3, padding=1), nn.ReLU())


KINDS = {
    "two inputs": Kind(TwoInputs, [[1, 4, 16, 16], [1, 4, 16, 16]]),
    "integer input, attention": Kind(Tokens, [[1, 12]], "int64"),
    "gru": Kind(lambda: Recurrent(nn.GRU), [[1, 10, 16]]),
    "lstm": Kind(lambda: Recurrent(nn.LSTM), [[1, 10, 16]]),
    "upsampling": Kind(Upsampling, [[1, 4, 16, 16]]),
    "batch of four": Kind(images, [[4, 3, 16, 16]]),
    "conv1d": Kind(sequence, [[1, 8, 40]]),
    "linear, layer norm": Kind(perceptron, [[1, 9, 16]]),
    "norms, linear classifier": Kind(Normed, [[1, 3, 16, 16]]),
    "transposed convolution, skip": Kind(Skipping, [[1, 3, 16, 16]]),
    "branches": Kind(Branching, [[1, 4, 16, 16]]),
    "resized, elu": Kind(Resized, [[1, 8, 16, 16]]),
    "dense": Kind(dense, [[1, 3, 16, 16]]),
    "split channels": Kind(Split, [[1, 4, 16, 16]]),
    "conv1d, elu": Kind(temporal, [[1, 8, 40]]),
}


def measured(kind: Kind, folder: Path) -> nn.Module:
    """The model of a kind, with its operators scanned and metered (a few runs only) in `folder`."""
    import mmt
    from mmt.meter import meter_ops

    torch.manual_seed(0)
    model = kind.build().eval()
    mmt.scan(model, kind.shapes, folder, dtype=kind.dtype)
    report = meter_ops(folder, times=2, progress=lambda _: None)
    assert report.failed == 0, report.to_text()
    return model
