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
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmt import _core
from mmt.engine.for_table import engine_for
from mmt.predict import Prediction, open_table, predict, weightiest

if TYPE_CHECKING:
    import torch

__all__ = ["ModelRow", "ValidationReport", "validate"]


@dataclass
class ModelRow:
    """One model: truth, prediction, error. Times in microseconds; `error_pct` positive where predicted too high.

    `memory_mib`: the engine's session memory; `size_mb`: the converted file. Predictions that are not known are NaN.
    """

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
    size_mb: float = math.nan
    predicted_size_mb: float = math.nan
    table_us: float = math.nan
    now_us: float = math.nan


@dataclass
class ValidationReport:
    """Rows per model, the error statistics, the noise floor, and the error split by kernel type.

    `metrics`: of the predictions in the rows. `table_metrics`: of the table's own predictions (`table_us`), whatever
    the machine did since it was measured. `reference_scale`: how much slower (above 1) the reference operators, which
    stand in every round, were than in the table; `scaled_metrics`: of the table's predictions times that, with how cold
    chains of the same operators say that models run now (`now_us`).
    `table_predictions`: those of the table, one per row; not in the JSON. `split`: per kernel type the time inside the
    models (profiled) and in the prediction, summed over the models.
    """

    rows: list[ModelRow]
    metrics: dict[str, float]
    noise_floor: dict[str, float]
    inside_interval: float
    split: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    reference_scale: float = 1.0
    table_metrics: dict[str, float] = field(default_factory=dict)
    scaled_metrics: dict[str, float] = field(default_factory=dict)
    table_predictions: list[Prediction] = field(default_factory=list, repr=False)

    def to_dict(self) -> dict[str, Any]:
        return {
            "metrics": self.metrics,
            "noise_floor": self.noise_floor,
            "inside_interval": self.inside_interval,
            "reference_scale": self.reference_scale,
            "table_metrics": self.table_metrics,
            "scaled_metrics": self.scaled_metrics,
            "models": [_plain(row.__dict__ | {"flags": list(row.flags)}) for row in self.rows],
            "split": self.split,
            "failed": self.failed,
            "sizes": {name: _plain(errors) for name, errors in self.size_errors().items()},
        }

    def size_errors(self) -> dict[str, dict[str, float]]:
        """Errors of predicted session memory ("memory") and file size ("size") over the models where both are known.

        Each: count, mape_pct, max_pct (largest, without sign), bias_pct. Predictions that read the engine's schedule
        know both already and are left out; `count` says how many remain.
        """
        composed = [row for row in self.rows if row.how == "composed"]
        return {
            "memory": _share_errors([(row.predicted_memory_mib, row.memory_mib) for row in composed]),
            "size": _share_errors([(row.predicted_size_mb, row.size_mb) for row in composed]),
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


def validate(
    ops_dir: Any,
    models: Sequence[tuple[str, torch.nn.Module]],
    inputs: Any,
    *,
    dtype: str | Sequence[str] = "float32",
    threads: int | None = None,
    rounds: int = 24,
    runs: int = 2,
    seed: int = 1,
    exact: bool | str = "auto",
    split: bool = True,
    with_ops: bool = False,
    exporter: str = "mmt",
    engine: Any = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> ValidationReport:
    """Measures `models`, predicts them from the table of `ops_dir`, and compares.

    `inputs`: one shape, a list of shapes, or a dictionary name -> shape(s) where models differ. `threads`: None takes
    the table's. A few operators of the table stand in every round and tell how much the machine's speed has changed
    since (`reference_scale`), and others' use of its caches; `with_ops` visits all that the models need and predicts
    from these times, so that no change of the machine counts as an error of the prediction. `exporter`: "mmt" or
    "torch", what converts the measured models. Models that cannot be converted or measured are listed in `failed`.
    Raises MmtError where the table cannot be used.
    """
    table = open_table(ops_dir)
    config = dict(table.config["run"]["config"])
    if threads is not None and threads != config["threads"]:
        raise _core.MmtError(
            f"{table.path} was measured with {config['threads']} thread(s), not {threads}: "
            f"meter it with --threads {threads} first"
        )
    engine = engine or engine_for(table)
    failed: list[dict[str, str]] = []
    by_name = dict(models)

    def predicted(name: str, by: Any) -> Prediction:
        return predict(by_name[name], by, _inputs_of(inputs, name), dtype=dtype, exact=exact)

    with tempfile.TemporaryDirectory(prefix="mmt_validate_") as folder:
        paths = _convert(models, inputs, dtype, Path(folder), exporter, failed, progress)
        todo = [
            (name, str(path), ranges_of(by_name[name], _inputs_of(inputs, name), dtype)) for name, path in paths.items()
        ]
        sizes = {name: path.stat().st_size / 1e6 for name, path in paths.items()}
        before = {name: predicted(name, table) for name in paths}
        needed = {kernel["key"] for prediction in before.values() for kernel in prediction.kernels}
        companions = operators_with(table, needed if with_ops else set(weightiest(before.values(), _REFERENCES)))
        hook = (lambda done, total, left: progress("measuring", done, total)) if progress else None
        run = table.config["run"]
        cache_bytes = _core.truth.largest_cache_bytes(run["l3_bytes"], run["cpus_online"])
        measured_now = _core.truth.measure(engine, todo, companions, rounds, runs, seed, split, hook, cache_bytes,
                                           run["displace_bytes"])
    truths = measured_now["models"]
    scale = _scale(table, measured_now["kernels"])
    now = _core.predict.overlay(table, {}, measured_now["cache"])
    if with_ops:
        table = _core.predict.overlay(table, measured_now["kernels"], measured_now["cache"])
    rows: list[ModelRow] = []
    predictions: list[Prediction] = []
    measured: list[dict[str, Any]] = []
    for index, truth in enumerate(truths):
        name = truth["label"]
        if truth["reason"]:
            failed.append({"name": name, "reason": truth["reason"]})
            continue
        prediction = predicted(name, table) if with_ops else before[name]
        if progress:
            progress("predicting", index + 1, len(truths))
        rows.append(_row(name, truth, prediction, sizes[name]))
        rows[-1].table_us = before[name].latency_us
        rows[-1].now_us = scale * predicted(name, now).latency_us
        predictions.append(prediction)
        measured.append(truth)
    if not rows:
        raise _core.MmtError(
            "none of the models could be measured: " + "; ".join(f"{f['name']}: {f['reason']}" for f in failed)
        )
    true_us, table_us = [row.true_us for row in rows], [row.table_us for row in rows]
    return ValidationReport(
        rows=rows,
        metrics=_core.stats.error_metrics(true_us, [row.predicted_us for row in rows]),
        noise_floor=_core.stats.error_metrics([row.half_a_us for row in rows], [row.half_b_us for row in rows]),
        inside_interval=sum(row.inside for row in rows) / len(rows),
        split=_split(measured, predictions) if split else [],
        failed=failed,
        reference_scale=scale,
        table_metrics=_core.stats.error_metrics(true_us, table_us),
        scaled_metrics=_core.stats.error_metrics(true_us, [row.now_us for row in rows]),
        table_predictions=[before[row.name] for row in rows],
    )


#: Kernels that tell how fast the machine is now. Their operators are also what chains are made of, and must suffice
#: for chains as large as half of the cache.
_REFERENCES = 40


def _scale(table: Any, fresh: dict[str, tuple[float, float, float, float]]) -> float:
    """Hot time of the operators' kernels against the table's: the median ratio by time; 1 where none tells.

    Cold times are no reference: what lies between two visits is not the same here as it was in the meter.
    """
    ratios: list[tuple[float, float]] = []
    for key, (_, hot_us, _, _) in fresh.items():
        row = table.find_kernel(key)
        if row is not None and row["hot_us"] > 0:
            ratios.append((hot_us / row["hot_us"], hot_us))
    if not ratios:
        return 1.0
    half = sum(weight for _, weight in ratios) / 2
    for ratio, weight in sorted(ratios):
        half -= weight
        if half <= 0:
            return ratio
    return 1.0


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Without NaN, which JSON does not have."""
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in values.items()}


def _share_errors(pairs: Sequence[tuple[float, float]]) -> dict[str, float]:
    errors = [100 * (predicted / true - 1) for predicted, true in pairs if true > 0 and math.isfinite(predicted)]
    count = len(errors)
    return {
        "count": count,
        "mape_pct": sum(map(abs, errors)) / count if count else math.nan,
        "max_pct": max(map(abs, errors)) if count else math.nan,
        "bias_pct": sum(errors) / count if count else math.nan,
    }


def operators_with(table: Any, keys: set[str]) -> list[tuple[str, str, list[tuple[float, float]]]]:
    """The fewest operator files, greedily, that contain these kernels: (label, path, input ranges)."""
    from mmt.manifest import read_manifest

    folder = Path(table.folder)
    entries = read_manifest(folder).entries
    candidates = []
    for row in table.all_operators():
        entry = entries.get(row["fingerprint"])
        for context in row["contexts"] if entry else ():
            file = next((model["file"] for model in entry["models"] if model["context"] == context["context"]), None)
            if file is not None:
                ranges = [(item["low"], item["high"]) for item in entry["inputs"]]
                candidates.append(
                    (
                        set(context["kernel_keys"]),
                        (f"{row['class_name']} {context['context']}", str(folder / file), ranges),
                    )
                )
    open_keys, chosen = set(keys), []
    while open_keys and candidates:
        best = max(candidates, key=lambda candidate: (len(candidate[0] & open_keys), -len(candidate[0])))
        if not best[0] & open_keys:
            break
        chosen.append(best[1])
        open_keys -= best[0]
        candidates.remove(best)
    return chosen


def ranges_of(model: torch.nn.Module, inputs: Any, dtype: str | Sequence[str]) -> list[tuple[float, float]]:
    """Ranges of the values that a model's inputs are filled with: indices of an embedding stay inside its table."""
    from mmt.torch_side.closing import tensor_specs

    tables = [module.num_embeddings for module in model.modules() if hasattr(module, "num_embeddings")]
    high = float(min(tables)) if tables else 2.0
    return [(-1.0, 1.0) if spec.dtype.startswith("float") else (0.0, high) for spec in tensor_specs(inputs, dtype)]


def _inputs_of(inputs: Any, name: str) -> Any:
    return inputs[name] if isinstance(inputs, dict) else inputs


def _convert(models, inputs, dtype, folder, exporter, failed, progress) -> dict[str, Path]:
    from mmt.torch_side.closing import tensor_specs
    from mmt.torch_side.convert_apart import onnx_to_mnn
    from mmt.torch_side.export import to_onnx, torch_to_onnx

    paths: dict[str, Path] = {}
    for index, (name, model) in enumerate(models):
        path = folder / f"model{index}.mnn"
        try:
            specs = tensor_specs(_inputs_of(inputs, name), dtype)
            onnx_to_mnn(
                torch_to_onnx(model.eval(), specs) if exporter == "torch" else to_onnx(model.eval(), specs).onnx_bytes,
                path,
            )
            paths[name] = path
        except Exception as error:
            failed.append({"name": name, "reason": f"conversion: {type(error).__name__}: {error}"})
        if progress:
            progress("converting", index + 1, len(models))
    return paths


def _row(name: str, truth: dict[str, Any], prediction: Prediction, size_mb: float) -> ModelRow:
    true_us, predicted_us = truth["median_us"], prediction.latency_us
    low, high = prediction.interval_us
    return ModelRow(
        name=name,
        true_us=true_us,
        predicted_us=predicted_us,
        low_us=low,
        high_us=high,
        error_pct=100 * (predicted_us / true_us - 1),
        half_a_us=truth["half_a_us"],
        half_b_us=truth["half_b_us"],
        how=prediction.how,
        flags=prediction.flags,
        missing=len(prediction.missing),
        memory_mib=truth["memory_mib"],
        predicted_memory_mib=prediction.memory_mib,
        inside=low <= true_us <= high,
        size_mb=size_mb,
        predicted_size_mb=prediction.size_mb,
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
    rows = [
        {
            "type": kind,
            "in_model_us": inside.get(kind, 0.0),
            "predicted_us": table.get(kind, 0.0),
            "error_share_pct": 100 * (table.get(kind, 0.0) - inside.get(kind, 0.0)) / total,
            "in_model_count": counts[kind][0],
            "predicted_count": counts[kind][1],
        }
        for kind in counts
    ]
    return sorted(rows, key=lambda row: -abs(row["error_share_pct"]))
