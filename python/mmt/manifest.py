"""Reading and writing `ops.json`, the list of operators in a folder (format: docs/formats.md)."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmt.errors import mmt_error

FORMAT = 1
FILE_NAME = "ops.json"

#: Fields of an entry, in the order of the file.
ENTRY_FIELDS = ("fingerprint", "kind", "class", "parameters", "inputs", "output_shapes", "output_dtypes",
                "parameter_count", "exporter", "origin", "models", "error")


@dataclass
class Manifest:
    """The operators of a folder by fingerprint, in file order. Entries are dictionaries with ENTRY_FIELDS."""

    folder: Path
    converter: str = ""
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)

    def has_files(self, fingerprint: str) -> bool:
        """Whether an operator was converted and its files are still there, in their full length."""
        entry = self.entries.get(fingerprint)
        if entry is None or entry.get("error") or not entry.get("models"):
            return False
        return all(_size(self.folder / model["file"]) == model["size_bytes"] for model in entry["models"])


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def read_manifest(folder: str | os.PathLike[str]) -> Manifest:
    """The manifest of `folder`; an empty one where there is none yet. Raises MmtError("parse") naming the place."""
    path = Path(folder) / FILE_NAME
    manifest = Manifest(Path(folder))
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return manifest
    except (OSError, UnicodeDecodeError) as error:
        raise mmt_error("io", f"{path}: cannot be read: {error}") from error
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise mmt_error("parse", f"{path}:{error.lineno}:{error.colno}: {error.msg}; the file is damaged: "
                        "generate the folder again") from error
    if not isinstance(content, dict) or not isinstance(content.get("operators"), list):
        raise mmt_error("parse", f"{path}: no manifest: an object with a list 'operators' is expected")
    if content.get("format") != FORMAT:
        raise mmt_error("unsupported", f"{path}: format {content.get('format')!r}; this version reads format {FORMAT}")
    manifest.converter = content.get("converter", "")
    for position, entry in enumerate(content["operators"]):
        if not isinstance(entry, dict) or not isinstance(entry.get("fingerprint"), str):
            raise mmt_error("parse", f"{path}: operators[{position}] has no fingerprint")
        manifest.entries[entry["fingerprint"]] = entry
    return manifest


def write_manifest(manifest: Manifest, version: str) -> None:
    """Writes the manifest so that a reader sees either the old or the new file. Equal content gives equal bytes."""
    lines = [json.dumps({name: entry[name] for name in ENTRY_FIELDS if name in entry}, ensure_ascii=False,
                        separators=(",", ":")) for entry in manifest.entries.values()]
    head = f'"format":{FORMAT},\n"mmt_version":{json.dumps(version)},\n"converter":{json.dumps(manifest.converter)}'
    operators = "\n" + ",\n".join(lines) if lines else ""
    text = f"{{{head},\n\"operators\":[{operators}\n]}}\n"
    path = manifest.folder / FILE_NAME
    partial = manifest.folder / f".{FILE_NAME}.{os.getpid()}.partial"
    try:
        manifest.folder.mkdir(parents=True, exist_ok=True)
        with open(partial, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise mmt_error("io", f"{path}: cannot be written: {error.strerror}") from error
