"""Parallel branches of different kernels, asymmetric ones among them, concatenated."""

from __future__ import annotations

import torch
from torch import nn

from .variant import Variant, image


class ConvUnit(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, kernel: int | tuple[int, int], stride: int = 1) -> None:
        super().__init__()
        pair = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (pair[0] // 2, pair[1] // 2)
        self.conv = nn.Conv2d(channels_in, channels_out, pair, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(channels_out, eps=0.001)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.bn(self.conv(x)))


class Branches(nn.Module):
    def __init__(self, channels_in: int, width: int, split: bool) -> None:
        super().__init__()
        self.point = ConvUnit(channels_in, width, 1)
        self.middle = nn.Sequential(ConvUnit(channels_in, width, 1), ConvUnit(width, width, 3))
        if split:
            large = [ConvUnit(width // 2, width // 2, (1, 7)), ConvUnit(width // 2, width, (7, 1))]
        else:
            large = [ConvUnit(width // 2, width, 5)]
        self.large = nn.Sequential(ConvUnit(channels_in, width // 2, 1), *large)
        self.pooled = nn.Sequential(nn.AvgPool2d(3, 1, 1), ConvUnit(channels_in, width, 1))
        self.channels_out = 4 * width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.point(x), self.middle(x), self.large(x), self.pooled(x)], 1)


class BranchNet(nn.Module):
    def __init__(self, widths: tuple[int, ...], split: bool) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvUnit(3, 32, 3, 2), ConvUnit(32, 48, 3), nn.MaxPool2d(3, 2, 1))
        blocks: list[nn.Module] = []
        channels = 48
        for index, width in enumerate(widths):
            blocks.append(Branches(channels, width, split))
            channels = blocks[-1].channels_out
            if index % 2 == 1:
                blocks.append(nn.MaxPool2d(3, 2, 1))
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(x)))


def variants() -> list[Variant]:
    return [
        image("plain", lambda: BranchNet((24, 24, 48, 48, 64), split=False), 160),
        image("split", lambda: BranchNet((24, 24, 48, 48, 64), split=True), 160),
        image("short-192", lambda: BranchNet((32, 48), split=True), 192),
    ]
