"""Residual networks: basic blocks and bottlenecks beside a shortcut."""

from __future__ import annotations

import torch
from torch import nn

from .variant import Variant, image


def conv_bn(channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels_out),
    )


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = conv_bn(channels_in, width, 3, stride)
        self.second = conv_bn(width, width, 3)
        self.shortcut = nn.Identity()
        if stride != 1 or channels_in != width:
            self.shortcut = conv_bn(channels_in, width, 1, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.second(self.relu(self.first(x))) + self.shortcut(x))


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        channels_out = width * self.expansion
        self.narrow = conv_bn(channels_in, width, 1)
        self.filter = conv_bn(width, width, 3, stride)
        self.widen = conv_bn(width, channels_out, 1)
        self.shortcut = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = conv_bn(channels_in, channels_out, 1, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.relu(self.narrow(x))
        out = self.widen(self.relu(self.filter(out)))
        return self.relu(out + self.shortcut(x))


class ResidualNet(nn.Module):
    def __init__(self, block: type[BasicBlock] | type[Bottleneck], depths: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_bn(3, width, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1))
        stages = []
        channels = width
        for stage, depth in enumerate(depths):
            stage_width = width * 2**stage
            blocks = []
            for index in range(depth):
                blocks.append(block(channels, stage_width, 2 if stage > 0 and index == 0 else 1))
                channels = stage_width * block.expansion
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.stages(self.stem(x)))
        return self.fc(torch.flatten(x, 1))


def variants() -> list[Variant]:
    return [
        image("basic-2222-w32", lambda: ResidualNet(BasicBlock, (2, 2, 2, 2), 32), 224),
        image("basic-2222-w64", lambda: ResidualNet(BasicBlock, (2, 2, 2, 2), 64), 160),
        image("basic-121-w48", lambda: ResidualNet(BasicBlock, (1, 2, 1), 48), 192),
        image("bottleneck-1221-w32", lambda: ResidualNet(Bottleneck, (1, 2, 2, 1), 32), 224),
        image("bottleneck-2211-w40", lambda: ResidualNet(Bottleneck, (2, 2, 1, 1), 40), 160),
    ]
