"""Grouped 3×3 convolutions in bottlenecks."""

from __future__ import annotations

import torch
from torch import nn

from .variant import Variant, image


class GroupedBlock(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, stride: int, group_width: int, ratio: float) -> None:
        super().__init__()
        inside = int(channels_out * ratio)
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, inside, 1, bias=False),
            nn.BatchNorm2d(inside),
            nn.ReLU(),
            nn.Conv2d(inside, inside, 3, stride, 1, groups=inside // group_width, bias=False),
            nn.BatchNorm2d(inside),
            nn.ReLU(),
            nn.Conv2d(inside, channels_out, 1, bias=False),
            nn.BatchNorm2d(channels_out),
        )
        self.project = None
        if stride != 1 or channels_in != channels_out:
            self.project = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.project is None else self.project(x)
        return self.relu(self.body(x) + shortcut)


class GroupedNet(nn.Module):
    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...], group_width: int, ratio: float = 1.0) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        self.stages = nn.Sequential()
        channels = 32
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            blocks = nn.Sequential()
            for index in range(depth):
                block = GroupedBlock(channels, width, 2 if index == 0 else 1, group_width, ratio)
                blocks.add_module(f"block{index}", block)
                channels = width
            self.stages.add_module(f"stage{stage}", blocks)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.stages(self.stem(x)))


def variants() -> list[Variant]:
    return [
        image("g8", lambda: GroupedNet((32, 64, 160, 384), (1, 1, 4, 2), 8), 224),
        image("g16", lambda: GroupedNet((48, 96, 192, 384), (1, 2, 3, 1), 16), 192),
        image("g4-half", lambda: GroupedNet((64, 128, 256), (2, 2, 2), 4, ratio=0.5), 160),
        image("g24", lambda: GroupedNet((48, 120, 240), (1, 3, 3), 24), 160),
    ]
