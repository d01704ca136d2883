"""Measuring on this machine: operators into a latency table, whole models, single models.

>>> from mmt.meter import meter_ops                            # doctest: +SKIP
>>> meter_ops("./ops", times=100)                              # doctest: +SKIP
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmt import _core
from mmt.engine import Engine, EngineConfig, default_engine
from mmt.errors import mmt_error
from mmt.terminal import is_terminal

if TYPE_CHECKING:
    import torch

__all__ = ["MeterReport", "get_model_latency", "meter_models", "meter_ops", "read_journal"]


_log = logging.getLogger("mmt")

#: Called with a dictionary: done, total, failed, noise (share), elapsed_s, left_s, engine_share, current.
Progress = Callable[[dict[str, Any]], None]

_ENGINE_OPTIONS = ("backend", "precision", "memory", "power", "cpus")
_DURATIONS = {"budget": "budget_s", "cooldown": "cooldown_s"}
_METER_OPTIONS = ("min_times", "target_ci", "hot_runs", "settling_runs", "seed", "max_steal", "max_retries",
                  "batch_memory_mib", "share_kernels", "reference", "evict_bytes", "device", "only", "again",
                  "retry_failed", "max_celsius")


@dataclass(frozen=True)
class MeterReport:
    """What a run of the meter did. `failures`: (operator, reason). Times in seconds, `engine_share` 0…1."""

    journal: str
    config_id: str
    measured: int
    failed: int
    skipped: int
    unconverted: int
    flagged: int
    interrupted: bool
    budget_ended: bool
    wall_s: float
    engine_share: float
    rounds: int
    kernels_total: int
    kernels_shared: int
    failures: list[tuple[str, str]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {**self.__dict__, "failures": [{"operator": name, "reason": why} for name, why in self.failures]}

    def to_text(self) -> str:
        """A few lines for people."""
        lines = [f"{self.measured} measured, {self.failed} failed, {self.skipped} done before, {self.flagged} with "
                 f"noise flags; {self.wall_s:.1f} s in {self.rounds} rounds, {self.engine_share:.0%} in the engine"]
        if self.kernels_total:
            lines.append(f"{self.kernels_total} kernels, {self.kernels_shared} of them shared")
        lines += [f"failed: {name}: {why}" for name, why in self.failures]
        if self.unconverted:
            lines.append(f"{self.unconverted} operators could not be converted and have no files")
        if self.interrupted:
            lines.append("interrupted; the same call goes on")
        if self.budget_ended:
            lines.append("the budget ended the run; the same call refines the rows")
        return "\n".join(lines)


def meter_ops(ops_dir: str | os.PathLike[str], times: int = 100, threads: int = 1, *, progress: Progress | None = None,
              engine: Engine | None = None, **options: Any) -> MeterReport:
    """Measures the operators of a folder that generate_ops_list made, and builds its latency table.

    `times`: at most this many samples of a quantity; quiet operators need fewer. What an earlier call measured with the
    same device and configuration is kept. Options: backend, precision, memory, power, cpus ("4-7", "big" or a list),
    budget and cooldown (seconds or "10m"), only (parts of class names or fingerprints), again, retry_failed, device,
    seed, target_ci, min_times, batch_memory_mib and the other fields of mmt/meter.h. `progress` gets dictionaries;
    without it a bar is drawn where stderr is a terminal. `engine` takes the place of a new worker process.

    Raises MmtError where the folder or the options make no sense, and KeyboardInterrupt on Ctrl-C, after what is
    finished has gone into the table. An operator that fails is a row of the table and of the report's `failures`.
    """
    report = run_folder(ops_dir, times, threads, progress=progress, engine=engine, **options)
    if report.interrupted:
        raise KeyboardInterrupt(report.to_text())
    return report


def run_folder(ops_dir: str | os.PathLike[str], times: int = 100, threads: int = 1, *, progress: Progress | None = None,
               engine: Engine | None = None, **options: Any) -> MeterReport:
    """meter_ops, but Ctrl-C gives a report with `interrupted` set."""
    folder = Path(ops_dir)
    config, settings = _settings(times, threads, options)
    _core.meter.read_manifest(str(folder))  # Its mistakes are told before an engine is started.
    with _shown(progress) as show:
        report = _core.meter.meter_folder(str(folder), engine or default_engine(config), settings, show)
    if (folder / _core.meter.JOURNAL_NAME).exists():
        _core.table.build_table(str(folder))
    return _told(MeterReport(**report))


def meter_models(dir: str | os.PathLike[str], times: int = 100, *, threads: int = 1, progress: Progress | None = None,
                 engine: Engine | None = None, **options: Any) -> list[dict[str, Any]]:
    """Measures the whole models (`*.mnn`) of a folder; returns one dictionary per model, in order of their names.

    Keys: name, path, status, reason, latency_ms (median of back-to-back runs), mean_ms, min_ms, max_ms, ci_low_ms,
    ci_high_ms, cold_ms (first run after other models), memory_mib, size_mb, flags. Options and errors as meter_ops.
    The folder's latency.jsonl keeps all of it; models that did not change are not measured again.
    """
    folder = Path(dir)
    paths = _core.meter.list_models(str(folder))
    report, rows = _measure_files(paths, [], folder, times, threads, progress, engine, options)
    if report.interrupted:
        raise KeyboardInterrupt(report.to_text())
    return rows


def get_model_latency(model: torch.nn.Module | str | os.PathLike[str], shape: Sequence[Any],
                      path: str | os.PathLike[str] | None = None, times: int = 100, *,
                      dtype: str | Sequence[str] = "float32", **options: Any) -> float:
    """Measures one model and returns the median of its back-to-back runs in milliseconds.

    `model`: a torch module, or the path of a `.mnn` file. `shape`: one input shape, or a list of them. `path`: where
    the converted `.mnn` is kept, a file or a folder; nothing is kept without it. Options and errors as meter_ops;
    MmtError also where the model does not run.
    """
    with tempfile.TemporaryDirectory(prefix="mmt_") as scratch:
        if isinstance(model, (str, os.PathLike)):
            from mmt.model_file import shape_list

            file = Path(model)
            inputs = [_core.engine.InputSpec(shape=list(size)) for size in shape_list(shape)]
        else:
            from mmt.torch_side.generate import export_model

            file = Path(path) if path is not None else Path(scratch)
            if file.suffix != ".mnn":
                file = file / f"{type(model).__name__}.mnn"
            file.parent.mkdir(parents=True, exist_ok=True)
            file = Path(export_model(model, shape, file, dtype))
            inputs = []
        report, rows = _measure_files([str(file)], [inputs], Path(scratch), times, options.pop("threads", 1),
                                      options.pop("progress", None), options.pop("engine", None), options)
    if report.interrupted:
        raise KeyboardInterrupt
    if rows[0]["status"] != "ok":
        raise mmt_error("engine", f"{file}: {rows[0]['reason']}")
    return rows[0]["latency_ms"]


def read_journal(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The profiles of a journal (a file, or the folder that holds it) as dictionaries.

    Each has `config_id` and `run` (provenance) besides the fields of docs/formats.md; fields at their defaults are
    absent. Damaged lines are logged.
    """
    file = Path(path)
    rows, dropped, first = _core.meter.read_journal(str(file / _core.meter.JOURNAL_NAME if file.is_dir() else file))
    if dropped:
        _log.warning("%s: %d lines are damaged; the first: %s", file, dropped, first)
    runs: dict[str, dict[str, Any]] = {}
    profiles = []
    for config_id, run, profile in rows:
        if run not in runs:
            runs[run] = json.loads(run)
        profiles.append({"config_id": config_id, "run": runs[run], **json.loads(profile)})
    return profiles


