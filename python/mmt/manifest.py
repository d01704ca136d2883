"""`ops.json`, the list of operators in a folder, for Python. The format is the core's: docs/formats.md."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmt import _core
from mmt.errors import MmtError
from mmt.file_state import file_state

FORMAT = 1


@dataclass
class Manifest:
    """The operators of a folder by fingerprint, in file order. Entries are dictionaries."""

    folder: Path
    converter: str = ""
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)

    def has_files(self, fingerprint: str) -> bool:
        """Whether an operator was converted and its files are still there, in their full length."""
        entry = self.entries.get(fingerprint)
        if entry is None or entry.get("error") or not entry.get("models"):
            return False
        return all(_size(self.folder / model["file"]) == model["size_bytes"] for model in entry["models"])


@contextlib.contextmanager
def changing(folder: Path) -> Iterator[None]:
    """No other process changes the manifest of `folder` meanwhile: what is read and written here is one step."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # file systems without locks still work, for one process
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def manifest_state(folder: Path) -> tuple[int, int, int] | None:
    """What is another one whenever the manifest of `folder` was written; None where there is none."""
    return file_state(folder / _core.meter.MANIFEST_NAME)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def read_manifest(folder: str | os.PathLike[str]) -> Manifest:
    """The manifest of `folder`; an empty one where there is none yet. Raises MmtError("parse") naming the place."""
    manifest = Manifest(Path(folder))
    try:
        content = json.loads(_core.meter.read_manifest(os.fspath(folder)))
    except MmtError as error:
        if error.code == "not_found":
            return manifest
        raise
    manifest.converter = content["converter"]
    manifest.entries = {entry["fingerprint"]: entry for entry in content["operators"]}
    return manifest


def write_manifest(manifest: Manifest) -> None:
    """Writes the manifest so that a reader sees either the old or the new file. Equal content gives equal bytes."""
    content = {"format": FORMAT, "mmt_version": _core.__version__, "converter": manifest.converter,
               "operators": list(manifest.entries.values())}
    _core.meter.write_manifest(os.fspath(manifest.folder), json.dumps(content, ensure_ascii=False))
