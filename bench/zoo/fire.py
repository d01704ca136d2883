"""Fire modules: a narrow 1×1 convolution feeds 1×1 and 3×3 ones whose outputs are concatenated."""

from __future__ import annotations

import torch
from torch import nn

from .variant import Variant, image


class Fire(nn.Module):
    def __init__(self, channels_in: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels_in, squeeze, 1)
        self.squeeze_relu = nn.ReLU(inplace=True)
        self.expand1 = nn.Conv2d(squeeze, expand, 1)
        self.expand1_relu = nn.ReLU(inplace=True)
        self.expand3 = nn.Conv2d(squeeze, expand, 3, padding=1)
        self.expand3_relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.squeeze_relu(self.squeeze(x))
        return torch.cat([self.expand1_relu(self.expand1(x)), self.expand3_relu(self.expand3(x))], 1)


class FireNet(nn.Module):
    def __init__(self, stem: int, squeezes: tuple[int, ...], ratio: int, pool_after: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, stem, 3, stride=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)]
        channels = stem
        for index, squeeze in enumerate(squeezes):
            layers.append(Fire(channels, squeeze, squeeze * ratio))
            channels = 2 * squeeze * ratio
            if index in pool_after:
                layers.append(nn.MaxPool2d(3, 2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Dropout(0.5), nn.Conv2d(channels, 1000, 1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.flatten(self.classifier(self.features(x)), 1)


FULL = (16, 16, 32, 32, 48, 48, 64, 64)


def variants() -> list[Variant]:
    return [
        image("full", lambda: FireNet(64, FULL, 4, (1, 3)), 224),
        image("full-160", lambda: FireNet(96, FULL, 4, (1, 3)), 160),
        image("short", lambda: FireNet(48, (16, 24, 32, 48), 4, (0, 2)), 192),
        image("wide-ratio8", lambda: FireNet(64, (8, 16, 16, 32, 32), 8, (1, 3)), 224),
    ]
