"""Completing a scan: kernels that a whole model runs and that none of its operators shows.

Neighbours in a network are joined in ways that operators alone do not show: a concatenation and the layout change after
it become one copy, a pooling's result reaches a linear layer in a form of its own. The engine lists the kernels of the
converted model without executing them; for each one that no operator has, a small piece of the model around that place
is cut out and becomes an operator.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mmt import _core
from mmt.errors import MmtError
from mmt.manifest import read_manifest
from mmt.torch_side.export import trace_to_onnx
from mmt.torch_side.generate import convert_operators
from mmt.torch_side.groups import fused_groups
from mmt.torch_side.operators import Operator
from mmt.torch_side.pieces import piece
from mmt.torch_side.pool import ConversionTask, ConverterPool
from mmt.torch_side.signs import SignChanges
from mmt.torch_side.trace import Trace

if TYPE_CHECKING:
    from mmt._core.engine import Engine

__all__ = ["Completion", "completed"]

# How far pieces reach: groups before the place and groups after it, smallest first.
# A chain of reshapes and permutations between a linear layer and attention is nine groups long.
_REACHES = ((0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (2, 1), (3, 1), (4, 1), (6, 1), (8, 2), (11, 1), (15, 2))
_LARGEST = 60  # nodes of a piece

# Nodes of the ONNX graph are called "name_position", those inside of a function "name_position/Type_number".
_NODE_NAME = re.compile(r"^([a-z][a-z0-9_]*?)_(\d+)(?=[_/]|$)")


@dataclass
class Completion:
    """Pieces that were added, as operators whose files lie in the folder; and what could not be completed, and why."""

    pieces: list[Operator] = field(default_factory=list)
    open_kernels: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class _Gap:
    """A kernel that no operator has, and where it was met first (None where its name does not tell)."""

    text: str
    trace: Trace
    signs: SignChanges | None
    node: int | None


def completed(models: Iterable[tuple[Trace, SignChanges | None]], folder: Path, operators: Iterable[str],
              workers: int | None = None) -> Completion:
    """Adds to an operator folder what models need beyond what is there; looks at `operators` first. `models`: traces,
    with the signs that they branch on."""
    from mmt.engine.default import default_engine

    done = Completion()
    try:
        engine = default_engine()
    except MmtError as error:
        done.notes.append(f"not completed, for want of an engine: {error}")
        return done
    with tempfile.TemporaryDirectory(prefix="mmt_scan_") as scratch:
        gaps = _gaps(list(models), Path(scratch) / "models", engine, done, workers)
        mine = list(operators)
        for some in (mine, read_manifest(folder).entries.keys() - set(mine)):
            if gaps:
                _fill(gaps, _shown(folder, some, engine).values())
        for number, (before, after) in enumerate(_REACHES):
            tries: dict[str, Operator] = {}
            for gap in gaps.values():
                operator = _piece_around(gap, before, after)
                if operator is not None:
                    tries.setdefault(operator.fingerprint, operator)
            if not tries:
                continue
            trial = Path(scratch) / f"trial{number}"
            convert_operators(tries.values(), trial, workers=workers)
            chosen = [tries[fingerprint] for fingerprint, keys in _shown(trial, tries, engine).items()
                      if _fill(gaps, [keys])]
            copies = (Operator(operator.inputs, operator.class_name, captured_id=operator.fingerprint,
                               captured_in=[trial], ranges=operator.ranges, origin="scan") for operator in chosen)
            if chosen:
                convert_operators(copies, folder, workers=workers)
            done.pieces += chosen
    done.open_kernels = [gap.text for gap in gaps.values()]
    return done


def _fill(gaps: dict[str, _Gap], shown: Iterable[set[str]]) -> bool:
    """Closes the gaps whose kernels are shown; whether there were any."""
    filled = gaps.keys() & set().union(*shown)
    for key in filled:
        del gaps[key]
    return bool(filled)


def _gaps(models: list[tuple[Trace, SignChanges | None]], folder: Path, engine: Engine, done: Completion,
          workers: int | None) -> dict[str, _Gap]:
    """All kernels of the models, by key, with the place where each was met first."""
    found: dict[str, _Gap] = {}
    with ConverterPool(min(workers or 1, len(models) or 1)) as pool:
        for number, (traced, signs) in enumerate(models):
            specs = [tuple(spec) for spec in traced.input_specs]
            try:
                onnx = trace_to_onnx(traced)
            except RuntimeError as error:
                done.notes.append(f"a model was not completed: {error}")
                continue
            result = pool.submit(ConversionTask(f"model{number}", str(folder), ("plain",), specs, onnx)).result()
            if result.error:
                done.notes.append(f"a model was not completed: {result.error}")
                continue
            try:
                kernels = _listed(folder / result.models[0].file, engine)
            except MmtError as error:
                done.notes.append(f"a model was not completed: {error}")
                continue
            for name, key, text in kernels:
                found.setdefault(key, _Gap(text, traced, signs, _node_of(name, traced)))
    return found


def _listed(path: Path, engine: Engine) -> list[tuple[str, str, str]]:
    """(name, key, text) of a file's kernels, in execution order, without those of stubs."""
    plan = json.loads(_core.predict.exact_plan_json(engine, str(path)))
    names = [kernel.name for kernel in engine.open(str(path)).desc.kernels]
    return [(name, kernel["key"], kernel["text"]) for name, kernel in zip(names, plan["kernels"], strict=True)
            if not name.startswith(_core.kernel.STUB_PREFIX)]


