"""What is to be converted, and what came of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from mmt.space.drops import Dropped, DropReport
from mmt.torch_side.build import Checked
from mmt.torch_side.fingerprint import InputSpec
from mmt.torch_side.trace import Trace

__all__ = ["Failed", "Fallback", "GenerateReport", "Operator"]


@dataclass
class Operator:
    """One operator that is to be in the folder, given as a class with parameters, a module, or a piece of a trace.

    `cls` and `parameters`: built here (to be checked) and in a worker process (to be converted). `module`: converted
    as it is. `trace`: functions cut out of a model. `checked`: what a run of it showed, where it ran already.
    `captured_id`: fingerprint of an instance that scan captured, to be found in this folder or in `captured_in`.
    `ranges`: (low, high) per input, or with the share of it that neighbours have in common, where known.
    """

    inputs: list[InputSpec]
    class_name: str
    cls: type[torch.nn.Module] | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    search_path: list[str] = field(default_factory=list)
    module: torch.nn.Module | None = field(default=None, repr=False)
    trace: Trace | None = field(default=None, repr=False)
    checked: Checked | None = field(default=None, repr=False)
    captured_id: str = ""
    captured_in: list[Path] = field(default_factory=list)
    ranges: list[tuple[float, ...]] | None = None
    kind: str = "module"
    origin: str = "yaml"
    fingerprint: str = ""
    place: str = ""

    def __str__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.parameters.items())
        inputs = f" on {', '.join(map(str, self.inputs))}" if self.inputs else ""
        return f"{self.class_name}({arguments or self.captured_id}){inputs}"

    def dropped(self, stage: str, reason: str) -> Dropped:
        return Dropped(self.class_name, self.parameters, [list(spec.shape) for spec in self.inputs],
                       [spec.dtype for spec in self.inputs], stage, reason, self.place)


@dataclass(frozen=True)
class Fallback:
    """An operator that MMT's own graph writer left to PyTorch's exporter, and why."""

    operator: str
    reason: str


@dataclass(frozen=True)
class Failed:
    """An operator that could not be converted."""

    operator: str
    fingerprint: str
    reason: str
    place: str = ""


@dataclass
class GenerateReport:
    """What a call did: `total` = new + reused + duplicates + dropped + failed (counts).

    `dropped`: combinations that the class itself does not accept. `failed`: operators without a model.
    """

    folder: str
    total: int = 0
    new: int = 0
    reused: int = 0
    duplicates: int = 0
    dropped: DropReport = field(default_factory=DropReport)
    failed: list[Failed] = field(default_factory=list)
    fallbacks: list[Fallback] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        parts = [f"{self.total} operators in {self.seconds:.1f} s: {self.new} new, {self.reused} reused"]
        counts = (("duplicates", self.duplicates), ("dropped", len(self.dropped)), ("failed", len(self.failed)))
        parts += [f"{count} {name}" for name, count in counts if count]
        if self.fallbacks:
            parts.append(f"{len(self.fallbacks)} through PyTorch's exporter")
        return ", ".join(parts) + f" -> {self.folder}"

    def fallback_reasons(self) -> dict[str, int]:
        """How many operators took PyTorch's exporter, by reason, most frequent first."""
        return dict(Counter(fallback.reason for fallback in self.fallbacks).most_common())

    def to_dict(self) -> dict[str, Any]:
        """Counts and lists, for `--json`."""
        return {
            "folder": self.folder, "total": self.total, "new": self.new, "reused": self.reused,
            "duplicates": self.duplicates, "dropped": self.dropped.to_json(),
            "failed": [asdict(item) for item in self.failed], "fallbacks": [asdict(item) for item in self.fallbacks],
            "seconds": round(self.seconds, 3),
        }
