"""Predictions for torch models and for model files, from a latency table.

    table = LatencyTable.open("ops/")
    prediction = predict(model, table, [1, 3, 224, 224])
    prediction.latency_us, prediction.interval_us, prediction.missing

A torch model is walked once, without computing anything: its outermost modules that are in the table stay closed, what
happens between them is recorded as functions, and C++ composes the kernels of the whole from that. Where composition
cannot be sure (`exact="auto"`, the default) the model is converted and the engine's own schedule is read instead,
still without running it; such plans are kept beside the table.
"""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from mmt import _core
from mmt.errors import mmt_error
from mmt.file_state import file_state

if TYPE_CHECKING:
    import torch

LatencyTable = _core.table.LatencyTable
MmtError = _core.MmtError

__all__ = ["LatencyTable", "MmtError", "Prediction", "open_table", "predict", "predict_file"]


@dataclass(frozen=True)
class Prediction:
    """What a model will take on the table's device.

    Times in microseconds. `interval_us`: 95 %. `missing`: what the table does not hold (estimated in `latency_us`).
    `nodes` and `kernels`: the breakdown, one dictionary each. `how`: "composed" or "exact".
    """

    latency_us: float
    interval_us: tuple[float, float]
    how: str
    flags: tuple[str, ...]
    missing: list[dict[str, Any]]
    doubts: list[str]
    result: Any
    table: Any = field(default=None, repr=False, compare=False)

    @property
    def latency_ms(self) -> float:
        return self.latency_us / 1000.0

    @cached_property
    def memory(self) -> dict[str, Any]:
        """Session memory in MiB as the engine counts it: `session_mib` with its parts `weights_mib`, `activations_mib`
        and `unexplained_mib`; `known`, or `why` not. `loading_mib`: the most that weights take while they are loaded,
        `holes_mib`: what of that the C library keeps; -1 where not known. Worked out when it is first asked for
        (docs/memory.md)."""
        return self.result.memory(self.table)

    @cached_property
    def _size(self) -> dict[str, Any]:
        return self.result.size(self.table)

    @property
    def memory_mib(self) -> float:
        """The engine's session memory in MiB; NaN where it is not known (`memory["why"]`)."""
        return self.memory["session_mib"] if self.memory["known"] else math.nan

    @property
    def resident_mib(self) -> float:
        """Growth of a process that loads and runs the model: the file's image, the session, and what the C library
        keeps of the memory that loading freed (`memory["holes_mib"]`); NaN where not known."""
        return self.memory_mib + max(0.0, self.memory["holes_mib"]) + self._size["file_bytes"] / 2**20

    @property
    def peak_mib(self) -> float:
        """The same growth at its peak, which may be before the first run: the file is copied once while it is read, and
        weights while they are rearranged. NaN where that is not known (model files and exact predictions)."""
        if not self.memory["known"] or self.memory["loading_mib"] < 0:
            return math.nan
        file_mib = self._size["file_bytes"] / 2**20
        return max(self.resident_mib, file_mib + max(self.memory["loading_mib"], file_mib))

    @property
    def size_mb(self) -> float:
        """Size of the converted `.mnn` file in MB (10⁶ bytes)."""
        return self._size["file_bytes"] / 1e6

    @property
    def parameters(self) -> int:
        """Numbers in the model's weights; for a model file its constant data / 4 bytes."""
        return self._size["parameters"]

    @property
    def flops(self) -> int:
        """Operations of one run, a multiply-add counts as two; for a model file from the engine's own count."""
        return self._size["flops"]

    @property
    def nodes(self) -> list[dict[str, Any]]:
        """One dictionary per operator or function; `parameters`, `flops`, `file_bytes` and `session_mib` (of its own
        session) are -1 where they are not known."""
        rows = self.result.nodes()
        sizes = self.result.node_sizes(self.table)
        return [row | size for row, size in zip(rows, sizes, strict=True)] if sizes else rows

    @property
    def kernels(self) -> list[dict[str, Any]]:
        return self.result.kernels()

    @property
    def sums(self) -> dict[str, float]:
        """The additive parts that the latency was made of."""
        return self.result.sums

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        return {
            "latency_us": self.latency_us,
            "latency_ms": self.latency_ms,
            "interval_us": list(self.interval_us),
            "how": self.how,
            "flags": list(self.flags),
            "missing": self.missing,
            "doubts": self.doubts,
            "run_overhead_us": self.result.run_overhead_us,
            "kernel_overhead_us": self.result.kernel_overhead_us,
            "cold_share": self.result.cold_share,
            "weight_bytes": self.result.weight_bytes,
            "file_bytes": self._size["file_bytes"],
            "size_mb": self.size_mb,
            "parameters": self.parameters,
            "flops": self.flops,
            "memory_mib": self.memory["session_mib"] if self.memory["known"] else None,
            "memory": self.memory,
            "resident_mib": self.resident_mib if self.memory["known"] else None,
            "peak_mib": None if math.isnan(self.peak_mib) else self.peak_mib,
            "mflops": self.result.mflops,
            "nodes": self.nodes,
            "kernels": self.kernels,
        }


