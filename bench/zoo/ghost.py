"""Ghost modules: a part of the channels comes from a convolution, the rest from cheap depthwise copies of it."""

from __future__ import annotations

import math

import torch
from torch import nn

from .variant import Variant, image


class GhostModule(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, ratio: int = 2, relu: bool = True) -> None:
        super().__init__()
        self.channels_out = channels_out
        primary = math.ceil(channels_out / ratio)
        cheap = primary * (ratio - 1)
        self.primary = nn.Sequential(
            nn.Conv2d(channels_in, primary, 1, bias=False),
            nn.BatchNorm2d(primary),
            nn.ReLU(inplace=True) if relu else nn.Identity(),
        )
        self.cheap = nn.Sequential(
            nn.Conv2d(primary, cheap, 3, padding=1, groups=primary, bias=False),
            nn.BatchNorm2d(cheap),
            nn.ReLU(inplace=True) if relu else nn.Identity(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        primary = self.primary(x)
        return torch.cat([primary, self.cheap(primary)], dim=1)[:, : self.channels_out]


class GhostBottleneck(nn.Module):
    def __init__(self, channels_in: int, inside: int, channels_out: int, stride: int, ratio: int) -> None:
        super().__init__()
        self.widen = GhostModule(channels_in, inside, ratio)
        self.down = None
        if stride > 1:
            self.down = nn.Sequential(
                nn.Conv2d(inside, inside, 3, stride, 1, groups=inside, bias=False), nn.BatchNorm2d(inside)
            )
        self.narrow = GhostModule(inside, channels_out, ratio, relu=False)
        self.shortcut = nn.Sequential()
        if stride > 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_in, 3, stride, 1, groups=channels_in, bias=False),
                nn.BatchNorm2d(channels_in),
                nn.Conv2d(channels_in, channels_out, 1, bias=False),
                nn.BatchNorm2d(channels_out),
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.widen(x)
        if self.down is not None:
            out = self.down(out)
        return self.narrow(out) + self.shortcut(x)


# inside, out, stride
BLOCKS = (
    (16, 16, 1),
    (48, 24, 2),
    (72, 24, 1),
    (72, 40, 2),
    (120, 40, 1),
    (240, 80, 2),
    (200, 80, 1),
    (480, 112, 1),
    (672, 160, 2),
    (960, 160, 1),
)


class GhostNet(nn.Module):
    def __init__(self, width: int, ratio: int = 2, blocks: tuple[tuple[int, int, int], ...] = BLOCKS) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        layers = []
        channels = width
        for inside, out, stride in blocks:
            scale = width / 16
            layers.append(GhostBottleneck(channels, int(inside * scale), int(out * scale), stride, ratio))
            channels = int(out * scale)
        self.blocks = nn.ModuleList(layers)
        self.pool = nn.AdaptiveAvgPool2d((1, 1))
        self.classifier = nn.Linear(channels, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.classifier(self.pool(x).view(x.size(0), -1))


def variants() -> list[Variant]:
    return [
        image("w16", lambda: GhostNet(16), 224),
        image("w24", lambda: GhostNet(24), 192),
        image("w32-160", lambda: GhostNet(32), 160),
        image("w16-short-256", lambda: GhostNet(16, blocks=BLOCKS[:6]), 256),
    ]
