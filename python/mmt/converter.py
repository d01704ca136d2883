"""Operators and models become `.mnn` files, with the calls that users of latency tables know."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmt.errors import mmt_error

if TYPE_CHECKING:
    import torch

    from mmt.torch_side.generate import GenerateReport, Progress
    from mmt.validate import ValidationReport

__all__ = ["export_models", "generate_ops_list", "register", "validation"]

_log = logging.getLogger("mmt")


def generate_ops_list(yaml_path: str | os.PathLike[str], ops_dir: str | os.PathLike[str], *, yes: bool = False,
                      workers: int | None = None, progress: Progress | None = None) -> GenerateReport:
    """Converts every operator of a space (docs/space.md) into `ops_dir`; what is there already is kept.

    `yes` confirms a space of more than 100,000 operators. `workers`: processes, by default one per core.
    Combinations that a class refuses are in the report's `dropped`, operators that could not be converted in its
    `failed`; both are logged as warnings. Raises MmtError for mistakes in the space, with file, line and column.
    """
    from mmt.torch_side.generate import generate

    return _told(generate(yaml_path, ops_dir, yes=yes, workers=workers, progress=progress))


def register(cls: type[torch.nn.Module], ops_dir: str | os.PathLike[str], *, yes: bool = False,
             workers: int | None = None, progress: Progress | None = None, **space: Any) -> GenerateReport:
    """Adds operators of one class to `ops_dir`; keywords are what stands below a class in YAML.

        mmt.register(Block, "ops/", channels=[64, 128], stride=[1, 2], input_shape=[[1, 64, 56, 56], [1, 128, 28, 28]])

    Works for any class, also for one of a script or a notebook. Raises MmtError as generate_ops_list does.
    """
    from mmt.torch_side.generate import generate_class

    return _told(generate_class(cls, ops_dir, space, yes=yes, workers=workers, progress=progress))


def export_models(net: torch.nn.Module | Mapping[str, torch.nn.Module] | Sequence[torch.nn.Module],
                  shape: Sequence[Any], dir: str | os.PathLike[str], *, dtype: str | Sequence[str] = "float32",
                  ) -> list[Path]:
    """Converts whole models to `<dir>/<name>.mnn`, for meter_models. Returns the files.

    `net`: a model (named after its class), a dictionary of models by name, or a list (`<class>_0`, …). `shape`: one
    input shape, or a list of them for several inputs. Weights stay as they are. Raises MmtError naming the model that
    cannot be converted.
    """
    from mmt.torch_side.generate import export_model

    folder = Path(dir)
    return [export_model(model, shape, folder / f"{name}.mnn", dtype) for name, model in _named(net).items()]


def _named(net: Any) -> dict[str, torch.nn.Module]:
    if isinstance(net, Mapping):
        return dict(net)
    if isinstance(net, Sequence) and not hasattr(net, "forward"):
        return {f"{type(model).__name__}_{index}": model for index, model in enumerate(net)}
    return {type(net).__name__: net}


def validation(dir: str | os.PathLike[str], ops: Any, save_path: str | os.PathLike[str] | None = None, lp: Any = None,
               *, rounds: int = 24, runs: int = 2, seed: int = 1, engine: Any = None) -> ValidationReport:
    """Measures the models of a folder (`export_models` makes one) and compares them with their predictions.

    `dir`: folder of `.mnn` files. `ops`: operator folder, table path or LatencyTable. `save_path`: a CSV file with one
    line per model. `lp`: a latency_predictor that corrects the predictions. `print(report.to_text())` shows the table
    of true, predicted and error. Torch models that are at hand: mmt.validate.validate. Raises MmtError where the
    folder holds no models or none of them could be measured.
    """
    from mmt import _core
    from mmt.engine.for_table import engine_for
    from mmt.predict import open_table, predict_file
    from mmt.validate import ModelRow, ValidationReport

    paths = [Path(path) for path in _core.meter.list_models(os.fspath(dir))]
    table = open_table(ops)
    measured = _core.truth.measure(engine or engine_for(table), [(path.stem, str(path), []) for path in paths], [],
                                   rounds, runs, seed, False, None)["models"]
    rows = []
    failed = []
    for path, truth in zip(paths, measured, strict=True):
        if truth["reason"]:
            failed.append({"name": path.stem, "reason": truth["reason"]})
            continue
        prediction = predict_file(str(path), table)
        predicted, low, high = (1e3 * value for value in lp.correct(prediction)) if lp is not None else (
            prediction.latency_us, *prediction.interval_us)
        true = truth["median_us"]
        rows.append(ModelRow(
            name=path.stem, true_us=true, predicted_us=predicted, low_us=low, high_us=high,
            error_pct=100 * (predicted / true - 1), half_a_us=truth["half_a_us"], half_b_us=truth["half_b_us"],
            how=prediction.how, flags=prediction.flags, missing=len(prediction.missing),
            memory_mib=truth["memory_mib"], predicted_memory_mib=prediction.memory_mib,
            inside=low <= true <= high, size_mb=path.stat().st_size / 1e6, predicted_size_mb=prediction.size_mb))
    if not rows:
        raise mmt_error("engine", f"{dir}: none of the models could be measured: "
                        + "; ".join(f"{item['name']}: {item['reason']}" for item in failed))
    statistics = _core.stats.error_metrics
    report = ValidationReport(
        rows, statistics([row.true_us for row in rows], [row.predicted_us for row in rows]),
        statistics([row.half_a_us for row in rows], [row.half_b_us for row in rows]),
        sum(row.inside for row in rows) / len(rows), failed=failed)
    if save_path is not None:
        report.write_csv(save_path)
    return report


def _told(report: GenerateReport) -> GenerateReport:
    """Puts what did not become an operator into the log: nothing is left out silently."""
    for line in report.dropped.lines():
        _log.warning("%s", line)
    for failed in report.failed:
        _log.warning("no model of %s: %s", failed.operator, failed.reason)
    return report