#: Tables that were opened by their path: absolute path -> (state of the files before that, table).
_opened: OrderedDict[str, tuple[Any, Any]] = OrderedDict()
_MOST_OPEN = 8
_FOLDER_FILES = (_core.table.TABLE_NAME, _core.meter.JOURNAL_NAME, _core.meter.MANIFEST_NAME)
_lock = threading.Lock()


def open_table(table: Any) -> Any:
    """A LatencyTable from a path (a folder, latency.db, or meta_latency.pkl as older scripts say) or an open one.

    A table that was opened by its path before is given again while its file, journal and manifest are the same.
    """
    if isinstance(table, LatencyTable):
        return table
    path = os.path.abspath(table)
    state = _state(path)
    with _lock:
        known = _opened.get(path)
        if known is not None and known[0] == state:
            _opened.move_to_end(path)
            return known[1]
    opened = LatencyTable.open(str(table))
    with _lock:
        _opened[path] = state, opened  # where opening has built the table anew, the next call opens it once more
        while len(_opened) > _MOST_OPEN:
            _opened.popitem(last=False)
    return opened


def _state(path: str) -> tuple[Any, ...]:
    """What changes when a table, its journal or its manifest are written, and in a forked process."""
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    files = (path, *(os.path.join(folder, name) for name in _FOLDER_FILES))
    return (os.getpid(), *map(file_state, files))


#: Results of models that were predicted before, per opened table (which never changes).
_results: weakref.WeakKeyDictionary[Any, OrderedDict[Any, Any]] = weakref.WeakKeyDictionary()
_MOST_RESULTS = 256


def _remembered(table: Any, key: Any) -> Any:
    with _lock:
        results = _results.get(table)
        result = None if results is None else results.get(key)
        if result is not None:
            results.move_to_end(key)
        return result


def _remember(table: Any, key: Any, result: Any) -> None:
    with _lock:
        results = _results.setdefault(table, OrderedDict())
        results[key] = result
        while len(results) > _MOST_RESULTS:
            results.popitem(last=False)


