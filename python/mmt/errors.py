"""Raising MMT's one error type from Python."""

from __future__ import annotations

from mmt._core import MmtError

__all__ = ["MmtError", "mmt_error"]


def mmt_error(code: str, message: str) -> MmtError:
    """An MmtError with the stable name of its kind ("invalid_argument", "not_found", "unsupported", …)."""
    error = MmtError(message)
    error.code = code
    return error
