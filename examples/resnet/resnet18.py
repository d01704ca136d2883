"""ResNet-18 with a kernel size of its own in each residual block: 3^8 = 6,561 variants from 21 different blocks.

An ordinary PyTorch model; nothing in it knows of latency tables. `ops.yaml` beside this file lists its building blocks,
`space.py` describes the variants, `demo.py` goes from one to the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

WIDTHS = (64, 128, 256, 512)
BLOCKS_PER_STAGE = 2


class ResNetStem(nn.Module):
    """[N, 3, H, W] -> [N, 64, H/4, W/4]"""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, WIDTHS[0], 7, stride=2, padding=3, bias=False)
        self.bn = nn.BatchNorm2d(WIDTHS[0])
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(self.relu(self.bn(self.conv(x))))


class ResNetBasicBlock(nn.Module):
    """Two k×k convolutions beside a shortcut: [N, in_channels, H, W] -> [N, out_channels, H/stride, W/stride].

    A block either keeps width and resolution or doubles the one and halves the other, as everywhere in a ResNet;
    other combinations raise ValueError (a space that lists them gets them dropped, with this reason).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, kernel: int) -> None:
        super().__init__()
        if (out_channels, stride) not in ((in_channels, 1), (2 * in_channels, 2)):
            raise ValueError(f"no block goes from {in_channels} to {out_channels} channels with stride {stride}")
        self.conv1 = nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel, padding=kernel // 2, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()
        self.shortcut = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.shortcut is None else self.shortcut(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + shortcut)


class ResNetHead(nn.Module):
    """[N, in_channels, H, W] -> [N, num_classes]"""

    def __init__(self, in_channels: int, num_classes: int = 1000) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(in_channels, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.flatten(self.pool(x), 1))


class ResNet18(nn.Module):
    def __init__(self, kernels: Sequence[int]) -> None:
        super().__init__()
        if len(kernels) != len(WIDTHS) * BLOCKS_PER_STAGE:
            raise ValueError(f"{len(WIDTHS) * BLOCKS_PER_STAGE} kernel sizes are needed, not {len(kernels)}")
        self.stem = ResNetStem()
        blocks = []
        in_channels = WIDTHS[0]
        for index, kernel in enumerate(kernels):
            width = WIDTHS[index // BLOCKS_PER_STAGE]
            blocks.append(ResNetBasicBlock(in_channels, width, 1 if in_channels == width else 2, kernel))
            in_channels = width
        self.blocks = nn.Sequential(*blocks)
        self.head = ResNetHead(in_channels, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(x)))


def resnet18(kernels: Sequence[int] = (3,) * 8) -> ResNet18:
    """The network with `kernels[i]` in its i-th block; input [N, 3, 224, 224]."""
    return ResNet18(kernels)