def _measure_files(paths: list[str], inputs: list[Any], folder: Path, times: int, threads: int,
                   progress: Progress | None, engine: Engine | None,
                   options: dict[str, Any]) -> tuple[MeterReport, list[dict[str, Any]]]:
    config, settings = _settings(times, threads, options)
    with _shown(progress) as show:
        report = MeterReport(**_core.meter.meter_models(paths, inputs, str(folder), engine or default_engine(config),
                                                        settings, show))
    latest = _latest_models(read_journal(folder), report.config_id)
    rows = []
    for path in paths:
        row = latest.get(_core.base.sha256_file_hex(path))
        if row is not None:
            rows.append(_model_row(path, row))
    return _told(report), rows


def _latest_models(rows: list[dict[str, Any]], config_id: str) -> dict[str, dict[str, Any]]:
    """What became of each model file, by its hash: the last row, but an unfinished one hides no finished one."""
    latest: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["config_id"] != config_id or row.get("context") != "model":
            continue
        earlier = latest.get(row["file_sha256"])
        if earlier is None or not _is_unfinished(row) or _is_unfinished(earlier):
            latest[row["file_sha256"]] = row
    return latest


def _is_unfinished(row: dict[str, Any]) -> bool:
    return "unfinished" in row.get("flags", "")


