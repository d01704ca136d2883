"""The search space over `mobilenet_v3_small`: 11 slots with (kernel, squeeze-and-excite, activation) each."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from mobilenetv3 import WIDTHS, BlockChoice, MobileNetV3Small, mobilenet_v3_small

INPUT_SHAPE = [1, 3, 224, 224]
CHOICES: list[BlockChoice] = [
    BlockChoice(kernel, use_se, activation)
    for kernel, use_se, activation in itertools.product((3, 5, 7), (True, False), ("relu", "hardswish"))
]
SLOTS: dict[str, list[BlockChoice]] = {f"block{index}": CHOICES for index in range(len(WIDTHS))}


def build(config: Mapping[str, BlockChoice]) -> MobileNetV3Small:
    """The model of one configuration, slot name -> choice."""
    return mobilenet_v3_small([config[slot] for slot in SLOTS])
