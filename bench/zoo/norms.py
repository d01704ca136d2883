"""Networks without batch norms: instance, group and layer norms, leaky activations, classifiers of linear layers."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .variant import Input, Variant, image


class NormNet(nn.Module):
    def __init__(self, width: int, stages: int, hidden: int, *, elu: bool = False) -> None:
        super().__init__()
        widths = [width * 2**stage for stage in range(stages)]
        self.convs = nn.ModuleDict()
        self.norms = nn.ModuleDict()
        for stage, (source, channels) in enumerate(zip([3, *widths[:-1]], widths, strict=True)):
            self.convs[f"stage{stage}"] = nn.Conv2d(source, channels, 3, padding=1)
            self.norms[f"stage{stage}"] = (
                nn.GroupNorm(4, channels) if stage % 2 else nn.InstanceNorm2d(channels, affine=True)
            )
        self.elu = elu
        self.head = nn.Sequential(
            nn.Linear(widths[-1] * 49, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, 10), nn.LogSoftmax(1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for name, conv in self.convs.items():
            x = self.norms[name](conv(x))
            x = functional.max_pool2d(functional.elu(x) if self.elu else functional.leaky_relu(x, 0.2), 2)
        return self.head(functional.adaptive_avg_pool2d(x, 7).view(x.size(0), -1))


class Pyramid(nn.Module):
    """Features of three sizes, joined from the top down; an output per size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width * 2**stage for stage in range(4)]
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(source, channels, 3, 2, 1), nn.BatchNorm2d(channels), nn.LeakyReLU(0.1))
            for source, channels in zip([3, *widths[:-1]], widths, strict=True)
        )
        self.sides = nn.ModuleList(nn.Conv2d(channels, 64, 1) for channels in widths[1:])
        self.smooth = nn.ModuleList(nn.Conv2d(64, 64, 3, padding=1) for _ in range(3))
        self.head = nn.Conv2d(64, 27, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        joined = [side(feature) for side, feature in zip(self.sides, features[1:], strict=True)]
        for low in (2, 1):
            joined[low - 1] = joined[low - 1] + functional.interpolate(joined[low], scale_factor=2.0, mode="nearest")
        return tuple(
            torch.sigmoid(self.head(torch.relu(conv(feature))))
            for conv, feature in zip(self.smooth, joined, strict=True)
        )


class Window(nn.Module):
    """Attention within windows of the image, every second time shifted."""

    def __init__(self, width: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, height, width, channels = x.shape
        w, kept = self.window, x
        x = self.norm1(x)
        if self.shift:
            x = torch.roll(x, (-self.shift, -self.shift), (1, 2))
        x = x.view(batch, height // w, w, width // w, w, channels).permute(0, 1, 3, 2, 4, 5)
        x = x.reshape(-1, w * w, channels)
        qkv = self.qkv(x).reshape(-1, w * w, 3, self.heads, channels // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        x = torch.softmax(q @ k.transpose(-2, -1) * (channels // self.heads) ** -0.5, -1) @ v
        x = self.out(x.transpose(1, 2).reshape(-1, w * w, channels))
        x = x.view(batch, height // w, width // w, w, w, channels).permute(0, 1, 3, 2, 4, 5)
        x = x.reshape(batch, height, width, channels)
        if self.shift:
            x = torch.roll(x, (self.shift, self.shift), (1, 2))
        x = x + kept
        return x + self.mlp(self.norm2(x))


class WindowNet(nn.Module):
    def __init__(self, width: int, depth: int, window: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.blocks = nn.ModuleList(Window(width, width // 16, window, window // 2 * (i % 2)) for i in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 100)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).permute(0, 2, 3, 1)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean((1, 2)))


def variants() -> list[Variant]:
    return [
        image("norms", lambda: NormNet(16, 4, 256), 224),
        image("norms-elu", lambda: NormNet(24, 3, 128, elu=True), 112),
        image("pyramid", lambda: Pyramid(24), 256),
        Variant("windows", lambda: WindowNet(48, 4, 7), (Input((1, 3, 112, 112)),)),
    ]
