"""The judge: whole models measured as a user runs them, against their predictions.

    report = validate("ops/", [("resnet 3,5,7", model), …], [1, 3, 224, 224])
    report.metrics["mape_pct"], report.noise_floor["mape_pct"]; print(report.to_text())

Truth: back-to-back runs on fresh input in each model's own session, visited in rounds of random order; the median over
the rounds on one drift scale. The noise floor is the same statistics between the even and the odd rounds. Prediction
and truth are the same statistic: the time of one run in microseconds.
"""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmt import _core
from mmt.engine.for_table import engine_for
from mmt.predict import Prediction, open_table, predict

if TYPE_CHECKING:
    import torch

__all__ = ["ModelRow", "ValidationReport", "validate"]


@dataclass
class ModelRow:
    """One model: truth, prediction, error. Times in microseconds; `error_pct` positive where predicted too high."""

    name: str
    true_us: float
    predicted_us: float
    low_us: float
    high_us: float
    error_pct: float
    half_a_us: float
    half_b_us: float
    how: str
    flags: tuple[str, ...]
    missing: int
    memory_mib: float
    predicted_memory_mib: float
    inside: bool


@dataclass
class ValidationReport:
    """Rows per model, the error statistics, the noise floor, and the error split by kernel type.

    `split`: per kernel type the time inside the models (profiled) and in the prediction, summed over the models.
    """

    rows: list[ModelRow]
    metrics: dict[str, float]
    noise_floor: dict[str, float]
    inside_interval: float
    split: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    reference_scale: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "metrics": self.metrics,
            "noise_floor": self.noise_floor,
            "inside_interval": self.inside_interval,
            "reference_scale": self.reference_scale,
            "models": [row.__dict__ | {"flags": list(row.flags)} for row in self.rows],
            "split": self.split,
            "failed": self.failed,
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=1)

    def write_csv(self, path: str | Path) -> None:
        """One line per model, columns as in ModelRow."""
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            names = list(ModelRow.__dataclass_fields__)
            writer.writerow(names)
            for row in self.rows:
                writer.writerow(["|".join(row.flags) if name == "flags" else getattr(row, name) for name in names])

    def to_text(self) -> str:
        from mmt.report_text import validation_table

        return validation_table(self)


def validate(ops_dir: Any, models: Sequence[tuple[str, torch.nn.Module]], inputs: Any, *, dtype: str | Sequence[str] = "float32",
             threads: int | None = None, rounds: int = 24, runs: int = 5, seed: int = 1, exact: bool | str = "auto", split: bool = True,
             exporter: str = "mmt", engine: Any = None, progress: Callable[[str, int, int], None] | None = None) -> ValidationReport:
    """Measures `models`, predicts them from the table of `ops_dir`, and compares.

    `inputs`: one shape, a list of shapes, or a dictionary name -> shape(s) where models differ. `threads`: None takes
    the table's. `exporter`: "mmt" or "torch", what converts the measured models. Models that cannot be converted or
    measured are listed in `failed`. Raises MmtError where the table cannot be used.
    """
    table = open_table(ops_dir)
    config = dict(table.config["run"]["config"])
    if threads is not None and threads != config["threads"]:
        raise _core.MmtError(f"{table.path} was measured with {config['threads']} thread(s), not {threads}: meter it with --threads {threads} first")
    engine = engine or engine_for(table)
    failed: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory(prefix="mmt_validate_") as folder:
        paths = _convert(models, inputs, dtype, Path(folder), exporter, failed, progress)
        todo = [(name, str(path)) for name, path in paths.items()]
        hook = (lambda done, total, left: progress("measuring", done, total)) if progress else None
        truths = _core.truth.measure(engine, todo, [], rounds, runs, seed, split, hook)
    rows: list[ModelRow] = []
    predictions: list[Prediction] = []
    measured: list[dict[str, Any]] = []
    by_name = dict(models)
    for index, truth in enumerate(truths):
        name = truth["label"]
        if truth["reason"]:
            failed.append({"name": name, "reason": truth["reason"]})
            continue
        prediction = predict(by_name[name], table, _inputs_of(inputs, name), dtype=dtype, exact=exact)
        if progress:
            progress("predicting", index + 1, len(truths))
        rows.append(_row(name, truth, prediction))
        predictions.append(prediction)
        measured.append(truth)
    if not rows:
        raise _core.MmtError("none of the models could be measured: " + "; ".join(f"{f['name']}: {f['reason']}" for f in failed))
    return ValidationReport(
        rows=rows,
        metrics=_core.stats.error_metrics([row.true_us for row in rows], [row.predicted_us for row in rows]),
        noise_floor=_core.stats.error_metrics([row.half_a_us for row in rows], [row.half_b_us for row in rows]),
        inside_interval=sum(row.inside for row in rows) / len(rows),
        split=_split(measured, predictions) if split else [],
        failed=failed,
    )


