"""Finding the operators that a model consists of, so that nobody has to write them down."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from mmt.errors import mmt_error
from mmt.torch_side.build import Checked, check
from mmt.torch_side.capture import Survey, survey
from mmt.torch_side.closing import tensor_specs
from mmt.torch_side.fingerprint import Fingerprints, InputSpec, class_name
from mmt.torch_side.flops import node_costs
from mmt.torch_side.groups import fused_groups, group_identity, seams
from mmt.torch_side.levels import LEVELS, Chooser
from mmt.torch_side.operators import GenerateReport, Operator
from mmt.torch_side.pieces import input_ranges
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
    """What a scan found, most work first; `generated`: what converting it did (None where nothing was converted)."""

    found: list[Found]
    flops: int
    models: int = 1
    generated: GenerateReport | None = None

    def __str__(self) -> str:
        calls = sum(item.occurs for item in self.found)
        text = f"{len(self.found)} operators, {calls} calls in {self.models} model{'s' if self.models != 1 else ''}"
        return f"{text}; {self.generated}" if self.generated else text

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
        self.found.sort(key=self.share, reverse=True)


def scan(model: nn.Module | Iterable[nn.Module], input_shape: Any, ops_dir: str | os.PathLike[str],
         level: str = "auto", *, dtype: str | Sequence[str] = "float32", workers: int | None = None,
         progress: Any = None) -> ScanReport:
    """Converts the operators that `model` consists of into `ops_dir`; afterwards meter them.

    `input_shape`: one shape, or a list of shapes for several inputs. `level`: "block" (the modules that the model
    repeats), "group" (functions that are fused into one kernel), "layer" (modules without children); "auto" is "block",
    and adds the fused groups of what lies outside of blocks. Functions between modules (additions, concatenations,
    reshapes) become operators too. Modules are converted as they are, with their weights. Raises MmtError where the
    model does not run.
    """
    from mmt.torch_side.generate import convert_operators

    models = [model] if isinstance(model, nn.Module) else list(model)
    report = ScanReport([], 0, 0)
    for one in models:
        report.merge(find_operators(one, input_shape, level, dtype=dtype))
    report.generated = convert_operators((item.operator for item in report.found), ops_dir, total=len(report.found),
                                         workers=workers, progress=progress)
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
    if level == "group":
        groups = fused_groups(surveyed.trace)
        finder.add_functions(surveyed.trace, groups)
        finder.add_functions(surveyed.trace, seams(surveyed.trace, groups), counted=True)
    else:
        closed = finder.close(Chooser(surveyed, level))
        finder.add_functions(closed, [[position] for position, node in enumerate(closed.nodes)
                                      if node.kind != "operator"])
        if level == "auto":
            finder.add_border_groups(closed)
    report = ScanReport(list(finder.found.values()), surveyed.flops)
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
        self.found[node.fingerprint] = Found(operator, self._survey.flops_of(module), 1, [node.module])

    def _again(self, fingerprint: str, path: str) -> bool:
        known = self.found.get(fingerprint)
        if known is not None:
            known.occurs += 1
            known.paths.append(path)
        return known is not None

    def add_functions(self, traced: Trace, groups: list[list[int]], counted: bool = False) -> None:
        """Adds functions of a trace: groups of nodes, mostly of one. `counted`: their work is counted elsewhere."""
        identities = traced.node_identities() if groups else []
        costs = node_costs(traced) if groups else []
        for group in groups:
            flops = 0 if counted else sum(costs[position].flops for position in group)
            self._add_group(traced, group, identities, flops)

    def add_border_groups(self, closed: Trace) -> None:
        """Adds what the converter fuses across the layers that lie outside of blocks, once each."""
        loose = {node.module for node in closed.nodes if node.kind == "operator"
                 and not list(self._modules[node.fingerprint][0].children())}
        outside = {position for position, node in enumerate(self._survey.trace.nodes)
                   if node.module in loose or not _inside(node.module, closed)}
        groups = fused_groups(self._survey.trace)
        joined = [group for group in [*groups, *seams(self._survey.trace, groups)]
                  if len(group) > 1 and outside.issuperset(group)]
        self.add_functions(self._survey.trace, joined, counted=True)

    def _add_group(self, traced: Trace, group: list[int], identities: list[tuple[str, str]], flops: int) -> None:
        nodes = [traced.nodes[position] for position in group]
        cut = traced.extract(group)
        fingerprint = identities[group[0]][1] if len(group) == 1 else group_identity(cut)
        if not cut.inputs or self._again(fingerprint, nodes[0].module):
            return
        outputs = cut.output_specs
        inputs = [InputSpec(*spec) for spec in cut.input_specs]
        checked = Checked([list(spec.shape) for spec in outputs], [spec.dtype for spec in outputs],
                          input_ranges(cut))
        parameters = nodes[0].arguments if len(group) == 1 else {
            "functions": [identities[position][0] for position in group]}
        operator = Operator(inputs, "+".join(node.name for node in nodes), parameters=parameters, trace=cut,
                            checked=checked, kind="function", fingerprint=fingerprint, origin="scan")
        self.found[fingerprint] = Found(operator, flops, 1, [nodes[0].module])


def _inside(path: str, closed: Trace) -> bool:
    """Whether a module path lies in a closed operator."""
    return any(path == node.module or path.startswith(f"{node.module}.") for node in closed.nodes
               if node.kind == "operator")


def _ranges_of(module: nn.Module, inputs: Sequence[InputSpec]) -> list[tuple[float, float]]:
    """Ranges of inputs; integers are followed to the tables that they index."""
    if all(spec.dtype.startswith(("float", "bfloat")) for spec in inputs):
        return [(-1.0, 1.0)] * len(inputs)
    return check(module, inputs).ranges
