"""The search space over `resnet18`: eight slots, one per block, with kernel 3, 5 or 7 each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from resnet18 import ResNet18, resnet18

INPUT_SHAPE = [1, 3, 224, 224]
SLOTS: dict[str, list[int]] = {f"block{index}": [3, 5, 7] for index in range(8)}


def build(config: Mapping[str, int]) -> ResNet18:
    """The model of one configuration, slot name -> kernel size."""
    return resnet18([config[slot] for slot in SLOTS])


def configurations() -> Iterator[dict[str, int]]:
    """All 6,561 of them; the last slot changes fastest."""
    for choice in itertools.product(*SLOTS.values()):
        yield dict(zip(SLOTS, choice, strict=True))
