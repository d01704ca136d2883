"""Our export and PyTorch's lead to the same kernels, and stubs are recognizable."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from trace_support import Converted, Fn, specs_of, types_by_mmt, types_by_torch

from mmt.torch_side.export import to_onnx, torch_to_onnx

torch.manual_seed(0)


def conv_bn(
    i: int, o: int, k: int, s: int = 1, groups: int = 1, act: type[nn.Module] | None = nn.ReLU
) -> nn.Sequential:
    layers = [nn.Conv2d(i, o, k, s, k // 2, groups=groups, bias=False), nn.BatchNorm2d(o)]
    return nn.Sequential(*layers, *([act()] if act else []))


class InvertedResidual(nn.Module):
    def __init__(self, squeeze: bool, act: type[nn.Module]) -> None:
        super().__init__()
        layers = [conv_bn(16, 64, 1, act=act), conv_bn(64, 64, 3, groups=64, act=act)]
        self.body = nn.Sequential(*layers, *([SqueezeExcite(64)] if squeeze else []), conv_bn(64, 16, 1, act=None))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, channels // 4, 1), nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))
        return x * F.hardsigmoid(self.up(y))


class BasicBlock(nn.Module):
    def __init__(self, i: int, o: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_bn(i, o, 3, stride), conv_bn(o, o, 3, act=None))
        self.skip = conv_bn(i, o, 1, stride, act=None) if i != o else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.body(x)
        y += self.skip(x)
        return self.relu(y)


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        weights = ((q @ k.transpose(-2, -1)) * (c // self.heads) ** -0.5).softmax(dim=-1)
        return self.out((weights @ v).transpose(1, 2).reshape(b, n, c))


class VitBlock(nn.Module):
    def __init__(self, dim: int = 32) -> None:
        super().__init__()
        self.norm1, self.norm2, self.attention = nn.LayerNorm(dim), nn.LayerNorm(dim), Attention(dim, 4)
        self.mlp = nn.Sequential(nn.Linear(dim, 64), nn.GELU(), nn.Dropout(0.1), nn.Linear(64, dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class MixerBlock(nn.Module):
    def __init__(self, tokens: int = 16, dim: int = 32) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.tokens = nn.Sequential(nn.Linear(tokens, 24), nn.GELU(), nn.Linear(24, tokens))
        self.channels = nn.Sequential(nn.Linear(dim, 64), nn.GELU(), nn.Linear(64, dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norm2(x))


class Shuffle(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_bn(8, 8, 1), conv_bn(8, 8, 3, groups=8, act=None), conv_bn(8, 8, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = x.chunk(2, dim=1)
        y = torch.cat((left, self.body(right)), 1)
        b, c, h, w = y.shape
        return y.view(b, 2, c // 2, h, w).transpose(1, 2).contiguous().view(b, c, h, w)


class PatchEmbed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.token = nn.Conv2d(16, 32, 4, 4), nn.Parameter(torch.rand(1, 1, 32))
        self.position = nn.Parameter(torch.rand(1, 17, 32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x).flatten(2).transpose(1, 2)
        return torch.cat((self.token.expand(y.shape[0], -1, -1), y), dim=1) + self.position


X = torch.randn(1, 16, 16, 16)
T = torch.randn(1, 16, 32)
HEAD = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
MODELS: dict[str, tuple[nn.Module, Sequence[torch.Tensor]]] = {
    "conv_bn_relu": (conv_bn(16, 8, 3), [X]),
    "conv_bn_hardswish": (conv_bn(16, 8, 3, act=nn.Hardswish), [X]),
    "conv_bn_silu": (conv_bn(16, 8, 3, act=nn.SiLU), [X]),
    "conv_relu6": (conv_bn(16, 8, 1, act=nn.ReLU6), [X]),
    "batch_norm": (nn.BatchNorm2d(16), [X]),
    "inverted_residual": (InvertedResidual(False, nn.ReLU6), [X]),
    "inverted_residual_se": (InvertedResidual(True, nn.Hardswish), [X]),
    "squeeze_excite": (SqueezeExcite(16), [X]),
    "basic_block": (BasicBlock(16, 16, 1), [X]),
    "basic_block_down": (BasicBlock(16, 24, 2), [X]),
    "grouped": (conv_bn(16, 16, 3, groups=4), [X]),
    "head": (HEAD, [X]),
    "linear": (nn.Linear(32, 8), [torch.randn(1, 32)]),
    "linear_tokens": (nn.Linear(32, 8), [T]),
    "vit_block": (VitBlock(), [T]),
    "patch_embed": (PatchEmbed(), [X]),
    "mixer_block": (MixerBlock(), [T]),
    "attention": (Fn(lambda q, k: F.scaled_dot_product_attention(q, k, k)), [torch.randn(1, 4, 6, 8)] * 2),
    "multihead": (
        Fn(lambda x, m: m(x, x, x, need_weights=False)[0], m=nn.MultiheadAttention(32, 4, batch_first=True)), [T],
    ),
    "lstm": (nn.LSTM(32, 8, batch_first=True), [T]),
    "lstm_bidirectional": (nn.LSTM(32, 8, 2, bidirectional=True), [T]),
    "gru": (nn.GRU(32, 8), [T]),
    "lstm_cell": (nn.LSTMCell(32, 8), [torch.randn(2, 32)]),
    "gru_cell": (nn.GRUCell(32, 8), [torch.randn(2, 32)]),
    "rnn_cell": (nn.RNNCell(32, 8), [torch.randn(2, 32)]),
    "shuffle": (Shuffle(), [X]),
    "upsample": (nn.Sequential(nn.Conv2d(16, 8, 1), nn.Upsample(scale_factor=2), nn.Conv2d(8, 4, 3, padding=1)), [X]),
    "upsample_bilinear": (Fn(lambda x: F.interpolate(x, size=(32, 32), mode="bilinear")), [X]),
    "group_norm": (nn.Sequential(nn.Conv2d(16, 8, 1), nn.GroupNorm(4, 8), nn.ReLU()), [X]),
    "instance_norm": (nn.Sequential(nn.Conv2d(16, 8, 1), nn.InstanceNorm2d(8, affine=True), nn.ReLU()), [X]),
    "layer_norm": (nn.LayerNorm(32), [T]),
    "gelu": (nn.GELU(), [X]),
    "gelu_tanh": (nn.GELU("tanh"), [X]),
    "pools": (nn.Sequential(nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(2)), [X]),
    "concat": (Fn(lambda x, a, b: torch.cat([a(x), b(x)], 1), a=conv_bn(16, 8, 1), b=conv_bn(16, 12, 3)), [X]),
    "chunk": (Fn(lambda x: [2 * part for part in x.chunk(2, 1)]), [X]),
    "select": (Fn(lambda x: x[:, 0]), [T]),
    "slice": (Fn(lambda x: x[:, 1:9]), [X]),
    "expand": (Fn(lambda x: x[:, :1].expand(-1, 16, -1, -1) * x), [X]),
    "normalize": (Fn(lambda x: F.normalize(x, dim=-1)), [T]),
    "masked_fill": (Fn(lambda x: x.masked_fill(x > 0, -2.0)), [T]),
    "hardshrink_like": (nn.Softshrink(), [X]),
    "conv_transpose": (nn.ConvTranspose2d(16, 8, 2, 2), [X]),
    "pixel_shuffle": (nn.Sequential(nn.Conv2d(16, 16, 1), nn.PixelShuffle(2)), [X]),
    "pad": (nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(16, 8, 3)), [X]),
    "mean": (Fn(lambda x: x.mean([2, 3])), [X]),
    "var": (Fn(lambda x: x.var(1, keepdim=True)), [X]),
    "einsum": (Fn(lambda a: torch.einsum("bij,bkj->bik", a, a)), [T]),
    "scalars": (Fn(lambda x: (1 - x) * 2 / (3 / x + 1)), [X]),
}  # fmt: skip


@pytest.mark.parametrize("context", ["plain", "packed"])
@pytest.mark.parametrize("name", MODELS)
def test_the_schedule_is_that_of_the_torch_exporter(name: str, context: str) -> None:
    model, inputs = MODELS[name]
    assert types_by_mmt(model, inputs, context) == types_by_torch(model, inputs, context)


def test_kernels_of_stubs_begin_with_mmt_stub_with_either_exporter() -> None:
    model = Fn(lambda a, b, c: F.relu(a + b) * c)
    inputs = [X, X, torch.randn(16)]  # the third one is not of rank 4
    own = to_onnx(model, specs_of(inputs), "packed").onnx_bytes
    for onnx in (own, torch_to_onnx(model, specs_of(inputs), "packed")):
        stubs = [name for name, kind in Converted(onnx).schedule() if name.startswith("mmt_stub")]
        kernels = [(name, kind) for name, kind in Converted(onnx).schedule() if kind == "Pooling"]
        assert len(kernels) == 2
        assert all(name in stubs for name, _ in kernels)
