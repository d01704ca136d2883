"""Inverted residuals with linear bottlenecks (widen, depthwise, narrow), ReLU6."""

from __future__ import annotations

import torch
from torch import nn

from .variant import Variant, image

# expansion, channels, repeats, stride
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def scaled(channels: int, factor: float) -> int:
    return max(8, int(channels * factor + 4) // 8 * 8)


class ConvBNReLU6(nn.Sequential):
    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(
            nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU6(inplace=True),
        )


class InvertedBlock(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, stride: int, expansion: int, kernel: int) -> None:
        super().__init__()
        inside = channels_in * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [ConvBNReLU6(channels_in, inside, 1)]
        layers.append(ConvBNReLU6(inside, inside, kernel, stride, groups=inside))
        layers.append(nn.Conv2d(inside, channels_out, 1, bias=False))
        layers.append(nn.BatchNorm2d(channels_out))
        self.conv = nn.Sequential(*layers)
        self.add = stride == 1 and channels_in == channels_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.add:
            return x + self.conv(x)
        return self.conv(x)


class InvertedNet(nn.Module):
    def __init__(self, factor: float, kernel: int = 3) -> None:
        super().__init__()
        channels = scaled(32, factor)
        features: list[nn.Module] = [ConvBNReLU6(3, channels, 3, 2)]
        for expansion, width, repeats, stride in STAGES:
            for index in range(repeats):
                out = scaled(width, factor)
                features.append(InvertedBlock(channels, out, stride if index == 0 else 1, expansion, kernel))
                channels = out
        last = max(1280, scaled(1280, factor))
        features.append(ConvBNReLU6(channels, last, 1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, 1000))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x).mean([2, 3]))


def variants() -> list[Variant]:
    return [
        image("x1.0", lambda: InvertedNet(1.0), 224),
        image("x0.5", lambda: InvertedNet(0.5), 224),
        image("x0.75-192", lambda: InvertedNet(0.75), 192),
        image("x1.0-k5-160", lambda: InvertedNet(1.0, kernel=5), 160),
        image("x1.4-128", lambda: InvertedNet(1.4), 128),
    ]
