"""Large depthwise kernels, then an MLP over channels in channels-last order (permute there and back)."""

from __future__ import annotations

import torch
from torch import nn

from .variant import Variant, image


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of [N, C, H, W]."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNextBlock(nn.Module):
    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pwconv1 = nn.Linear(width, 4 * width)
        self.act = nn.GELU()
        self.pwconv2 = nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(torch.full((width,), 0.1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x
        x = self.dwconv(x).permute(0, 2, 3, 1)
        x = self.pwconv2(self.act(self.pwconv1(self.norm(x))))
        return shortcut + (self.gamma * x).permute(0, 3, 1, 2)


class ConvNext(nn.Module):
    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...], kernel: int = 7) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        channels = 3
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            if stage == 0:
                down = nn.Sequential(nn.Conv2d(channels, width, 4, 4), LayerNorm2d(width))
            else:
                down = nn.Sequential(LayerNorm2d(channels), nn.Conv2d(channels, width, 2, 2))
            self.stages.append(nn.Sequential(down, *(ConvNextBlock(width, kernel) for _ in range(depth))))
            channels = width
        self.norm = nn.LayerNorm(channels)
        self.head = nn.Linear(channels, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for stage in self.stages:
            x = stage(x)
        return self.head(self.norm(x.mean([-2, -1])))


def variants() -> list[Variant]:
    return [
        image("w32-1121", lambda: ConvNext((32, 64, 128, 256), (1, 1, 2, 1)), 192),
        image("w40-2221-k5", lambda: ConvNext((40, 80, 160, 320), (2, 2, 2, 1), kernel=5), 128),
        image("w48-113", lambda: ConvNext((48, 96, 192), (1, 1, 3)), 128),
    ]
