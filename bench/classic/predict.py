"""A table is a list; a model is run once, and every module's printed text is compared with one row after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass
class Row:
    """An operator: the text that it prints, the shape of its input, its latency in milliseconds."""

    text: str
    shape: tuple[int, ...]
    latency_ms: float


def look_up(table: list[Row], module: nn.Module, shape: tuple[int, ...]) -> Row | None:
    """The first row that prints like `module`."""
    text = repr(module)
    for row in table:
        if row.text == text and row.shape == shape:
            return row
    return None


def predict(model: nn.Module, table: list[Row], input_shape: Sequence[int]) -> float:
    """Sum over the outermost modules that the table holds, in milliseconds; what it lacks counts nothing.

    Every module is looked up when it is called.
    """
    total = 0.0
    inside: list[nn.Module] = []

    def enter(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        nonlocal total
        row = look_up(table, module, tuple(inputs[0].shape))
        if row is not None and not inside:
            total += row.latency_ms
            inside.append(module)

    def leave(module: nn.Module, inputs: Any, output: Any) -> None:
        if inside and inside[-1] is module:
            inside.pop()

    handles = [module.register_forward_pre_hook(enter) for module in model.modules()]
    handles += [module.register_forward_hook(leave) for module in model.modules()]
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(tuple(input_shape)))
    finally:
        for handle in handles:
            handle.remove()
    return total