def predict(
    model: torch.nn.Module | str | os.PathLike[str],
    table: Any,
    inputs: Any = (),
    *,
    dtype: str | Sequence[str] = "float32",
    exact: bool | str = "auto",
) -> Prediction:
    """Predicts the latency of `model` for `inputs`: one shape, or a list of shapes for several inputs.

    `exact`: False composes from the table's operators alone; True reads the engine's schedule of the converted model;
    "auto" composes and goes on to the schedule only where the composition is not sure of its kernels.
    A model whose structure was predicted before is not walked again: everything that it is made of is looked at (also
    attributes that were changed, and the code of its classes), the numbers in its weights are not. Models with hooks,
    and those that look at numbers of tensors, are walked always.
    The path of an `.onnx` or `.mnn` file is predicted by `predict_file`; `inputs` only where it leaves sizes open.
    Raises MmtError where the table cannot be read, UnsupportedFunction where the model cannot be traced.
    """
    if isinstance(model, (str, os.PathLike)):
        from mmt.model_file import shape_list

        return predict_file(os.fspath(model), table, shape_list(inputs))
    if not inputs:
        raise mmt_error("invalid_argument", "inputs: give the model's input shape, or a list of shapes")
    from mmt.torch_side import closing
    from mmt.torch_side.fingerprint import Fingerprints

    table = open_table(table)
    if not table.per_kernel:
        if exact is True:
            _refuse_kernels(table, "exact=True")
        exact = False
    specs = closing.tensor_specs(inputs, dtype)
    fingerprints = Fingerprints()
    structure = fingerprints.structure(model)
    key = None if structure is None else (structure, tuple(specs), exact)
    if key is not None:
        result = _remembered(table, key)
        if result is not None:
            return _prediction(result, table)
    result = None
    if exact is not True:
        traced = closing.trace_closed(model, specs, table, fingerprints)
        if traced.numbers_matter:
            key = None
        result = _core.predict.predict_trace(traced, table)
    if result is None or (exact is not False and (result.doubts or result.missing())):
        from mmt.torch_side import exact as exact_plans

        plan, numbers_matter = exact_plans.plan_json(model, specs, table)
        if numbers_matter:
            key = None
        result = _core.predict.predict_plan_json(plan, table)
    if key is not None:
        _remember(table, key, result)
    return _prediction(result, table)


def predict_file(path: str, table: Any, shapes: Sequence[Sequence[int]] = ()) -> Prediction:
    """Predicts an `.onnx` or `.mnn` file by the engine's own schedule; nothing is executed and PyTorch is not needed.

    `shapes`: one per input, in the order of their names, where the file leaves sizes open or others are wanted.
    Kernels that the table lacks are estimated and named in `missing`. Raises MmtError naming the file where it cannot
    be read, is damaged, or does not accept the shapes.
    """
    from mmt.model_file import plan_json

    table = open_table(table)
    if not table.per_kernel:
        _refuse_kernels(table, path)
    plan = plan_json(path, [list(shape) for shape in shapes], table)
    return _prediction(_core.predict.predict_plan_json(plan, table), table)


def _refuse_kernels(table: Any, what: str) -> NoReturn:
    raise mmt_error(
        "unsupported",
        f"{what}: the table in {table.folder} was measured on backend {table.config['run']['backend']}, where kernels "
        "cannot be timed: it holds whole runs of operators, and adds them up for a PyTorch model only "
        "(mmt predict ops/ models.py:net)",
    )


def _prediction(result: Any, table: Any) -> Prediction:
    missing = result.missing()
    if result.estimated_kernels and not missing:
        seen: dict[str, dict[str, Any]] = {}
        for kernel in result.kernels():
            if kernel["estimated"]:
                seen.setdefault(
                    kernel["text"],
                    {"what": kernel["type"], "detail": kernel["text"], "cure": "", "node": kernel["node"]},
                )
        missing = list(seen.values())
    flags = tuple(flag for flag in result.flags.split(",") if flag)
    return Prediction(
        result.latency_us,
        (result.low_us, result.high_us),
        "exact" if result.exact else "composed",
        flags,
        missing,
        list(result.doubts),
        result,
        table,
    )


def weightiest(predictions: Iterable[Prediction], most: int) -> list[str]:
    """Keys of the kernels that the models spend most of their time in, as shares of each model; at most so many."""
    shares: dict[str, float] = {}
    for prediction in predictions:
        for kernel in prediction.kernels:
            shares[kernel["key"]] = shares.get(kernel["key"], 0.0) + kernel["latency_us"] / prediction.latency_us
    return sorted(shares, key=lambda name: -shares[name])[:most]
