"""Vision transformers: patches, a class token, attention and MLP blocks with layer norm before each."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .variant import Variant, image


class Attention(nn.Module):
    """Self-attention; `fused` uses PyTorch's scaled_dot_product_attention, otherwise it is written out."""

    def __init__(self, width: int, heads: int, fused: bool) -> None:
        super().__init__()
        self.heads, self.fused = heads, fused
        self.scale = (width // heads) ** -0.5
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        if self.fused:
            x = F.scaled_dot_product_attention(q, k, v)
        else:
            weights = (q @ k.transpose(-2, -1) * self.scale).softmax(dim=-1)
            x = weights @ v
        return self.proj(x.transpose(1, 2).reshape(batch, tokens, width))


class Mlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, width: int, heads: int, fused: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads, fused)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, 4 * width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    def __init__(
        self, size: int, patch: int, width: int, depth: int, heads: int, fused: bool = False, class_token: bool = True
    ) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(3, width, patch, stride=patch)
        tokens = (size // patch) ** 2
        self.class_token = nn.Parameter(torch.zeros(1, 1, width)) if class_token else None
        self.position = nn.Parameter(torch.randn(1, tokens + int(class_token), width) * 0.02)
        self.blocks = nn.Sequential(*(Block(width, heads, fused) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patch_embed(x).flatten(2).transpose(1, 2)
        if self.class_token is not None:
            x = torch.cat((self.class_token.expand(x.shape[0], -1, -1), x), dim=1)
        x = self.norm(self.blocks(x + self.position))
        return self.head(x[:, 0] if self.class_token is not None else x.mean(dim=1))


def variants() -> list[Variant]:
    return [
        image("d4-w192-p16", lambda: VisionTransformer(224, 16, 192, 4, 3), 224),
        image("d6-w128-p16", lambda: VisionTransformer(192, 16, 128, 6, 4), 192),
        image("d3-w256-p32", lambda: VisionTransformer(256, 32, 256, 3, 8, class_token=False), 256),
        image("d4-w192-p16-fused", lambda: VisionTransformer(160, 16, 192, 4, 3, fused=True), 160),
    ]
