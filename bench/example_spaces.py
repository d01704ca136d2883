"""The search spaces of the examples, and random networks of them."""

from __future__ import annotations

import importlib
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SHAPE = [1, 3, 224, 224]


def example_space(name: str) -> ModuleType:
    """`space.py` of an example (two of them have one)."""
    folder = str(ROOT / "examples" / name)
    sys.path.insert(0, folder)
    sys.modules.pop("space", None)
    try:
        return importlib.import_module("space")
    finally:
        sys.path.remove(folder)


def random_models(name: str, count: int, seed: int) -> list[Any]:
    """So many random networks of an example's space."""
    space = example_space(name)
    generator = random.Random(seed)
    return [
        space.build({slot: generator.choice(choices) for slot, choices in space.SLOTS.items()}).eval()
        for _ in range(count)
    ]
