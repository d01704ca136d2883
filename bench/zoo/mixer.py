"""MLP-mixers: one MLP over the tokens, one over the channels, in turn."""

from __future__ import annotations

import torch
from torch import nn

from .variant import Variant, image


class FeedForward(nn.Sequential):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


class MixerBlock(nn.Module):
    def __init__(self, tokens: int, width: int, token_hidden: int, channel_hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.token_mix = FeedForward(tokens, token_hidden)
        self.norm2 = nn.LayerNorm(width)
        self.channel_mix = FeedForward(width, channel_hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm1(x).transpose(1, 2)
        x = x + self.token_mix(y).transpose(1, 2)
        return x + self.channel_mix(self.norm2(x))


class Mixer(nn.Module):
    def __init__(self, size: int, patch: int, width: int, depth: int, token_ratio: float = 0.5) -> None:
        super().__init__()
        tokens = (size // patch) ** 2
        self.embed = nn.Conv2d(3, width, patch, stride=patch)
        self.blocks = nn.Sequential(
            *(MixerBlock(tokens, width, int(width * token_ratio), 4 * width) for _ in range(depth))
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = self.norm(self.blocks(x))
        return self.head(x.mean(dim=1))


def variants() -> list[Variant]:
    return [
        image("d4-w256-p16", lambda: Mixer(224, 16, 256, 4), 224),
        image("d6-w192-p16", lambda: Mixer(192, 16, 192, 6), 192),
        image("d3-w384-p32", lambda: Mixer(256, 32, 384, 3), 256),
        image("d4-w128-p8", lambda: Mixer(128, 8, 128, 4, token_ratio=2.0), 128),
    ]
