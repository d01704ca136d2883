"""Down and up again with skip connections: bilinear or nearest upsampling, or transposed convolutions."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .variant import Variant, image


class DoubleConv(nn.Module):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)))


class Hourglass(nn.Module):
    """`up`: "nearest", "bilinear" or "transposed". `merge`: "cat" or "add"."""

    def __init__(self, width: int, levels: int, up: str, merge: str, classes: int = 21) -> None:
        super().__init__()
        self.up, self.merge = up, merge
        widths = [width * 2**level for level in range(levels + 1)]
        self.inlet = DoubleConv(3, widths[0])
        self.down = nn.ModuleList(DoubleConv(widths[i], widths[i + 1]) for i in range(levels))
        self.raise_ = nn.ModuleList()
        self.narrow = nn.ModuleList()
        for level in reversed(range(levels)):
            if up == "transposed":
                self.raise_.append(nn.ConvTranspose2d(widths[level + 1], widths[level], 2, stride=2))
            else:
                self.raise_.append(nn.Conv2d(widths[level + 1], widths[level], 1))
            self.narrow.append(DoubleConv(widths[level] * (2 if merge == "cat" else 1), widths[level]))
        self.outlet = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.inlet(x)
        skips = []
        for down in self.down:
            skips.append(x)
            x = down(F.max_pool2d(x, 2))
        for raise_, narrow in zip(self.raise_, self.narrow, strict=True):
            skip = skips.pop()
            x = raise_(x)
            if self.up == "bilinear":
                x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            elif self.up == "nearest":
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = narrow(torch.cat([skip, x], dim=1) if self.merge == "cat" else skip + x)
        return self.outlet(x)


def variants() -> list[Variant]:
    return [
        image("nearest-cat-w16", lambda: Hourglass(16, 3, "nearest", "cat"), 128),
        image("bilinear-cat-w12", lambda: Hourglass(12, 4, "bilinear", "cat"), 160),
        image("transposed-cat-w16", lambda: Hourglass(16, 3, "transposed", "cat"), 112),
        image("nearest-add-w24", lambda: Hourglass(24, 2, "nearest", "add"), 96),
    ]