def _node_of(name: str, traced: Trace) -> int | None:
    """The node of a trace whose converted form carries this name; None where it cannot be told."""
    match = _NODE_NAME.match(name)
    while match is not None:
        kind, position = match[1], int(match[2])
        if kind == "output" and position < len(traced.outputs):
            return next((index for index, node in enumerate(traced.nodes) if traced.outputs[position] in node.outputs),
                        None)
        if position < len(traced.nodes) and traced.nodes[position].name == kind:
            return position
        match = re.match(rf"^({re.escape(match[0])}[a-z0-9_]*?)_(\d+)(?=[_/]|$)", name)  # "log_2_7"
    return None


def _shown(folder: Path, fingerprints: Iterable[str], engine: Engine) -> dict[str, set[str]]:
    """Keys of the kernels that operators of a folder show; a file that the engine refuses shows none."""
    entries = read_manifest(folder).entries
    shown: dict[str, set[str]] = {}
    for fingerprint in fingerprints:
        keys = shown.setdefault(fingerprint, set())
        for model in entries[fingerprint]["models"] if fingerprint in entries else ():
            try:
                keys.update(key for _, key, _ in _listed(folder / model["file"], engine))
            except MmtError:  # the meter will say why
                continue
    return shown


def _piece_around(gap: _Gap, before: int, after: int) -> Operator | None:
    """The functions around a place as an operator; None where they are too many."""
    groups = fused_groups(gap.trace)
    group_of = {position: group for group in groups for position in group}
    makers = {value: position for position, node in enumerate(gap.trace.nodes) for value in node.outputs}
    users: dict[int, list[int]] = {}
    for position, node in enumerate(gap.trace.nodes):
        for value in node.inputs:
            users.setdefault(value, []).append(position)
    if gap.node is None:
        return None
    chosen = set(group_of[gap.node])
    for _ in range(before):
        for position in list(chosen):
            for value in gap.trace.nodes[position].inputs:
                if value in makers:
                    chosen.update(group_of[makers[value]])
    for _ in range(after):
        for position in list(chosen):
            for value in gap.trace.nodes[position].outputs:
                for user in users.get(value, ()):
                    chosen.update(group_of[user])
    if len(chosen) > _LARGEST:
        return None
    operator = piece(gap.trace, sorted(chosen))
    if operator is not None and gap.signs is not None:
        gap.signs.feed(operator, gap.trace, [gap.trace.nodes[position] for position in sorted(chosen)])
    return operator
