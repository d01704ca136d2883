"""Summaries of models: modules with their shapes and parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mmt.torch_side.fingerprint import class_name
from mmt.torch_side.trace import TensorSpec

__all__ = ["summarize_modules"]


def summarize_modules(
    model: torch.nn.Module, specs: Sequence[TensorSpec], classes: tuple[type, ...] | None
) -> list[dict[str, Any]]:
    """One dictionary per module call, in execution order (see mmt.parser.summary_model). Runs the model once."""
    rows: list[dict[str, Any]] = []
    handles = []
    for name, module in model.named_modules():
        chosen = isinstance(module, classes) if classes is not None else not any(module.children())
        if chosen:
            handles.append(module.register_forward_hook(_recorder(rows, name)))
    training = model.training
    try:
        model.eval()
        with torch.no_grad():
            model(*[torch.zeros(tuple(spec.shape), dtype=getattr(torch, spec.dtype)) for spec in specs])
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return rows


def _recorder(rows: list[dict[str, Any]], name: str) -> Any:
    def record(module: torch.nn.Module, inputs: Any, outputs: Any) -> None:
        rows.append(
            {
                "name": name,
                "class": class_name(type(module)),
                "input_shapes": _shapes(inputs),
                "output_shapes": _shapes(outputs),
                "parameters": sum(parameter.numel() for parameter in module.parameters()),
            }
        )

    return record


def _shapes(value: Any) -> list[list[int]]:
    if isinstance(value, torch.Tensor):
        return [list(value.shape)]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (tuple, list)):
        return []
    return [shape for item in value for shape in _shapes(item)]
