"""A small image classifier built of torch.nn classes alone; `ops.yaml` needs no module of the user's."""

from __future__ import annotations

from torch import nn

WIDTH = 64
INPUT_SHAPE = [1, 3, 224, 224]


def network(stages: int = 5, num_classes: int = 1000) -> nn.Sequential:
    """`stages` times convolution, batch norm, ReLU and pooling, then a linear classifier: [N, 3, H, W] -> [N, classes].

    1 to 5 stages are covered by ops.yaml.
    """
    layers: list[nn.Module] = []
    channels = 3
    for _ in range(stages):
        layers += [
            nn.Conv2d(channels, WIDTH, 3, padding=1, bias=False),
            nn.BatchNorm2d(WIDTH),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
        channels = WIDTH
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTH, num_classes)]
    return nn.Sequential(*layers)
