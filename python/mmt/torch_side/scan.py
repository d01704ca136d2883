"""Finding the operators that a model consists of, so that nobody has to write them down."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from mmt.errors import mmt_error
from mmt.torch_side.build import Checked, check
from mmt.torch_side.capture import Survey, survey
from mmt.torch_side.closing import tensor_specs
from mmt.torch_side.fingerprint import Fingerprints, InputSpec, class_name
from mmt.torch_side.flops import node_costs
from mmt.torch_side.groups import fused_groups
from mmt.torch_side.levels import LEVELS, Chooser
from mmt.torch_side.operators import GenerateReport, Operator
from mmt.torch_side.pieces import piece
from mmt.torch_side.signs import BRANCHING, SignChanges
from mmt.torch_side.trace import ClosedOperator, TensorSpec, Trace, TraceNode, trace

__all__ = ["Found", "ScanReport", "find_operators", "scan"]


@dataclass
class Found:
    """An operator that occurs in a model. `flops`: of one call. `occurs`: calls in all models that were scanned."""

    operator: Operator
    flops: int
    occurs: int = 1
    paths: list[str] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        return self.operator.fingerprint


@dataclass
class ScanReport:
    """What a scan found, most work first.

    `pieces`: parts of the models that were added because neighbours run as kernels that no operator shows; their work
    is counted in `found` already. `open_kernels`: those that no piece showed either. `notes`: what could not be
    completed, and why. `generated`: what converting did (None: nothing was converted). `opened`: the models as traces,
    with the signs that they branch on.
    """

    found: list[Found]
    flops: int
    models: int = 1
    pieces: list[Operator] = field(default_factory=list)
    open_kernels: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    generated: GenerateReport | None = None
    opened: list[tuple[Trace, SignChanges | None]] = field(default_factory=list, repr=False)

    def __str__(self) -> str:
        calls = sum(item.occurs for item in self.found)
        text = f"{len(self.found)} operators, {calls} calls in {self.models} model{'s' if self.models != 1 else ''}"
        if self.pieces:
            text += f", {len(self.pieces)} pieces between them"
        return "; ".join([text, *self.notes, *([str(self.generated)] if self.generated else [])])

    def share(self, item: Found) -> float:
        """Share of all operations of the scanned models that lies in this operator, 0 to 1."""
        return item.flops * item.occurs / self.flops if self.flops else 0.0

    def merge(self, other: ScanReport) -> None:
        """Takes in what was found in another model."""
        known = {item.fingerprint: item for item in self.found}
        for item in other.found:
            mine = known.get(item.fingerprint)
            if mine is None:
                self.found.append(item)
                known[item.fingerprint] = item
            else:
                mine.occurs += item.occurs
                mine.paths += item.paths
        self.flops += other.flops
        self.models += other.models
        self.opened += other.opened
        self.notes += [note for note in other.notes if note not in self.notes]
        self.found.sort(key=self.share, reverse=True)

    def convert(self, folder: str | os.PathLike[str], *, complete: bool = True, workers: int | None = None,
                progress: Any = None) -> GenerateReport:
        """Converts what was found into an operator folder, and (`complete`) the pieces that it takes besides."""
        from mmt.torch_side.cover import completed
        from mmt.torch_side.generate import convert_operators

        self.generated = convert_operators((item.operator for item in self.found), folder, total=len(self.found),
                                           workers=workers, progress=progress)
        if complete:
            done = completed(self.opened, Path(folder), [item.fingerprint for item in self.found], workers)
            self.pieces, self.open_kernels = done.pieces, done.open_kernels
            self.notes = [*self.notes, *done.notes]
            self.generated.new += len(done.pieces)
            self.generated.total += len(done.pieces)
        return self.generated


def scan(model: nn.Module | Iterable[nn.Module], input_shape: Any, ops_dir: str | os.PathLike[str],
         level: str = "auto", *, dtype: str | Sequence[str] = "float32", complete: bool = True,
         workers: int | None = None, progress: Any = None) -> ScanReport:
    """Converts the operators that `model` consists of into `ops_dir`; afterwards meter them.

    `input_shape`: one shape, or a list of shapes for several inputs. `level`: "block" (the modules that the model
    repeats), "group" (functions that are fused into one kernel), "layer" (modules without children); "auto" is "block".
    Functions between modules (additions, concatenations, reshapes) become operators too. `complete`: adds pieces of the
    model for kernels that only the whole model shows, such as copies that join a concatenation and a layout change;
    False keeps to the level. Modules are converted as they are, with their weights. Raises MmtError where the model
    does not run.
    """
    report = ScanReport([], 0, 0)
    for one in [model] if isinstance(model, nn.Module) else model:
        report.merge(find_operators(one, input_shape, level, dtype=dtype))
    report.convert(ops_dir, complete=complete, workers=workers, progress=progress)
    return report


def find_operators(model: nn.Module, input_shape: Any, level: str = "auto", *,
                   dtype: str | Sequence[str] = "float32") -> ScanReport:
    """The operators of a model, without converting anything. Arguments as for `scan`."""
    if level not in LEVELS:
        raise mmt_error("invalid_argument", f"level {level!r} is unknown; there are {', '.join(LEVELS)}")
    try:
        specs = tensor_specs(input_shape, dtype)
        surveyed = survey(model, specs)
    except (TypeError, ValueError, RuntimeError, IndexError, AssertionError) as error:
        raise mmt_error("invalid_argument", f"{class_name(type(model))} does not run on {input_shape}: "
                        f"{type(error).__name__}: {' '.join(str(error).split())[:300]}") from error
    finder = _Finder(surveyed, specs)
    notes = finder.listen()
    if level == "group":
        finder.add_functions(surveyed.trace, fused_groups(surveyed.trace))
    else:
        closed = finder.close(Chooser(surveyed, level))
        finder.add_functions(closed, [[position] for position, node in enumerate(closed.nodes)
                                      if node.kind != "operator"])
    report = ScanReport(list(finder.found.values()), surveyed.flops, notes=notes,
                        opened=[(surveyed.trace, finder.signs)])
    report.found.sort(key=report.share, reverse=True)
    return report


class _Finder:
    """Collects the operators of one model."""

    def __init__(self, surveyed: Survey, specs: Sequence[TensorSpec]) -> None:
        self.found: dict[str, Found] = {}
        self._survey = surveyed
        self._specs = list(specs)
        self._fingerprints = Fingerprints()
        self._modules: dict[str, tuple[nn.Module, tuple[InputSpec, ...]]] = {}
        self.signs: SignChanges | None = None

    def listen(self) -> list[str]:
        """Runs the model where it branches on signs, so that its operators are fed with signs as predictable as they
        are inside it. Says what is in the way."""
        if not any(node.name in BRANCHING for node in self._survey.trace.nodes):
            return []
        try:
            self.signs = SignChanges.inside(self._survey.model, self._specs)
        except (TypeError, ValueError, RuntimeError, IndexError, AssertionError) as error:
            return [f"operators that branch on signs are measured on usual values: the model does not run on noise "
                    f"({type(error).__name__}: {' '.join(str(error).split())[:200]})"]
        return []

    def close(self, chooser: Chooser) -> Trace:
        """Traces the model with its operators closed, and adds these."""

        def closed(module: nn.Module, name: str, inputs: list[TensorSpec]) -> ClosedOperator | None:
            if not chooser.is_operator(module):
                return None
            call = self._survey.call(module, inputs)
            if call is None or not call.plain:
                return None
            fingerprint = self._fingerprints.fingerprint(module, call.inputs)
            self._modules.setdefault(fingerprint, (module, call.inputs))
            return ClosedOperator(fingerprint, class_name(type(module)), call.outputs)

        traced = trace(self._survey.model, self._specs, closed=closed, allow_unknown=True)
        for node in traced.nodes:
            if node.kind == "operator":
                self._add_module(node)
        return traced

    def _add_module(self, node: TraceNode) -> None:
        module, inputs = self._modules[node.fingerprint]
        if self._again(node.fingerprint, node.module):
            return
        call = self._survey.call(module, inputs)
        assert call is not None
        specs = call.output_specs
        checked = Checked([list(spec.shape) for spec in specs], [spec.dtype for spec in specs],
                          _ranges_of(module, inputs))
        operator = Operator(list(inputs), node.name, module=module, fingerprint=node.fingerprint, checked=checked,
                            origin="scan")
        if self.signs is not None:
            opened = self._survey.trace
            inside = [inner for inner in opened.nodes if f"{inner.module}.".startswith(f"{node.module}.")]
            self.signs.feed(operator, opened, inside)
        self.found[node.fingerprint] = Found(operator, self._survey.flops_of(module), 1, [node.module])

    def _again(self, fingerprint: str, path: str) -> bool:
        known = self.found.get(fingerprint)
        if known is not None:
            known.occurs += 1
            known.paths.append(path)
        return known is not None

    def add_functions(self, traced: Trace, groups: list[list[int]]) -> None:
        """Adds functions of a trace: groups of nodes, mostly of one."""
        costs = node_costs(traced) if groups else []
        for group in groups:
            operator = piece(traced, group)
            path = traced.nodes[group[0]].module
            if operator is not None and not self._again(operator.fingerprint, path):
                if self.signs is not None:
                    self.signs.feed(operator, traced, [traced.nodes[position] for position in group])
                flops = sum(costs[position].flops for position in group)
                self.found[operator.fingerprint] = Found(operator, flops, 1, [path])


def _ranges_of(module: nn.Module, inputs: Sequence[InputSpec]) -> list[tuple[float, float]]:
    """Ranges of inputs; integers are followed to the tables that they index."""
    if all(spec.dtype.startswith(("float", "bfloat")) for spec in inputs):
        return [(-1.0, 1.0)] * len(inputs)
    return check(module, inputs).ranges
