"""Small models of many kinds for tests, and operator folders that are scanned and metered for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn


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


@dataclass(frozen=True)
class Kind:
    build: Callable[[], nn.Module]
    shapes: list[list[int]]
    dtype: str = "float32"


KINDS = {
    "two inputs": Kind(TwoInputs, [[1, 4, 16, 16], [1, 4, 16, 16]]),
    "integer input, attention": Kind(Tokens, [[1, 12]], "int64"),
    "gru": Kind(lambda: Recurrent(nn.GRU), [[1, 10, 16]]),
    "lstm": Kind(lambda: Recurrent(nn.LSTM), [[1, 10, 16]]),
    "upsampling": Kind(Upsampling, [[1, 4, 16, 16]]),
    "batch of four": Kind(images, [[4, 3, 16, 16]]),
    "conv1d": Kind(sequence, [[1, 8, 40]]),
    "linear, layer norm": Kind(perceptron, [[1, 9, 16]]),
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
