"""Pages (self-contained HTML) and traces of tables, predictions and validations."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mmt import _core

__all__ = ["chrome_trace", "page", "table_page", "write_table_page", "write_validation_page"]


def table_page(path: str | os.PathLike[str], config_id: str = "", limit: int = 2000) -> str:
    """The HTML page of a latency table: provenance, operators, kernels, failures; at most `limit` rows of each."""
    return _core.report.table_page(os.fspath(path), config_id, limit)


def page(data: Any) -> str:
    """The HTML page of a prediction, a validation, or other data.

    `data`: JSON text, a dictionary, or an object with `to_dict()`. Other data: title, text, facts, columns, rows and
    charts (docs/formats_table.md). Raises MmtError naming the key that does not fit.
    """
    return _core.report.json_page(_json_text(data))


def chrome_trace(prediction: Any) -> str:
    """The JSON trace of a predicted run, for Perfetto or about:tracing. `prediction`: as for `page`."""
    return _core.report.chrome_trace(_json_text(prediction))


def write_table_page(path: str | os.PathLike[str], file: str | os.PathLike[str], config_id: str = "") -> None:
    """Writes `table_page` to a file."""
    Path(file).write_text(table_page(path, config_id), encoding="utf-8")


def write_validation_page(report: Any, file: str | os.PathLike[str]) -> None:
    """Writes the page of a ValidationReport, with the scatter picture, to a file."""
    Path(file).write_text(page(report), encoding="utf-8")


def _json_text(data: Any) -> str:
    if isinstance(data, str):
        return data
    return json.dumps(data.to_dict() if hasattr(data, "to_dict") else data)
