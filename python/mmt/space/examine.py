"""What a space holds: counts from the lists alone (`summary`), and what building each operator shows (`examine`)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmt._core import space as core
from mmt._core.meter import FolderOptions
from mmt.space.drops import Dropped, DropReport
from mmt.space.imports import beside
from mmt.space.resolve import ResolvedOperator, ResolvedSpace

if TYPE_CHECKING:
    import torch

    from mmt.torch_side.fingerprint import InputSpec

__all__ = ["ClassSummary", "Examination", "build_operator", "examine", "summary"]

# The estimate of the metering time: what a small server core does, and how often a kernel is visited at most per sample
# (plain and per kernel, both conversion contexts).
_FLOPS_PER_S = 20e9
_RUN_OVERHEAD_S = 30e-6
_MOST_VISITS_PER_SAMPLE = 4
_FEWEST_TIMES = FolderOptions().min_times
_RUNS_PER_VISIT = FolderOptions().runs_per_visit
# With a table: wall time of a metering run per plain visit of its operators; with their profiled visits, the runs that
# make others cold, chains and warm-up. Measured: 2.6 to 4.4 for blocks, 5.5 for single layers.
_VISITS_PER_SAMPLE = 4.0
_PREDICTED = 60  # Of more operators that the table lacks only every n-th is predicted.
_FLOP_SAMPLES = 500  # Counting is slow; of larger spaces only every n-th operator is counted.


@dataclass
class ClassSummary:
    """Counts of one class. `parameters`: number of values of each parameter, over all groups."""

    name: str
    operators: int = 0
    groups: int = 0
    shapes: int = 0
    parameters: dict[str, int] = field(default_factory=dict)


@dataclass
class Examination:
    """What building every operator on the meta device shows. Nothing is computed or converted.

    `duplicates`: operators equal to an earlier one. `unmade_inputs`: input shapes that no operator's output has (a
    model's own input is among them); `untaken_outputs`: output shapes that no operator takes. Both by shape, with the
    classes concerned. `metering_s`: about: if every operator stops early (with a table: after as many samples as those
    in it), and if none does before `times` samples; None where unknown. `metering_from`: "table" (times of the
    operators that the table has not, `measured` of them it has), or "assumed" (one thread of a server core).
    """

    operators: int = 0
    usable: int = 0
    duplicates: int = 0
    captured: int = 0
    drops: DropReport = field(default_factory=DropReport)
    unmade_inputs: dict[str, list[str]] = field(default_factory=dict)
    untaken_outputs: dict[str, list[str]] = field(default_factory=dict)
    gflops: float = 0.0
    metering_s: tuple[float, float] | None = None
    metering_from: str = "assumed"
    measured: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        return {**{name: value for name, value in vars(self).items() if name != "drops"}, "drops": self.drops.to_json()}


def summary(space: core.Space) -> dict[str, Any]:
    """Counts that follow from the lists: `{"operators": …, "classes": [{"name", "operators", "groups", …}]}`.

    Does not import anything, so it also answers for modules that are not installed here.
    """
    classes: dict[str, ClassSummary] = {}
    for entry in space.entries:
        name = f"{entry.module}.{entry.class_name}"
        one = classes.setdefault(name, ClassSummary(name))
        one.operators += entry.count()
        one.groups += 1
        one.shapes += len(entry.input_shapes)
        for parameter in entry.parameters:
            one.parameters[parameter.name] = one.parameters.get(parameter.name, 0) + len(parameter.values_json)
    return {"source": space.source, "operators": space.count(), "classes": [asdict(one) for one in classes.values()]}


def examine(resolved: ResolvedSpace, *, times: int = 100, yes: bool = False, table: Any = None,
            progress: Callable[[int, int], None] | None = None) -> Examination:
    """Builds every operator of a space without computing. Raises MmtError for more than LIMIT without `yes`.

    `times`: samples per operator that the metering estimate assumes. `table`: a path or LatencyTable; operators that
    it holds need no metering, others take the time that it predicts for them. `progress(done, total)` is called after
    each.
    """
    from mmt.torch_side.build import Refused
    from mmt.torch_side.fingerprint import fingerprint

    result = Examination(operators=resolved.count())
    seen: set[str] = set()
    chain = _Chain()
    cost = _Cost(max(1, result.operators // _FLOP_SAMPLES))
    unmeasured = _Unmeasured(table) if table is not None else None
    for done, operator in enumerate(resolved.operators(yes), start=1):
        if operator.cls is None:
            result.captured += 1
        else:
            try:
                module, inputs, outputs = _try_out(operator, cost)
            except Refused as refusal:
                result.drops(Dropped(operator.class_name, operator.parameters, operator.input_shapes,
                                     operator.input_dtypes, refusal.stage, str(refusal), operator.place))
            else:
                identity = fingerprint(module, inputs)
                result.duplicates += identity in seen
                if identity not in seen:
                    cost.keep()
                    chain.add(operator, outputs)
                    if unmeasured:
                        unmeasured.add(operator, identity)
                seen.add(identity)
        if progress:
            progress(done, result.operators)
    result.usable = len(seen)
    result.unmade_inputs, result.untaken_outputs = chain.loose_ends()
    result.gflops = cost.gflops(result.usable)
    result.metering_s = cost.seconds(result.usable, times)
    if unmeasured:
        result.metering_from, result.measured = "table", unmeasured.measured
        result.metering_s = unmeasured.seconds(times)
    return result


def build_operator(operator: ResolvedOperator) -> tuple[torch.nn.Module, list[InputSpec]]:
    """The module, on the meta device where it allows that, and its inputs. Raises torch_side.build.Refused."""
    from mmt.torch_side.build import instantiate
    from mmt.torch_side.fingerprint import InputSpec

    assert operator.cls is not None
    inputs = [InputSpec(*pair) for pair in zip(operator.input_shapes, operator.input_dtypes, strict=True)]
    with beside(Path(operator.search_path[0]) if operator.search_path else None):
        return instantiate(operator.cls, operator.parameters), inputs


def _try_out(operator: ResolvedOperator, cost: _Cost) -> tuple[torch.nn.Module, list[InputSpec], list[list[int]]]:
    from mmt.torch_side.build import check

    module, inputs = build_operator(operator)
    with beside(Path(operator.search_path[0]) if operator.search_path else None), cost.counting():
        checked = check(module, inputs, operator.cls, operator.parameters)
    return module, inputs, checked.output_shapes


class _Cost:
    """Counts floating-point operations of every n-th operator."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._turn = 0
        self._last: float | None = None
        self._counted: list[float] = []

    def counting(self) -> Any:
        """A context around a forward pass."""
        import contextlib

        self._last = None
        self._turn += 1
        if (self._turn - 1) % self._every:
            return contextlib.nullcontext()
        return self._count()

    def _count(self) -> Any:
        import contextlib

        from torch.utils.flop_counter import FlopCounterMode

        @contextlib.contextmanager
        def count() -> Any:
            with FlopCounterMode(display=False) as counter:
                yield
            self._last = float(counter.get_total_flops())

        return count()

    def keep(self) -> None:
        """The operator of the last `counting` is one to be metered."""
        if self._last is not None:
            self._counted.append(self._last)

    def gflops(self, operators: int) -> float:
        """Sum over `operators`, from those that were counted."""
        return operators * math.fsum(self._counted) / len(self._counted) / 1e9 if self._counted else 0.0

    def seconds(self, operators: int, times: int) -> tuple[float, float] | None:
        """Metering time, with the fewest samples and with `times`."""
        if not self._counted:
            return None
        run_s = self.gflops(operators) * 1e9 / _FLOPS_PER_S + operators * _RUN_OVERHEAD_S
        sample_s = _MOST_VISITS_PER_SAMPLE * _RUNS_PER_VISIT * run_s
        return min(_FEWEST_TIMES, times) * sample_s, times * sample_s


