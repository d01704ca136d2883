"""Exact plans: the model is converted and the engine lists its kernels without executing one."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from mmt import _core
from mmt.engine.for_table import table_engine
from mmt.torch_side.flops import Cost, total_cost
from mmt.torch_side.trace import TensorSpec, trace

__all__ = ["plan_json"]

def plan_json(model: torch.nn.Module, specs: list[TensorSpec], table: Any) -> tuple[str, bool]:
    """The exact plan of a torch model as JSON, and whether it may be another one for other numbers in the weights.

    Kept beside the table under the identity of what the model computes.
    """
    from mmt.torch_side.convert_apart import onnx_to_mnn
    from mmt.torch_side.export import to_onnx

    key, numbers_matter, cost = _identity(model, specs)
    cache = _core.table.PlanCache.open(table.folder)
    cached = cache.get(key, table.config["config_id"]) if key else None
    if cached is not None:
        return cached, numbers_matter
    with tempfile.TemporaryDirectory(prefix="mmt_exact_") as folder:
        path = Path(folder) / "model.mnn"
        onnx_to_mnn(to_onnx(model, specs).onnx_bytes, str(path))
        plan = _core.predict.exact_plan_json(table_engine(table), str(path))
    if cost is not None:
        # Statistics of batch norms are constants too, but nobody counts them as parameters.
        parameters = sum(parameter.numel() for parameter in model.parameters())
        plan = json.dumps(json.loads(plan) | {"parameters": parameters, "flops": cost.flops})
    if key:
        cache.put(key, table.config["config_id"], plan)
    return plan, numbers_matter


def _identity(model: torch.nn.Module, specs: list[TensorSpec]) -> tuple[str, bool, Cost | None]:
    """What the model computes, weights aside ("" where it cannot be traced; then nothing is kept), whether that
    depends on numbers, and its parameters and operations."""
    from mmt.torch_side.trace import UnsupportedFunction

    try:
        traced = trace(model, specs)
    except UnsupportedFunction:
        return "", True, None
    return hashlib.sha256(traced.to_json().encode()).hexdigest()[:32], traced.numbers_matter, total_cost(traced)
