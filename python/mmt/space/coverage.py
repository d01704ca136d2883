"""Which operators of a model a space lacks, and the lines that add them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mmt.space.examine import build_operator
from mmt.space.resolve import ResolvedSpace

if TYPE_CHECKING:
    from mmt.torch_side.scan import Found, ScanReport

__all__ = ["Coverage", "check_coverage", "space_fingerprints"]


@dataclass
class Coverage:
    """What of a model a space holds.

    `level`: how the model was taken apart ("auto", "block", "group", "layer"). `operators`, `covered`: different
    modules of the model, and those that the space holds; `share`: their part of the modules' FLOPs. `lacking`: the
    other modules; `uncaptured`: those of them whose constructor arguments cannot be recovered. `functions`: different
    functions between modules (additions, concatenations) that are not among the space's captured operators; no YAML
    line makes them, scanning does. `yaml`: the lines that add the rest, "" where there is nothing to add.
    """

    level: str
    operators: int = 0
    covered: int = 0
    share: float = 1.0
    lacking: list[Found] = field(default_factory=list)
    uncaptured: list[Found] = field(default_factory=list)
    functions: int = 0
    yaml: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        unwritten = {item.fingerprint for item in self.uncaptured}
        return {
            "level": self.level,
            "operators": self.operators,
            "covered": self.covered,
            "covered_flops_share": self.share,
            "functions_lacking": self.functions,
            "yaml": self.yaml,
            "lacking": [
                {
                    "operator": str(item.operator),
                    "fingerprint": item.fingerprint,
                    "occurs": item.occurs,
                    "paths": item.paths,
                    "recovered": item.fingerprint not in unwritten,
                }
                for item in self.lacking
            ],
        }


def check_coverage(
    resolved: ResolvedSpace,
    model: torch.nn.Module,
    input_shape: Any,
    level: str = "auto",
    *,
    dtype: str | list[str] = "float32",
    yes: bool = False,
) -> Coverage:
    """Compares a model's operators with a space. `input_shape`, `level` and `dtype` as for `mmt.scan`.

    With "auto", layers count where the space holds more of the model's work by layers than by blocks. Raises MmtError
    where the model does not run on the shape, or for more than LIMIT operators without `yes`.
    """
    from mmt.torch_side.scan import find_operators

    held = space_fingerprints(resolved, yes)
    levels = ("auto", "layer") if level == "auto" else (level,)
    found = [_compare(held, find_operators(model, input_shape, one, dtype=dtype), one) for one in levels]
    result, report = max(found, key=lambda pair: pair[0].share)
    _write_lines(result, report, resolved.folder or Path.cwd())
    return result


def space_fingerprints(resolved: ResolvedSpace, yes: bool = False) -> set[str]:
    """Fingerprints of all operators of a space that can be built; ids of captured ones are fingerprints."""
    from mmt.torch_side.build import Refused
    from mmt.torch_side.fingerprint import fingerprint

    held = set()
    for operator in resolved.operators(yes):
        if operator.cls is None:
            held.add(operator.captured_id)
            continue
        try:
            held.add(fingerprint(*build_operator(operator)))
        except Refused:
            continue  # Dropped: `mmt space` without --check counts and lists these.
    return held


def _compare(held: set[str], report: ScanReport, level: str) -> tuple[Coverage, ScanReport]:
    modules = [item for item in report.found if item.operator.kind == "module"]
    result = Coverage(level, operators=len(modules))
    result.lacking = [item for item in modules if item.fingerprint not in held]
    result.covered = len(modules) - len(result.lacking)
    result.functions = sum(item.operator.kind != "module" and item.fingerprint not in held for item in report.found)
    total = sum(map(report.share, modules))
    result.share = 1.0 - sum(map(report.share, result.lacking)) / total if total else float(not result.lacking)
    return result, report


def _write_lines(result: Coverage, report: ScanReport, folder: Path) -> None:
    from mmt.torch_side.scan import ScanReport
    from mmt.torch_side.space_text import space_text

    unwritten = {
        operator.fingerprint for operator in space_text(ScanReport(result.lacking, report.flops), folder, []).captured
    }
    result.uncaptured = [item for item in result.lacking if item.fingerprint in unwritten]
    writable = [item for item in result.lacking if item.fingerprint not in unwritten]
    if writable:
        result.yaml = space_text(ScanReport(writable, report.flops), folder, []).text.lstrip("\n")
