"""The latency table: opening, building, checking, joining and exporting it.

    table = LatencyTable.open("ops/")           # or ops/latency.db, or ops/meta_latency.pkl as older scripts say
    row = table.find_operator(fingerprint)      # a dictionary, or None
    row["contexts"][0]["hot"]["median_us"]

Rows are dictionaries whose names carry their units; they are the names of the columns of `latency.db` and of the
exports (docs/formats_table.md). Every function raises MmtError with a message that says what to do.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from mmt import _core

LatencyTable = _core.table.LatencyTable
PlanCache = _core.table.PlanCache
VIEWS: tuple[str, ...] = tuple(_core.table.VIEWS)

__all__ = ["VIEWS", "LatencyTable", "PlanCache", "build_table", "check", "configs", "export", "merge"]

Path = str | os.PathLike[str]


def build_table(folder: Path) -> dict[str, Any]:
    """Folds `ops.json` and `latency.jsonl` of a folder into `latency.db`.

    The old file stays until the new one is whole. Returns counts: operators, kernels, failed, dropped_lines, and the
    list configs. Opening a table does this where it is needed; call it to force it.
    """
    return _core.table.build_table(os.fspath(folder))


def configs(path: Path) -> list[dict[str, Any]]:
    """The configurations of a table: config_id, run (provenance), overheads in microseconds, counts."""
    return _core.table.configs(os.fspath(path))


def check(path: Path) -> dict[str, Any]:
    """Looks through table, journal, manifest and model files.

    `ok`: no errors; `findings`: what a user may want to know; counts of operators, measurements, kernels.
    """
    return _core.table.check(os.fspath(path))


def merge(target: Path, sources: Sequence[Path]) -> dict[str, int]:
    """Takes operators and measurements of other folders over into `target`, which is made where it does not exist.

    Returns counts: profiles, skipped (there already), operators, files (model files copied).
    """
    return _core.table.merge(os.fspath(target), [os.fspath(source) for source in sources])


def export(
    path: Path,
    view: str = "operators",
    *,
    format: str = "csv",
    file: Path | None = None,
    config_id: str = "",
    limit: int = -1,
) -> str:
    """Writes one of VIEWS as "csv" or "json" to `file`; without a file, returns the text.

    `config_id`: only that configuration; `limit`: rows at most, negative for all.
    """
    return _core.report.export_records(
        os.fspath(path), view, format, "-" if file is None else os.fspath(file), config_id, limit
    )
