"""Mobile blocks with squeeze-and-excite: SiLU (EfficientNet's way) or hardswish (MobileNetV3's)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .variant import Variant, image


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int, squeezed: int, hard: bool) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.hard = hard

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = F.adaptive_avg_pool2d(x, 1)
        scale = self.fc1(scale)
        scale = F.relu(scale) if self.hard else F.silu(scale)
        scale = self.fc2(scale)
        scale = F.hardsigmoid(scale) if self.hard else torch.sigmoid(scale)
        return x * scale


class MobileBlock(nn.Module):
    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int, se: bool, hard: bool
    ) -> None:
        super().__init__()
        inside = channels_in * expansion
        act = nn.Hardswish if hard else nn.SiLU
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [nn.Conv2d(channels_in, inside, 1, bias=False), nn.BatchNorm2d(inside), act()]
        layers += [
            nn.Conv2d(inside, inside, kernel, stride, kernel // 2, groups=inside, bias=False),
            nn.BatchNorm2d(inside),
            act(),
        ]
        if se:
            layers.append(SqueezeExcite(inside, max(8, inside // 4 // 8 * 8), hard))
        layers += [nn.Conv2d(inside, channels_out, 1, bias=False), nn.BatchNorm2d(channels_out)]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.layers(x)
        if self.residual:
            out = out + x
        return out


# kernel, channels, repeats, stride, expansion
STAGES = ((3, 16, 1, 1, 1), (3, 24, 2, 2, 4), (5, 40, 2, 2, 4), (3, 80, 2, 2, 4), (5, 112, 2, 1, 4), (5, 160, 2, 2, 4))


class MobileNet(nn.Module):
    def __init__(self, se: bool, hard: bool, stages: tuple[tuple[int, int, int, int, int], ...] = STAGES) -> None:
        super().__init__()
        act = nn.Hardswish if hard else nn.SiLU
        layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), act()]
        channels = 16
        for kernel, width, repeats, stride, expansion in stages:
            for index in range(repeats):
                layers.append(MobileBlock(channels, width, kernel, stride if index == 0 else 1, expansion, se, hard))
                channels = width
        self.features = nn.Sequential(*layers)
        self.conv_head = nn.Sequential(nn.Conv2d(channels, 960, 1, bias=False), nn.BatchNorm2d(960), act())
        self.classifier = nn.Linear(960, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv_head(self.features(x))
        x = x.mean((2, 3))
        return self.classifier(x)


def variants() -> list[Variant]:
    return [
        image("silu-se", lambda: MobileNet(se=True, hard=False), 224),
        image("hardswish-se", lambda: MobileNet(se=True, hard=True), 224),
        image("hardswish-plain", lambda: MobileNet(se=False, hard=True), 192),
        image("silu-se-short-256", lambda: MobileNet(se=True, hard=False, stages=STAGES[:5]), 256),
    ]
