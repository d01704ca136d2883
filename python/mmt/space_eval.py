"""Search spaces evaluated as arrays.

    space = LatencySpace(build, {"block0": [3, 5, 7], …}, [1, 3, 224, 224], "ops/")
    space.latency_us(space.sample(1_000_000))       # NumPy in, NumPy out
    space.fastest(10); space.within(20_000.0); space.pareto(configs, scores)
    space.fastest(10, limits={"memory_mib": 64, "size_mb": 40, "parameters": 10e6})

A space is compiled once: the model of the first choices, one model per further choice of a slot, and, where the parts
do not simply add up, one model per pair of choices of neighbouring slots (layouts differ at their border). Everything
after that is C++ over arrays. Configurations are rows of choice indices, one column per slot, in the order of `slots`.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mmt import _core
from mmt.predict import open_table, predict

if TYPE_CHECKING:
    import torch

__all__ = ["Found", "LatencySpace"]


class Found(tuple):
    """What a question to a space found: unpacks as `rows, latencies_us`.

    `complete` is False where the answer may lack configurations: `most` was reached, or the search gave up on work.
    """

    complete: bool

    def __new__(cls, rows: np.ndarray, latency_us: np.ndarray, complete: bool) -> Found:
        found = super().__new__(cls, (rows, latency_us))
        found.complete = bool(complete)
        return found

    def __getnewargs__(self) -> tuple[np.ndarray, np.ndarray, bool]:
        return self[0], self[1], self.complete

    @property
    def rows(self) -> np.ndarray:
        """Choice indices, shape (n, slots)."""
        return self[0]

    @property
    def latency_us(self) -> np.ndarray:
        """Shape (n,), microseconds."""
        return self[1]

#: What is added up per choice; the order of the columns in the compiled arrays.
FEATURES = (
    "hot_us",
    "cold_extra_us",
    "reread_extra_us",
    "kernels",
    "footprint_bytes",
    "variance_us2",
    "estimated_us",
    "weight_bytes",
    "mflops",
    "parameters",
    "flops",
    "size_mb",
    "memory_mib",
    "unexplained_mib",
)
_MEMORY = FEATURES.index("memory_mib")
#: Parts count as additive where checks on random configurations agree to this share of the latency.
ADDITIVE_SHARE = 2e-4
_CHECKS = 12


class LatencySpace:
    """A search space: `build(config)` makes the model of `{slot: choice}`.

    `slots`: slot name -> choices. `input_shape`: as for `predict`. `table`: path or LatencyTable. Raises MmtError where
    the table cannot be read; `missing` names what it lacks (estimated).
    """

    def __init__(
        self,
        build: Callable[[Mapping[str, Any]], torch.nn.Module],
        slots: Mapping[str, Sequence[Any]],
        input_shape: Any,
        table: Any,
        *,
        dtype: str | Sequence[str] = "float32",
        exact: bool | str = False,
        seed: int = 0,
    ) -> None:
        self.slots = {name: list(choices) for name, choices in slots.items()}
        if not self.slots or any(not choices for choices in self.slots.values()):
            raise ValueError("a search space needs at least one slot, and at least one choice for every slot")
        self.table = open_table(table)
        self.missing: dict[str, dict[str, Any]] = {}
        self.models_predicted = 0
        self._build, self._inputs, self._dtype, self._exact = build, input_shape, dtype, exact
        self._names = list(self.slots)
        self._known: dict[tuple[int, ...], np.ndarray] = {}
        self._activations: dict[tuple[int, ...], float] = {}
        self._weight_steps: dict[tuple[int, ...], list[list[int]]] = {}
        #: Largest share by which `memory_mib(rows)` missed the models' own predictions on random configurations.
        self.memory_error = 0.0
        self._seed = seed
        self._compile(random.Random(seed))

    # ---- compiling ---------------------------------------------------------------------------------------------

    def _features(self, choice: tuple[int, ...]) -> np.ndarray:
        if choice not in self._known:
            model = self._build(self.configuration(choice)).eval()
            prediction = predict(model, self.table, self._inputs, dtype=self._dtype, exact=self._exact)
            for row in prediction.missing:
                self.missing.setdefault(row["what"] + row["detail"], row)
            values = prediction.sums | {
                "weight_bytes": prediction.result.weight_bytes,
                "mflops": prediction.result.mflops,
                "parameters": prediction.parameters,
                "flops": prediction.flops,
                "size_mb": prediction.size_mb,
            }
            # Weights add up; activations share one pool that is as large as its fullest moment needs.
            memory = prediction.memory
            values["memory_mib"] = memory["session_mib"] - memory["activations_mib"] if memory["known"] else np.nan
            values["unexplained_mib"] = memory["unexplained_mib"] if memory["known"] else np.nan
            self._activations[choice] = memory["activations_mib"] if memory["known"] else np.nan
            self._weight_steps[choice] = prediction.result.weight_steps(self.table)
            self._known[choice] = np.array([float(values[name]) for name in FEATURES])
            self.models_predicted += 1
        return self._known[choice]

    def _compile(self, generator: random.Random) -> None:
        sizes = [len(choices) for choices in self.slots.values()]
        zero = (0,) * len(sizes)
        base = self._features(zero)
        single = [
            [self._features(_with(zero, {slot: choice})) - base for choice in range(size)]
            for slot, size in enumerate(sizes)
        ]
        pairs: list[tuple[int, int, int, int, np.ndarray]] = []
        if not self._additive(generator, sizes):
            for slot in range(len(sizes) - 1):
                for a in range(1, sizes[slot]):
                    for b in range(1, sizes[slot + 1]):
                        together = self._features(_with(zero, {slot: a, slot + 1: b})) - base
                        correction = together - single[slot][a] - single[slot + 1][b]
                        if np.nanmax(np.abs(correction)) > 0:
                            pairs.append((slot, a, slot + 1, b, correction))
        self._pairs = len(pairs)
        self.memory_known = not any(np.isnan(value) for value in self._activations.values())
        self._most_activations = 0.0
        if self.memory_known:
            draws = random.Random(self._seed)  # those that `_additive` made as well
            for _ in range(_CHECKS):
                self._features(tuple(draws.randrange(size) for size in sizes))
            # Weights of one choice may take space that another left, or fill it up for a third: no sum shows that, so
            # that the bound for searches is raised by what the configurations that are known need beyond it.
            self._most_activations = max(self._activations.values())
            self._most_activations += max(0.0, *(
                values[_MEMORY] + self._activations[row] - self._most_activations - base[_MEMORY]
                - sum(single[slot][choice][_MEMORY] for slot, choice in enumerate(row))
                for row, values in self._known.items()))
        shift = np.zeros(len(FEATURES))
        shift[_MEMORY] = self._most_activations
        self._arrays = _core.space_table.SpaceTable(sizes, list(FEATURES), np.nan_to_num(base + shift))
        for slot, deltas in enumerate(single):
            for choice, delta in enumerate(deltas):
                self._arrays.set_choice(slot, choice, np.nan_to_num(delta))
        for slot_a, a, slot_b, b, correction in pairs:
            self._arrays.set_pair(slot_a, a, slot_b, b, np.nan_to_num(correction))
        self._arrays.compile(self._cost())
        self._check_memory(zero, sizes)

    def _check_memory(self, zero: tuple[int, ...], sizes: list[int]) -> None:
        """Activations per slot and choice, and how well their maximum does on random configurations."""
        self._slot_activations = np.zeros((len(sizes), max(sizes)))
        for slot, size in enumerate(sizes):
            for choice in range(size):
                self._slot_activations[slot, choice] = self._activations[_with(zero, {slot: choice})]
        self._weights: _WeightParts | None = None
        if self.memory_known:
            rows = np.array(list(self._known))
            truth = np.array([self._known[tuple(row)][_MEMORY] + self._activations[tuple(row)] for row in rows])
            self.memory_error = float(np.abs(self.memory_mib(rows) / truth - 1).max())
            self._weights = _WeightParts.split(self._weight_steps, zero, sizes)
            error = float(np.abs(self.memory_mib(rows) / truth - 1).max())
            if error > self.memory_error:
                self._weights = None  # the slots' parts do not stand one behind another
            else:
                self.memory_error = error
        self._weight_steps.clear()

    def _additive(self, generator: random.Random, sizes: list[int]) -> bool:
        """Whether random configurations are the sums of their single choices."""
        base = self._features((0,) * len(sizes))
        for _ in range(_CHECKS):
            choice = tuple(generator.randrange(size) for size in sizes)
            total = base + sum(
                self._features(_with((0,) * len(sizes), {slot: c})) - base for slot, c in enumerate(choice)
            )
            truth = self._features(choice)
            if abs(total[0] + total[1] - truth[0] - truth[1]) > ADDITIVE_SHARE * (truth[0] + truth[1]):
                return False
        return True

    def _cost(self) -> Any:
        return _core.predict.cost_model(self.table)

    # ---- asking ------------------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Number of configurations."""
        size = 1
        for choices in self.slots.values():
            size *= len(choices)
        return size

    def configuration(self, row: Sequence[int]) -> dict[str, Any]:
        """Choice indices -> slot name to choice."""
        return {name: self.slots[name][int(index)] for name, index in zip(self._names, row, strict=True)}

    def row(self, config: Mapping[str, Any]) -> np.ndarray:
        """Slot name to choice -> choice indices. Raises KeyError or ValueError for an unknown slot or choice."""
        return np.array([self.slots[name].index(config[name]) for name in self._names], dtype=np.uint8)

    def latency_us(self, rows: np.ndarray) -> np.ndarray:
        """Latencies in microseconds of configurations, shape (n, slots) -> (n,)."""
        return self._arrays.latency_us(rows)

    def memory_mib(self, rows: np.ndarray) -> np.ndarray:
        """Session memory of configurations in MiB: the engine's heap of weights is followed over the choices' parts (or
        weights add up, where the slots' parts do not stand one behind another), activations are the largest of the
        choices'. `memory_error` says how well it did on random configurations. NaN where the table is too old to know.
        """
        if not self.memory_known:
            return np.full(len(rows), np.nan)
        columns = np.arange(len(self._names))
        activations = self._slot_activations[columns, np.asarray(rows, dtype=np.int64)].max(axis=1)
        if self._weights is not None:
            return self._weights.mib(rows) + self.sums(rows, ["unexplained_mib"])[:, 0] + activations
        return self.sums(rows, ["memory_mib"])[:, 0] - self._most_activations + activations

    def latencies(self) -> np.ndarray:
        """Latencies of all configurations in microseconds, in the order of `enumerate`: last slot fastest."""
        return self._arrays.enumerate_latency_us(0, self.size)

    def enumerate(self, first: int = 0, count: int | None = None) -> np.ndarray:
        """Configurations number `first` … as rows."""
        return self._arrays.enumerate(first, self.size - first if count is None else count)

    def sums(self, rows: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Sums of features (see FEATURES) of configurations, shape (n, len(names)).

        "memory_mib" is here, as in `limits`, what the weights take one by one and the largest activations of any
        configuration that was predicted: more than `memory_mib(rows)`, or as much for the random ones that were looked
        at.
        """
        return self._arrays.feature_sums(rows, list(names))

    def _limits(self, limits: Mapping[str, float] | None) -> dict[str, float]:
        if limits and "memory_mib" in limits and not self.memory_known:
            raise ValueError("memory cannot be bounded: the table was measured by a version that did not note how "
                             "kernels pass tensors on; measure the operators again (mmt meter --again)")
        return dict(limits or {})

    def sample(
        self, count: int, seed: int = 1, *, budget_us: float | None = None, limits: Mapping[str, float] | None = None
    ) -> np.ndarray:
        """Uniform random configurations; with `budget_us` uniform over those that are at most that slow.

        Warns (RuntimeWarning) where the search gave up before `count` were found; raises ValueError where none was.
        """
        if budget_us is not None or limits:
            found = self.sample_within(float("inf") if budget_us is None else budget_us, count, seed, limits=limits)
            if not found.complete:
                where = f"within {budget_us} us{' and the limits' if limits else ''}"
                if len(found.rows) == 0:
                    fastest = self.fastest(1).latency_us[0]
                    raise ValueError(f"no configuration was found {where}; the fastest takes {fastest:.1f} us")
                warnings.warn(f"only {len(found.rows)} of {count} configurations were found {where}", RuntimeWarning,
                              stacklevel=2)
            return found.rows
        generator = np.random.default_rng(seed)
        return np.stack(
            [
                generator.integers(0, len(choices), count, dtype=np.uint8 if len(choices) <= 256 else np.int32)
                for choices in self.slots.values()
            ],
            axis=1,
        )

    def sample_within(
        self, budget_us: float, count: int, seed: int = 1, *, limits: Mapping[str, float] | None = None
    ) -> Found:
        """`count` uniform draws from the configurations within the budget, with their latencies; fewer, and not
        `complete`, where the search gave up."""
        return Found(*self._arrays.sample_within(budget_us, count, seed, self._limits(limits)))

    def fastest(self, count: int, limits: Mapping[str, float] | None = None) -> Found:
        """The `count` fastest configurations and their latencies in microseconds; exact where `complete`."""
        return Found(*self._arrays.fastest(count, self._limits(limits)))

    def within(
        self, budget_us: float, most: int = 1_000_000, limits: Mapping[str, float] | None = None
    ) -> Found:
        """Configurations of at most `budget_us`, fastest first, with their latencies: all of them where `complete`,
        else `most` of them, which need not be the fastest."""
        return Found(*self._arrays.within(budget_us, most, self._limits(limits)))

    def pareto(self, rows: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Indices of the rows that none other beats in both latency (lower) and score (higher), fastest first."""
        return _core.space_table.pareto_front(self.latency_us(rows), np.asarray(scores, dtype=np.float64))


class _WeightParts:
    """What the weights ask for, in order, cut into what is the same in all configurations and what a slot decides."""

    def __init__(self, parts: list[list[list[list[int]]]], columns: list[int]) -> None:
        self._parts = parts
        self._columns = columns  # per part its slot, -1: the same in all configurations

    @classmethod
    def split(cls, known: Mapping[tuple[int, ...], list[list[int]]], zero: tuple[int, ...],
              sizes: Sequence[int]) -> _WeightParts | None:
        """None where the steps are unknown or slots decide about overlapping parts. `known`: steps by configuration,
        with all that differ from `zero` in one slot."""
        base = known[zero]
        ranges = []
        for slot, size in enumerate(sizes):
            others = [known[_with(zero, {slot: choice})] for choice in range(1, size)]
            if all(other == base for other in others):
                continue
            start = min(_common(base, other) for other in others)
            left = min(min(len(base), *map(len, others)) - start, *(
                _common(base[start:][::-1], other[start:][::-1]) for other in others))
            ranges.append((start, len(base) - left, slot))
        ranges.sort()
        parts, columns, at = [], [], 0
        for start, end, slot in ranges:
            if start < at:
                return None
            parts += [[base[at:start]], [
                known[_with(zero, {slot: choice})][start:len(known[_with(zero, {slot: choice})]) - (len(base) - end)]
                for choice in range(sizes[slot])]]
            columns += [-1, slot]
            at = end
        return cls([*parts, [base[at:]]], [*columns, -1]) if base else None

    def mib(self, rows: np.ndarray) -> np.ndarray:
        """Weights of configurations, shape (n, slots) -> (n,)."""
        table = np.asarray(rows, dtype=np.int32)
        choices = [table[:, slot] if slot >= 0 else np.zeros(len(table), dtype=np.int32) for slot in self._columns]
        return _core.predict.weights_mib(self._parts, np.ascontiguousarray(np.stack(choices, axis=1)))


def _common(first: Sequence[Any], second: Sequence[Any]) -> int:
    """Length of the common beginning."""
    for at, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return at
    return min(len(first), len(second))


def _with(choice: tuple[int, ...], changes: dict[int, int]) -> tuple[int, ...]:
    changed = list(choice)
    for slot, value in changes.items():
        changed[slot] = value
    return tuple(changed)
