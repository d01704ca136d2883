"""Combinations that a space asks for and a class refuses: never silent, counted and grouped by reason."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["DropReport", "Dropped"]


@dataclass(frozen=True)
class Dropped:
    """One combination that was dropped. `stage`: "constructor", "forward" or "conversion"; `place`: "ops.yaml:3:5"."""

    class_name: str
    parameters: dict[str, Any]
    input_shapes: list[list[int]]
    input_dtypes: list[str]
    stage: str
    reason: str
    place: str = ""

    def line(self) -> str:
        """One line for lists: class, parameters, shapes, reason."""
        values = ", ".join(f"{name}={json.dumps(value)}" for name, value in self.parameters.items())
        shapes = " ".join(json.dumps(shape, separators=(",", ":")) for shape in self.input_shapes)
        return f"{self.class_name}({values}) on {shapes}: {self.stage}: {self.reason}"


@dataclass
class DropReport:
    """Collects dropped combinations. Use an instance as the callback that takes a `Dropped`."""

    dropped: list[Dropped] = field(default_factory=list)

    def __call__(self, drop: Dropped) -> None:
        self.dropped.append(drop)

    def __len__(self) -> int:
        return len(self.dropped)

    def by_reason(self) -> dict[str, list[Dropped]]:
        """Groups by class, stage and reason (numbers inside a reason do not split a group), largest group first.

        A group is called by the words of its first member.
        """
        groups: dict[tuple[str, str, str], list[Dropped]] = {}
        for drop in self.dropped:
            groups.setdefault((drop.class_name, drop.stage, re.sub(r"\d+", "0", drop.reason)), []).append(drop)
        ordered = sorted(groups.values(), key=len, reverse=True)
        result: dict[str, list[Dropped]] = {}
        for group in ordered:
            result[f"{group[0].class_name}: {group[0].stage}: {group[0].reason}"] = group
        return result

    def lines(self, show_all: bool = False) -> list[str]:
        """What to print: a line of counts and the reasons, or, with `show_all`, every dropped combination as well."""
        if not self.dropped:
            return []
        noun = "combination" if len(self.dropped) == 1 else "combinations"
        lines = [f"{len(self.dropped):,} {noun} dropped" + ("" if show_all else " (--show-dropped lists them)")]
        for reason, group in self.by_reason().items():
            lines.append(f"  {len(group):,} × {reason}")
            if show_all:
                lines.extend(f"    {drop.place + ': ' if drop.place else ''}{drop.line()}" for drop in group)
        return lines

    def to_json(self) -> dict[str, Any]:
        """Counts, reasons and every dropped combination, for `--json`."""
        return {
            "count": len(self.dropped),
            "reasons": {reason: len(group) for reason, group in self.by_reason().items()},
            "dropped": [asdict(drop) for drop in self.dropped],
        }