def _inputs_of(inputs: Any, name: str) -> Any:
    return inputs[name] if isinstance(inputs, dict) else inputs


def _convert(models, inputs, dtype, folder, exporter, failed, progress) -> dict[str, Path]:  # noqa: ANN001
    from mmt.torch_side.closing import tensor_specs
    from mmt.torch_side.convert import onnx_to_mnn
    from mmt.torch_side.export import to_onnx

    paths: dict[str, Path] = {}
    for index, (name, model) in enumerate(models):
        path = folder / f"model{index}.mnn"
        try:
            exported = to_onnx(model.eval(), tensor_specs(_inputs_of(inputs, name), dtype), exporter=exporter)
            onnx_to_mnn(exported.onnx_bytes, path)
            paths[name] = path
        except Exception as error:  # noqa: BLE001  Any model may fail in its own way; it is one failed row.
            failed.append({"name": name, "reason": f"conversion: {type(error).__name__}: {error}"})
        if progress:
            progress("converting", index + 1, len(models))
    return paths


def _row(name: str, truth: dict[str, Any], prediction: Prediction) -> ModelRow:
    true_us, predicted_us = truth["median_us"], prediction.latency_us
    low, high = prediction.interval_us
    return ModelRow(
        name=name, true_us=true_us, predicted_us=predicted_us, low_us=low, high_us=high, error_pct=100 * (predicted_us / true_us - 1),
        half_a_us=truth["half_a_us"], half_b_us=truth["half_b_us"], how=prediction.how, flags=prediction.flags,
        missing=len(prediction.missing), memory_mib=truth["memory_mib"], predicted_memory_mib=prediction.result.memory_mib,
        inside=low <= true_us <= high,
    )


def _split(truths: list[dict[str, Any]], predictions: list[Prediction]) -> list[dict[str, Any]]:
    """Where the error comes from: per kernel type, the time inside the models against the table's."""
    inside: dict[str, float] = {}
    table: dict[str, float] = {}
    counts: dict[str, list[int]] = {}
    for truth, prediction in zip(truths, predictions, strict=True):
        for kernel in truth["kernels"]:
            inside[kernel["type"]] = inside.get(kernel["type"], 0.0) + kernel["median_us"]
            counts.setdefault(kernel["type"], [0, 0])[0] += 1
        for kernel in prediction.kernels:
            table[kernel["type"]] = table.get(kernel["type"], 0.0) + kernel["latency_us"]
            counts.setdefault(kernel["type"], [0, 0])[1] += 1
    total = sum(inside.values()) or 1.0
    rows = [{"type": kind, "in_model_us": inside.get(kind, 0.0), "predicted_us": table.get(kind, 0.0),
             "error_share_pct": 100 * (table.get(kind, 0.0) - inside.get(kind, 0.0)) / total,
             "in_model_count": counts[kind][0], "predicted_count": counts[kind][1]} for kind in counts]
    return sorted(rows, key=lambda row: -abs(row["error_share_pct"]))
