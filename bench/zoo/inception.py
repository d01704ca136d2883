"""Inception modules: four branches of different reach, concatenated."""

from __future__ import annotations

import torch
from torch import nn

from .variant import Variant, image


def conv(channels_in: int, channels: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels_in, channels, kernel, padding=kernel // 2), nn.ReLU())


class Inception(nn.Module):
    def __init__(self, channels_in: int, one: int, three: tuple[int, int], five: tuple[int, int], pooled: int) -> None:
        super().__init__()
        self.one = conv(channels_in, one, 1)
        self.three = nn.Sequential(conv(channels_in, three[0], 1), conv(three[0], three[1], 3))
        self.five = nn.Sequential(conv(channels_in, five[0], 1), conv(five[0], five[1], 5))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(channels_in, pooled, 1))
        self.channels = one + three[1] + five[1] + pooled

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat((self.one(x), self.three(x), self.five(x), self.pooled(x)), dim=1)


class InceptionNet(nn.Module):
    """`blocks`: base widths of the modules, 0 for a pooling between them."""

    def __init__(self, stem: int, blocks: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, stem, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        layers.append(conv(stem, 2 * stem, 3))
        channels = 2 * stem
        for width in (0, *blocks):
            if width == 0:
                layers.append(nn.MaxPool2d(3, 2, 1))
                continue
            layers.append(Inception(channels, 2 * width, (3 * width, 4 * width), (width // 2, width), width))
            channels = layers[-1].channels
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.flatten(nn.functional.adaptive_avg_pool2d(self.features(x), 1), 1))


def variants() -> list[Variant]:
    return [
        image("s64", lambda: InceptionNet(64, (32, 48, 0, 48, 64)), 224),
        image("s32-long", lambda: InceptionNet(32, (16, 24, 0, 32, 32, 48, 0, 64)), 192),
        image("s48-160", lambda: InceptionNet(48, (32, 0, 48, 48)), 160),
    ]
