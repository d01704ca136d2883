"""Whether somebody watches."""

from __future__ import annotations

from typing import Any


def is_terminal(stream: Any) -> bool:
    """Whether an output stream is a terminal. Services have none (`sys.stderr` is None), and programs put objects of
    their own in its place that know nothing of terminals."""
    ask = getattr(stream, "isatty", None)
    return ask is not None and bool(ask())
