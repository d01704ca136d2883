"""The operator space: YAML files and keywords that say which operators a table is to hold (docs/space.md).

    space = mmt.space.load("ops.yaml")             # checked text: places, lists, counts
    resolved = mmt.space.resolve(space)            # classes found, parameter names checked
    for operator in resolved.operators():          # one by one, nothing built yet
        module = operator.build()
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from mmt._core import space as core
from mmt.errors import mmt_error
from mmt.space.drops import Dropped, DropReport
from mmt.space.examine import Examination, examine, summary
from mmt.space.resolve import LIMIT, ResolvedOperator, ResolvedSpace, check_size, resolve

__all__ = [
    "LIMIT", "DropReport", "Dropped", "Examination", "ResolvedOperator", "ResolvedSpace", "check_size", "examine",
    "from_keywords", "load", "loads", "operators", "resolve", "schema", "schema_json", "summary",
]


def load(path: str | os.PathLike[str]) -> core.Space:
    """Reads and parses a space file. Raises MmtError ("parse", "not_found", "io") with one message to act upon."""
    return core.read_space(os.fspath(path))


def loads(text: str, source: str = "<text>") -> core.Space:
    """Parses YAML text; `source` stands for the file in messages."""
    return core.parse_space(text, source)


def from_keywords(cls: type, **space: Any) -> core.Space:
    """The keyword form: `from_keywords(Block, channels=[64, 128], input_shape=[[1, 64, 56, 56], [1, 128, 28, 28]])`.

    Same rules as in YAML; tuples count as lists. Raises MmtError for values that YAML could not hold.
    """
    source = f"register({cls.__name__})"
    for key, value in space.items():
        _check_plain(value, source, key)
    return core.parse_keywords(json.dumps(space), cls.__module__, cls.__qualname__, source)


def _check_plain(value: Any, source: str, key: str) -> None:
    if isinstance(value, (list, tuple)):
        for item in value:
            _check_plain(item, source, key)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_plain(name, source, key)
            _check_plain(item, source, key)
    elif value is not None and type(value) not in (bool, int, float, str):
        raise mmt_error("invalid_argument", core.space_message(
            source, core.SourcePlace(), key, "", f"a value of type {type(value).__name__} cannot be written into a "
            "space; use numbers, texts, true/false, None and lists of them, or let mmt.scan capture the instance"))
    elif isinstance(value, float) and value - value != 0:
        raise mmt_error("invalid_argument", core.space_message(
            source, core.SourcePlace(), key, "", f"{value} is not a finite number; write a finite one such as 1.0e+30"))


def operators(space: core.Space | str | os.PathLike[str], yes: bool = False) -> Iterator[ResolvedOperator]:
    """The operators of a space (or space file), checked against Python, one by one. `yes`: also more than LIMIT."""
    if not isinstance(space, core.Space):
        space = load(space)
    check_size(space, yes)
    return resolve(space).operators(yes)


def schema_json() -> str:
    """JSON Schema (draft 2020-12) of the YAML format, as text."""
    return core.json_schema()


def schema() -> dict[str, Any]:
    """JSON Schema of the YAML format."""
    return json.loads(schema_json())
