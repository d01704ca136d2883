"""The models that a command works on: those that are named, and samples of a search space."""

from __future__ import annotations

import importlib
import random
from typing import Any

import typer

from mmt.cli.loading import load_model, load_object

__all__ = ["models_and_samples", "sample_space"]


def models_and_samples(models: list[str] | None, space: str | None, sample: int, seed: int) -> list[tuple[str, Any]]:
    """Named models by name, and random configurations of a search space. Raises typer.BadParameter for neither."""
    chosen: list[tuple[str, Any]] = [(name, load_model(name)) for name in models or []]
    if space is not None:
        chosen += sample_space(space, sample, seed)
    if not chosen:
        raise typer.BadParameter("name models, or a search space with --space space.py:build")
    return chosen


def sample_space(reference: str, count: int, seed: int) -> list[tuple[str, Any]]:
    """Random configurations of a builder `file.py:build` that has SLOTS (name -> choices) beside it."""
    build = load_object(reference)
    module = importlib.import_module(build.__module__)
    slots = getattr(module, "SLOTS", None)
    if not isinstance(slots, dict):
        raise typer.BadParameter(
            f"{reference}: its module has no SLOTS, a dictionary from slot names to lists of choices"
        )
    generator = random.Random(seed)
    sampled = []
    for index in range(count):
        config = {name: generator.choice(choices) for name, choices in slots.items()}
        label = ",".join(
            "-".join(str(part) for part in value) if isinstance(value, (tuple, list)) else str(value)
            for value in config.values()
        )
        sampled.append((f"{index}: {label}"[:80], build(config)))
    return sampled
