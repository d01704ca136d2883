"""Whether a file is still the one that was looked at."""

from __future__ import annotations

import os


def file_state(path: str | os.PathLike[str]) -> tuple[int, int, int] | None:
    """What is another one whenever the file was written or replaced; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
