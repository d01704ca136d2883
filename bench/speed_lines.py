"""The lines of the speed report."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

REPETITIONS = 2

Lines = list[dict[str, Any]]


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def line(what: str, values: list[float], unit: str, *, target: str = "", met: bool | None = None,
         classic: list[float] | None = None, least_ratio: float = 0, note: str = "") -> dict[str, Any]:
    """One line of the report. `values`, `classic`: one per repetition, the same unit."""
    value = statistics.median(values)
    spread = 100 * (max(values) - min(values)) / value if value else 0.0
    row: dict[str, Any] = {"what": what, "value": value, "unit": unit, "spread_pct": spread, "target": target}
    if classic:
        row["classic"] = statistics.median(classic)
        row["ratio"] = row["classic"] / value
        if least_ratio:
            row["target"] = f"{target}, {least_ratio:g} x classic".lstrip(", ")
            met = (met is not False) and row["ratio"] >= least_ratio
    row["met"] = met
    row["note"] = note
    print(f"  {what}: {value:.4g} {unit} (±{spread:.0f} %)"
          + (f", classic {row['classic']:.4g}, {row['ratio']:.1f} x" if classic else "")
          + ("" if met is None else ", met" if met else ", MISSED"), flush=True)
    return row
