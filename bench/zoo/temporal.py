"""Sequences of measurements: dilated 1-D convolutions with residuals."""

from __future__ import annotations

import torch
from torch import nn

from .variant import Input, Variant


class TemporalBlock(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, kernel: int, dilation: int) -> None:
        super().__init__()
        padding = (kernel - 1) * dilation // 2
        self.conv1 = nn.Conv1d(channels_in, channels_out, kernel, padding=padding, dilation=dilation)
        self.bn1 = nn.BatchNorm1d(channels_out)
        self.conv2 = nn.Conv1d(channels_out, channels_out, kernel, padding=padding, dilation=dilation)
        self.bn2 = nn.BatchNorm1d(channels_out)
        self.match = nn.Conv1d(channels_in, channels_out, 1) if channels_in != channels_out else None
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        return self.relu(out + (x if self.match is None else self.match(x)))


class TemporalNet(nn.Module):
    def __init__(self, channels: int, widths: tuple[int, ...], kernel: int) -> None:
        super().__init__()
        blocks = []
        for level, width in enumerate(widths):
            blocks.append(TemporalBlock(channels, width, kernel, 2**level))
            channels = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(channels, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(x).mean(-1))


def series(name: str, channels: int, length: int, widths: tuple[int, ...], kernel: int) -> Variant:
    return Variant(name, lambda: TemporalNet(channels, widths, kernel), (Input((1, channels, length)),))


def variants() -> list[Variant]:
    return [
        series("w64-k3", 16, 1024, (64, 64, 64, 64), 3),
        series("w96-k5", 8, 512, (96, 96, 128), 5),
        series("w128-k3", 12, 768, (64, 128, 128), 3),
    ]
