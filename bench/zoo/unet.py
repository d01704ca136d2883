"""U-Nets: a contracting path, and one that goes up again by transposed convolutions beside the skipped tensors."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .variant import Variant, image


def double(channels_in: int, channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for source in (channels_in, channels):
        layers += [nn.Conv2d(source, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(True)]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    def __init__(self, width: int, depth: int, classes: int = 2) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth)]
        self.down = nn.ModuleList(map(double, [3, *widths[:-1]], widths))
        rising = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(below, above, 2, stride=2) for below, above in rising)
        self.join = nn.ModuleList(double(2 * above, above) for _, above in rising)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skipped: list[torch.Tensor] = []
        for level, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if level else x)
            skipped.append(x)
        skipped.pop()
        for up, join in zip(self.up, self.join, strict=True):
            x = join(torch.cat([skipped.pop(), up(x)], 1))
        return self.head(x)


def variants() -> list[Variant]:
    return [
        image("w16-d4", lambda: UNet(16, 4), 160),
        image("w8-d5", lambda: UNet(8, 5), 192),
        image("w24-d3", lambda: UNet(24, 3), 96),
    ]