def _model_row(path: str, row: dict[str, Any]) -> dict[str, Any]:
    hot, cold = row.get("hot", {}), row.get("cold", {})
    main = hot or cold  # With one run per visit there are only cold ones.
    names = {"latency_ms": "median_us", "mean_ms": "mean_us", "min_ms": "min_us", "max_ms": "max_us",
             "ci_low_ms": "ci_low_us", "ci_high_ms": "ci_high_us"}
    return {"name": Path(path).stem, "path": path, "status": row.get("status", "ok"), "reason": row.get("reason", ""),
            **{name: main.get(source, 0.0) / 1e3 for name, source in names.items()},
            "cold_ms": cold.get("median_us", 0.0) / 1e3, "memory_mib": row.get("memory_mib", 0.0),
            "size_mb": row.get("file_bytes", 0) / 1e6, "flags": row.get("flags", "")}


def _settings(times: int, threads: int, options: dict[str, Any]) -> tuple[EngineConfig, Any]:
    """Engine configuration and meter options from keywords. Raises MmtError for names that do not exist."""
    unknown = sorted(set(options) - {*_ENGINE_OPTIONS, *_DURATIONS, *_METER_OPTIONS})
    if unknown:
        known = ", ".join(sorted([*_ENGINE_OPTIONS, *_DURATIONS, *_METER_OPTIONS]))
        raise mmt_error("invalid_argument", f"unknown option '{unknown[0]}'; there are: {known}")
    config = EngineConfig(threads=threads)
    for name in _ENGINE_OPTIONS:
        if options.get(name) is None:
            continue
        value = options[name]
        if name == "cpus" and isinstance(value, str):
            value = _core.base.select_cpus(value)
        setattr(config, name, value)
    settings = _core.meter.FolderOptions()
    settings.config = config
    settings.times = times
    for name in _METER_OPTIONS:
        if options.get(name) is not None:
            setattr(settings, name, [options[name]] if name == "only" and isinstance(options[name], str)
                    else options[name])
    for name, target in _DURATIONS.items():
        if options.get(name) is not None:
            value = options[name]
            setattr(settings, target, _core.meter.parse_duration_s(value) if isinstance(value, str) else float(value))
    return config, settings


def _told(report: MeterReport) -> MeterReport:
    for name, why in report.failures:
        _log.warning("%s was not measured: %s", name, why)
    return report


@contextmanager
def _shown(progress: Progress | None) -> Iterator[Progress | None]:
    """The caller's progress hook, or a bar on a terminal."""
    if progress is not None or not is_terminal(sys.stderr):
        yield progress
        return
    from mmt.cli.meter_bar import meter_bar

    with meter_bar() as bar:
        yield bar
