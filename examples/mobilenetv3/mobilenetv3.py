"""MobileNetV3-small where each block chooses its kernel (3/5/7), squeeze-and-excite (on/off) and activation.

An ordinary PyTorch model at 1x3x224x224. `ops.yaml` lists its building blocks, `space.py` describes the variants: 12
choices in each of 11 blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

ACTIVATIONS = {"relu": nn.ReLU, "hardswish": nn.Hardswish}


class BlockChoice(NamedTuple):
    """What a block chooses."""

    kernel: int
    use_se: bool
    activation: str


# Of each block: channels in, channels inside, channels out, stride.
WIDTHS = (
    (16, 16, 16, 2),
    (16, 72, 24, 2),
    (24, 88, 24, 1),
    (24, 96, 40, 2),
    (40, 240, 40, 1),
    (40, 240, 40, 1),
    (40, 120, 48, 1),
    (48, 144, 48, 1),
    (48, 288, 96, 2),
    (96, 576, 96, 1),
    (96, 576, 96, 1),
)

# The choices of the published network.
PUBLISHED = (
    BlockChoice(3, True, "relu"),
    BlockChoice(3, False, "relu"),
    BlockChoice(3, False, "relu"),
    *(BlockChoice(5, True, "hardswish"),) * 8,
)


def squeezed_channels(channels: int) -> int:
    """A quarter of `channels`, rounded to a multiple of 8, at least 8."""
    return max(8, (channels // 4 + 4) // 8 * 8)


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate computed from all channels' means; shapes stay."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = squeezed_channels(channels)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.relu = nn.ReLU()
        self.expand = nn.Conv2d(squeezed, channels, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gate(self.expand(self.relu(self.reduce(self.pool(x)))))


class InvertedResidual(nn.Module):
    """Widen (1×1), filter each channel (k×k), narrow (1×1): [N, in, H, W] -> [N, out, H/stride, W/stride].

    `widths` is (channels in, channels inside, channels out, stride).
    """

    def __init__(self, widths: Sequence[int], kernel: int, use_se: bool, activation: str) -> None:
        super().__init__()
        channels_in, inside, channels_out, stride = widths
        layers: list[nn.Module] = []
        if inside != channels_in:
            layers += [nn.Conv2d(channels_in, inside, 1, bias=False), nn.BatchNorm2d(inside), ACTIVATIONS[activation]()]
        layers += [
            nn.Conv2d(inside, inside, kernel, stride=stride, padding=kernel // 2, groups=inside, bias=False),
            nn.BatchNorm2d(inside),
            ACTIVATIONS[activation](),
        ]
        if use_se:
            layers.append(SqueezeExcite(inside))
        layers += [nn.Conv2d(inside, channels_out, 1, bias=False), nn.BatchNorm2d(channels_out)]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.layers(x)
        return x + out if self.residual else out


class MobileNetV3Stem(nn.Module):
    """[N, 3, H, W] -> [N, 16, H/2, W/2]"""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, WIDTHS[0][0], 3, stride=2, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(WIDTHS[0][0])
        self.act = nn.Hardswish()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.bn(self.conv(x)))


class MobileNetV3Head(nn.Module):
    """[N, in_channels, H, W] -> [N, num_classes]"""

    def __init__(self, in_channels: int, channels: int = 576, hidden: int = 1024, num_classes: int = 1000) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.act = nn.Hardswish()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(channels, hidden), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(hidden, num_classes)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.act(self.bn(self.conv(x))))
        return self.classifier(x.flatten(1))


class MobileNetV3Small(nn.Module):
    def __init__(self, choices: Sequence[BlockChoice]) -> None:
        super().__init__()
        self.stem = MobileNetV3Stem()
        blocks = [InvertedResidual(widths, *choice) for widths, choice in zip(WIDTHS, choices, strict=True)]
        self.blocks = nn.Sequential(*blocks)
        self.head = MobileNetV3Head(WIDTHS[-1][2], 576, 1024, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(x)))


def mobilenet_v3_small(choices: Sequence[BlockChoice] = PUBLISHED) -> MobileNetV3Small:
    """The network with `choices[i]` in its i-th of 11 blocks; input [N, 3, 224, 224]."""
    return MobileNetV3Small([BlockChoice(*choice) for choice in choices])
