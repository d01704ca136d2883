"""Summaries of models: modules with their shapes, parameters and operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mmt.torch_side.fingerprint import class_name
from mmt.torch_side.flops import total_cost
from mmt.torch_side.structure import map_leaves
from mmt.torch_side.trace import TensorSpec, UnsupportedFunction, trace

__all__ = ["summarize_modules"]


def summarize_modules(
    model: torch.nn.Module, specs: Sequence[TensorSpec], classes: tuple[type, ...] | None
) -> list[dict[str, Any]]:
    """One dictionary per module call, in execution order (see mmt.parser.summary_model). Runs the model once."""
    rows: list[dict[str, Any]] = []
    calls: list[tuple[torch.nn.Module, Any, Any]] = []
    handles = []
    for name, module in model.named_modules():
        chosen = isinstance(module, classes) if classes is not None else not any(module.children())
        if chosen:
            handles.append(module.register_forward_hook(_recorder(rows, calls, name), with_kwargs=True))
    training = model.training
    try:
        model.eval()
        with torch.no_grad():
            model(*[torch.zeros(tuple(spec.shape), dtype=getattr(torch, spec.dtype)) for spec in specs])
        for handle in handles:
            handle.remove()
        counted: dict[str, int] = {}
        for row, (module, args, kwargs) in zip(rows, calls, strict=True):
            key = f"{id(module)} {args} {kwargs}"
            if key not in counted:
                counted[key] = _operations(module, args, kwargs)
            row["flops"] = counted[key]
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return rows


def _operations(module: torch.nn.Module, args: Any, kwargs: Any) -> int:
    """Operations of one call, a multiply-add counts as two; -1 where the module cannot be traced."""
    try:
        return total_cost(trace(module, args, kwargs=kwargs)).flops
    except UnsupportedFunction:
        return -1


def _recorder(rows: list[dict[str, Any]], calls: list[tuple[torch.nn.Module, Any, Any]], name: str) -> Any:
    def record(module: torch.nn.Module, inputs: Any, kwargs: Any, outputs: Any) -> None:
        calls.append((module, *map_leaves(_spec, (inputs, kwargs), torch.Tensor)))
        rows.append(
            {
                "name": name,
                "class": class_name(type(module)),
                "input_shapes": _shapes(inputs) + _shapes(kwargs),
                "output_shapes": _shapes(outputs),
                "parameters": sum(parameter.numel() for parameter in module.parameters()),
            }
        )

    return record


def _spec(tensor: torch.Tensor) -> TensorSpec:
    return TensorSpec(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))


def _shapes(value: Any) -> list[list[int]]:
    if isinstance(value, torch.Tensor):
        return [list(value.shape)]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (tuple, list)):
        return []
    return [shape for item in value for shape in _shapes(item)]