class _Unmeasured:
    """Operators that a table lacks, and the time that metering them takes by its own predictions."""

    def __init__(self, table: Any) -> None:
        from mmt.predict import open_table

        self._table = open_table(table)
        self._operators: list[ResolvedOperator] = []
        self.measured = 0

    def add(self, operator: ResolvedOperator, identity: str) -> None:
        if self._table.find_outputs(identity) is None:
            self._operators.append(operator)
        else:
            self.measured += 1

    def seconds(self, times: int) -> tuple[float, float]:
        """Metering time, with as many samples as the table's operators took, and with `times`."""
        from mmt.predict import predict

        chosen = self._operators[:: max(1, math.ceil(len(self._operators) / _PREDICTED))]
        predicted_s = []
        for operator in chosen:
            module, inputs = build_operator(operator)
            with beside(Path(operator.search_path[0]) if operator.search_path else None):
                prediction = predict(module.eval(), self._table, [list(one.shape) for one in inputs],
                                     dtype=[one.dtype for one in inputs])
            predicted_s.append(prediction.latency_us / 1e6)
        if not predicted_s:
            return 0.0, 0.0
        visit_s = _RUNS_PER_VISIT * math.fsum(predicted_s) / len(predicted_s) * len(self._operators)
        counts = [context["cold"]["count"] for row in self._table.all_operators() for context in row["contexts"]
                  if context["context"] == "plain" and context["cold"]["count"] > 0]
        usual = math.fsum(counts) / len(counts) if counts else _FEWEST_TIMES
        return min(usual, times) * _VISITS_PER_SAMPLE * visit_s, times * _VISITS_PER_SAMPLE * visit_s


class _Chain:
    """Which shapes operators make and take."""

    def __init__(self) -> None:
        self._taken: dict[str, set[str]] = {}
        self._made: dict[str, set[str]] = {}

    def add(self, operator: ResolvedOperator, outputs: list[list[int]]) -> None:
        for shape in operator.input_shapes:
            self._taken.setdefault(_shape_text(shape), set()).add(operator.class_name)
        for shape in outputs:
            self._made.setdefault(_shape_text(shape), set()).add(operator.class_name)

    def loose_ends(self) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """Input shapes that nobody makes and output shapes that nobody takes."""
        return (
            {shape: sorted(names) for shape, names in self._taken.items() if shape not in self._made},
            {shape: sorted(names) for shape, names in self._made.items() if shape not in self._taken},
        )


def _shape_text(shape: list[int]) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"
