"""Predicting a model's latency, with the calls that users of latency tables know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mmt.predict import MmtError, Prediction, open_table, predict

if TYPE_CHECKING:
    import torch

__all__ = ["predict_latency", "summary_model"]


def predict_latency(
    model: torch.nn.Module,
    path: Any,
    input_shape: Sequence[Any],
    verbose: bool = False,
    *,
    strict: bool = False,
    exact: bool | str = "auto",
    dtype: str | Sequence[str] = "float32",
) -> float:
    """Latency of `model` in milliseconds.

    `path`: operator folder, its latency.db, or `<folder>/meta_latency.pkl` as older scripts say (it stands for the
    folder's table). `input_shape`: [1, 3, 224, 224], or a list of shapes. `verbose`: prints the operators with their
    share. `strict`: raises MmtError where anything is not in the table instead of estimating it.
    """
    table = open_table(path)
    prediction = predict(model, table, input_shape, dtype=dtype, exact=exact)
    if prediction.missing and strict:
        raise MmtError(describe_missing(prediction, table))
    if verbose:
        from mmt.report_text import prediction_table

        print(prediction_table(prediction, table))
    return prediction.latency_ms


def describe_missing(prediction: Prediction, table: Any, limit: int = 10) -> str:
    """What the table lacks, with its nearest rows and what to add."""
    lines = [f"{len(prediction.missing)} part(s) of the model are not in {table.path}:"]
    nodes = prediction.nodes
    for row in prediction.missing[:limit]:
        node = nodes[row["node"]] if 0 <= row["node"] < len(nodes) else None
        shapes = "" if node is None else f" on {node['input_shapes']}"
        gap = "" if node is not None and prediction.how == "composed" else " "
        lines.append(f"  {row['what']}{gap}{row['detail']}{shapes}")
        if node is None or prediction.how == "exact":
            continue
        for near in table.nearest_operators(row["what"], node["arguments"], node["input_shapes"], 2):
            lines.append(f"    nearest: {near['class_name']} {near['parameters_json']} on {near['input_shapes']}")
    if len(prediction.missing) > limit:
        lines.append(f"  … and {len(prediction.missing) - limit} more")
    lines.append("Add them: mmt.scan(model, input_shape, ops_dir) or `mmt space --check`, then `mmt meter`.")
    return "\n".join(lines)


def summary_model(
    model: torch.nn.Module, input_shape: Sequence[Any], classes: Iterable[type] | None = None, *, dtype: str = "float32"
) -> list[dict[str, Any]]:
    """Modules of `model` with their shapes, parameters and operations: one dictionary per call, in execution order.

    `input_shape`: [1, 3, 224, 224], or a list of shapes. `classes`: only instances of these; None: the modules without
    children. Keys: name (path in the model), class, input_shapes, output_shapes, parameters (with those of its
    children), flops (of this call, a multiply-add counts as two; -1: it calls a function that MMT does not know).
    Runs the model once on zeros, in evaluation mode. Raises what the model raises for these inputs.
    """
    from mmt.torch_side.closing import tensor_specs
    from mmt.torch_side.summary import summarize_modules

    return summarize_modules(model, tensor_specs(input_shape, dtype), None if classes is None else tuple(classes))
