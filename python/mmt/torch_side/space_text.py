"""What a scan found, as the text of an operator space."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmt.torch_side.fingerprint import InputSpec
from mmt.torch_side.operators import Operator
from mmt.torch_side.recover import can_be_named, recover_parameters
from mmt.torch_side.scan import Found, ScanReport

__all__ = ["SpaceText", "space_text"]

_WIDTH = 110


@dataclass
class SpaceText:
    """`text` of a YAML file, and what it refers to by id because no class and parameters say it."""

    text: str
    captured: list[Operator]


@dataclass
class _Group:
    """Operators of one class that differ in their first parameter and shapes alone."""

    first: str
    others: dict[str, Any]
    dtypes: list[str]
    firsts: list[Any] = field(default_factory=list)
    items: list[Found] = field(default_factory=list)


def space_text(report: ScanReport, folder: Path, title: list[str]) -> SpaceText:
    """Writes the operators of a scan for a file in `folder`; `title`: lines of comment at its head."""
    classes: dict[tuple[str, str], list[tuple[Found, dict[str, Any]]]] = {}
    captured: list[Found] = []
    for item in report.found:
        parameters = _parameters(item, folder)
        if parameters is None:
            captured.append(item)
        else:
            cls = type(item.operator.module)
            name = "torch.nn" if item.operator.class_name.startswith("torch.nn.") else cls.__module__
            classes.setdefault((name, cls.__qualname__), []).append((item, parameters))
    lines = [f"# {line}".rstrip() for line in title]
    modules: dict[str, list[tuple[str, list[_Group]]]] = {}
    for (module, name), members in classes.items():
        modules.setdefault(module, []).append((name, _grouped(members)))
    for module, entries in modules.items():
        lines += ["", f"{module}:"]
        for position, (name, groups) in enumerate(entries):
            found = [item for group in groups for item in group.items]
            lines += [""] * (position > 0) + [f"  # {_summary(report, found)}", f"  {name}:"]
            for group in groups:
                lines += _group_lines(group, "    " if len(groups) == 1 else "      ", len(groups) > 1)
    if captured or report.pieces:
        lines += ["", f"# Converted by scan as they are: {_summary(report, captured)}.", "mmt.captured:", "  captured:"]
        lines += [f'    - "{item.fingerprint}"  # {_short(item.operator)}{_place(item)}: {_summary(report, [item])}'
                  for item in captured]
        if report.pieces:
            lines.append("    # Pieces of the models whose kernels no operator shows alone.")
        lines += [f'    - "{piece.fingerprint}"  # {_short(piece)}' for piece in report.pieces]
    return SpaceText("\n".join(lines) + "\n", [*(item.operator for item in captured), *report.pieces])


def _parameters(item: Found, folder: Path) -> dict[str, Any] | None:
    module = item.operator.module
    if module is None or not can_be_named(type(module), folder):
        return None
    return recover_parameters(module, item.operator.inputs, item.fingerprint)


def _grouped(members: list[tuple[Found, dict[str, Any]]]) -> list[_Group]:
    """Groups for the operators of one class; that parameter comes first which gives the fewest."""
    names = dict.fromkeys(name for _, parameters in members for name in parameters)
    candidates = [_grouped_by(members, name) for name in names] or [_grouped_by(members, "")]
    return min(candidates, key=len)


def _grouped_by(members: list[tuple[Found, dict[str, Any]]], wanted: str) -> list[_Group]:
    groups: dict[str, _Group] = {}
    for item, parameters in members:
        first = wanted if wanted in parameters else next(iter(parameters), "")
        others = {name: value for name, value in parameters.items() if name != first}
        dtypes = [spec.dtype for spec in item.operator.inputs]
        group = groups.setdefault(json.dumps([first, others, dtypes]), _Group(first, others, dtypes))
        group.firsts.append(parameters.get(first))
        group.items.append(item)
    return list(groups.values())


def _summary(report: ScanReport, items: list[Found]) -> str:
    calls = sum(item.occurs for item in items)
    share = 100 * sum(report.share(item) for item in items)
    return f"{calls} call{'s' if calls != 1 else ''}, {share:.1f} % of the FLOPs"


def _short(operator: Operator) -> str:
    name = operator.class_name if len(operator.class_name) < 60 else operator.class_name[:57] + "…"
    return f"{name} " + " ".join(map(str, operator.inputs[:3])) + (" …" if len(operator.inputs) > 3 else "")


def _place(item: Found) -> str:
    return f" at {item.paths[0]}" if item.operator.module is not None and item.paths else ""


def _group_lines(group: _Group, indent: str, listed: bool) -> list[str]:
    lines = []
    if group.first:
        lines += _value_lines(group.first, group.firsts, json.dumps)
        for name, value in group.others.items():
            lines.append(f"{name}: {json.dumps([value] if isinstance(value, list) else value)}")
    else:
        lines.append("no_params: true")
    lines += _value_lines("input_shape", [_shapes(item.operator.inputs) for item in group.items], json.dumps)
    if set(group.dtypes) != {"float32"}:
        same = len(set(group.dtypes)) == 1
        lines.append(f"input_dtype: {group.dtypes[0] if same else json.dumps(group.dtypes)}")
    lines += _value_lines("occurs", [item.occurs for item in group.items], json.dumps)
    marks = [indent] * len(lines)
    if listed:
        marks[0] = indent[:-2] + "- "
    return [mark + line for mark, line in zip(marks, lines, strict=True)]


def _shapes(inputs: list[InputSpec]) -> list[Any]:
    shapes = [list(spec.shape) for spec in inputs]
    return shapes[0] if len(shapes) == 1 else shapes


def _value_lines(name: str, values: list[Any], write: Callable[[Any], str]) -> list[str]:
    """`name: [a, b, …]`, broken into lines where it is long."""
    texts = [write(value) for value in values]
    lines, line = [], f"{name}: ["
    for position, text in enumerate(texts):
        piece = text + (", " if position + 1 < len(texts) else "]")
        if len(line) + len(piece) > _WIDTH and not line.endswith("["):
            lines.append(line.rstrip())
            line = "  "
        line += piece
    return [*lines, line]
