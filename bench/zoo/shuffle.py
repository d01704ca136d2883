"""Channel split and shuffle: half of the channels passes by, the halves are interleaved afterwards."""

from __future__ import annotations

import torch
from torch import nn

from .variant import Variant, image


def channel_shuffle(x: torch.Tensor, groups: int) -> torch.Tensor:
    batch, channels, height, width = x.size()
    x = x.view(batch, groups, channels // groups, height, width)
    x = x.transpose(1, 2).contiguous()
    return x.view(batch, channels, height, width)


def pointwise(channels_in: int, channels_out: int) -> list[nn.Module]:
    return [nn.Conv2d(channels_in, channels_out, 1, bias=False), nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True)]


def depthwise(channels: int, stride: int) -> list[nn.Module]:
    conv = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
    return [conv, nn.BatchNorm2d(channels)]


class ShuffleUnit(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        half = channels_out // 2
        if stride > 1:
            self.left = nn.Sequential(*depthwise(channels_in, stride), *pointwise(channels_in, half))
        right_in = channels_in if stride > 1 else half
        self.right = nn.Sequential(*pointwise(right_in, half), *depthwise(half, stride), *pointwise(half, half))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.stride == 1:
            left, right = x.chunk(2, dim=1)
            out = torch.cat((left, self.right(right)), dim=1)
        else:
            out = torch.cat((self.left(x), self.right(x)), dim=1)
        return channel_shuffle(out, 2)


class ShuffleNet(nn.Module):
    def __init__(self, widths: tuple[int, int, int], repeats: tuple[int, int, int], last: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, 24, 3, 2, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU(inplace=True)
        )
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        units = []
        channels = 24
        for width, repeat in zip(widths, repeats, strict=True):
            for index in range(repeat):
                units.append(ShuffleUnit(channels, width, 2 if index == 0 else 1))
                channels = width
        self.units = nn.Sequential(*units)
        self.conv5 = nn.Sequential(*pointwise(channels, last))
        self.fc = nn.Linear(last, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.units(self.maxpool(self.conv1(x)))
        return self.fc(self.conv5(x).mean([2, 3]))


def variants() -> list[Variant]:
    return [
        image("x1.0", lambda: ShuffleNet((116, 232, 464), (4, 8, 4), 1024), 224),
        image("x1.5", lambda: ShuffleNet((176, 352, 704), (4, 8, 4), 1024), 192),
        image("x2.0-short", lambda: ShuffleNet((244, 488, 976), (2, 4, 2), 2048), 224),
        image("x0.5-256", lambda: ShuffleNet((48, 96, 192), (4, 8, 4), 1024), 256),
    ]
