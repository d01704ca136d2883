"""Models written in other ways: functional code, nesting, shared modules, several inputs and outputs, conditionals."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .variant import Input, Variant, image


class Functional(nn.Module):
    """Layers hold the weights, everything else is a function call."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 5, stride=2, padding=2)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.conv3 = nn.Conv2d(64, 128, 3, padding=1)
        self.fc1 = nn.Linear(128 * 7 * 7, 256)
        self.fc2 = nn.Linear(256, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.leaky_relu(self.conv2(x), 0.1), 2)
        x = F.avg_pool2d(F.elu(self.conv3(x)), 4)
        x = x.view(-1, 128 * 7 * 7)
        x = F.dropout(torch.tanh(self.fc1(x)), training=self.training)
        return F.log_softmax(self.fc2(x), dim=1)


def nested() -> nn.Sequential:
    """nn.Sequential inside nn.Sequential inside nn.Sequential."""

    def unit(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Sequential(nn.Conv2d(channels_in, channels_out, 3, stride, 1), nn.BatchNorm2d(channels_out)),
            nn.Sequential(nn.ReLU6()),
        )

    return nn.Sequential(
        nn.Sequential(unit(3, 32, 2), nn.Sequential(unit(32, 32, 1), unit(32, 64, 2))),
        nn.Sequential(nn.Sequential(nn.Sequential(unit(64, 64, 1), nn.MaxPool2d(2))), unit(64, 128, 2)),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 100)),
    )


class Shared(nn.Module):
    """One block applied several times, one activation object used everywhere."""

    def __init__(self, width: int = 64, times: int = 4) -> None:
        super().__init__()
        self.inlet = nn.Conv2d(3, width, 7, stride=4, padding=3)
        self.block = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width))
        self.act = nn.ReLU()
        self.times = times
        self.outlet = nn.Linear(width, 100)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.inlet(x))
        for _ in range(self.times):
            x = self.act(self.block(x)) + x
        return self.outlet(x.mean((2, 3)))


class TwoInputs(nn.Module):
    """A picture and a vector come together; two answers leave, one of them shared by both inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.picture = nn.Sequential(
            nn.Conv2d(3, 32, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(64, 96, 3, 2, 1),
            nn.ReLU(),
        )
        self.vector = nn.Sequential(nn.Linear(40, 128), nn.ReLU(), nn.Linear(128, 96))
        self.mix = nn.Conv2d(96, 96, 3, padding=1)
        self.boxes = nn.Conv2d(96, 8, 1)
        self.label = nn.Linear(192, 30)

    def forward(self, picture: torch.Tensor, vector: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.picture(picture)
        hint = self.vector(vector)
        mixed = F.relu(self.mix(features * torch.sigmoid(hint)[:, :, None, None]))
        label = self.label(torch.cat([mixed.mean(dim=(2, 3)), hint], dim=1))
        return self.boxes(mixed), label


class Rearranged(nn.Module):
    """chunk, permute, split, stack, reshape between convolutions."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.inlet = nn.Conv2d(3, width, 4, stride=4)
        self.halves = nn.ModuleList(nn.Conv2d(width // 2, width // 2, 3, padding=1) for _ in range(2))
        self.gate = nn.Conv2d(width, 2 * width, 1)
        self.rows = nn.Linear(width, width)
        self.outlet = nn.Linear(width, 50)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.inlet(x)
        x = torch.cat([conv(part) for conv, part in zip(self.halves, x.chunk(2, 1), strict=True)], dim=1)
        value, gate = self.gate(x).split(x.shape[1], dim=1)
        x = value * gate.sigmoid()
        x = self.rows(x.permute(0, 2, 3, 1))
        x = x.flatten(1, 2).amax(dim=1)
        return self.outlet(x)


class Conditional(nn.Module):
    """The configuration decides what runs: norm or none, pooling or stride, one head or two."""

    def __init__(self, width: int, norm: bool, pool: bool, auxiliary: bool) -> None:
        super().__init__()
        self.pool, self.auxiliary = pool, auxiliary
        self.convs = nn.ModuleList()
        self.norms = nn.ModuleList()
        channels = 3
        for level in range(4):
            self.convs.append(nn.Conv2d(channels, width << level, 3, 1 if pool else 2, 1, bias=not norm))
            self.norms.append(nn.BatchNorm2d(width << level) if norm else nn.Identity())
            channels = width << level
        self.head = nn.Linear(channels, 100)
        if auxiliary:
            self.side = nn.Linear(width << 1, 10)

    def forward(self, x: torch.Tensor):
        side = None
        for level, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = F.relu(norm(conv(x)))
            if self.pool:
                x = F.max_pool2d(x, 2)
            if self.auxiliary and level == 1:
                side = self.side(x.mean((2, 3)))
        out = self.head(x.mean((2, 3)))
        return (out, side) if side is not None else out


def variants() -> list[Variant]:
    return [
        image("functional", Functional, 224),
        image("nested", nested, 160),
        image("shared", Shared, 224),
        Variant("two-inputs", TwoInputs, (Input((1, 3, 192, 192)), Input((1, 40)))),
        image("rearranged", Rearranged, 160),
        image("conditional-pool", lambda: Conditional(24, norm=True, pool=True, auxiliary=False), 128),
        image("conditional-side", lambda: Conditional(32, norm=False, pool=False, auxiliary=True), 224),
    ]
