"""Tracing of torch modules at the level of functions. Format and rules: docs/tracing.md.

A trace is recorded on meta tensors: nothing is computed, parameters stay where they are. Only where a module reads
values (`.item()`, `if x.sum() > 0`) it is recorded again on real tensors.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from mmt._core import module_paths
from mmt.torch_side.recorder import Recorder
from mmt.torch_side.structure import (
    SPECS,
    ClosedOperator,
    Slot,
    TensorSpec,
    TraceNode,
    UnsupportedFunction,
    dtype_name,
    map_leaves,
)

__all__ = ["ClosedOperator", "Slot", "TensorSpec", "Trace", "TraceNode", "UnsupportedFunction", "trace"]


@dataclass
class Trace:
    """What one run of a module called. `values[i]` is value i; `constants` holds the real tensors."""

    values: list[tuple[tuple[int, ...], str, int]]  # shape, dtype, index of the constant or -1
    nodes: list[TraceNode]
    inputs: list[int]
    outputs: list[int]
    constants: list[torch.Tensor] = field(default_factory=list, repr=False)
    output_structure: Any = None  # what the module returned, with Slot(i) in place of output i
    on_real_tensors: str = ""  # why the module had to be run on real tensors; "" where it had not
    numbers_matter: bool = False  # whether the module was told numbers of tensors, so that others may change the trace
    _json: str | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The trace as plain lists and dicts (docs/tracing.md)."""
        return {
            "values": [
                {"id": i, "shape": shape, "dtype": dtype, "constant": None if constant < 0 else constant}
                for i, (shape, dtype, constant) in enumerate(self.values)
            ],
            "inputs": self.inputs,
            "outputs": self.outputs,
            "nodes": [
                {
                    "kind": node.kind,
                    "name": node.name,
                    "module": node.module,
                    "fingerprint": node.fingerprint,
                    "inputs": node.inputs,
                    "arguments": node.arguments,
                    "outputs": node.outputs,
                }
                for node in self.nodes
            ],
        }

    def to_json(self) -> str:
        """The JSON text that C++ reads; made once."""
        if self._json is None:
            self._json = json.dumps(self.to_dict(), separators=(",", ":"))
        return self._json

    def spec(self, value: int) -> TensorSpec:
        """Shape and dtype of a value."""
        shape, dtype, _ = self.values[value]
        return TensorSpec(shape, dtype)

    @property
    def input_specs(self) -> list[TensorSpec]:
        return [self.spec(value) for value in self.inputs]

    @property
    def output_specs(self) -> list[TensorSpec]:
        return [self.spec(value) for value in self.outputs]

    def node_identity(self, node: int) -> tuple[str, str]:
        """(text, fingerprint) of a function node, wherever it stands. Raises MmtError for an operator."""
        from mmt._core import graph

        return graph.glue_identity(self.to_json(), node)

    def node_identities(self) -> list[tuple[str, str]]:
        """`node_identity` of all nodes in one call; operators give (class, fingerprint)."""
        from mmt._core import graph

        return graph.glue_identities(self.to_json())

    def extract(self, nodes: Sequence[int]) -> Trace:
        """Cuts nodes out as a trace of their own; values that they use and do not make become inputs."""
        from mmt._core import graph

        chosen = sorted(set(nodes))
        part = json.loads(graph.extract_trace(self.to_json(), chosen))
        # New ids are the old ones in ascending order (mmt/trace.h).
        old = sorted({v for n in chosen for v in (*self.nodes[n].inputs, *self.nodes[n].outputs) if v >= 0})
        new = {value: i for i, value in enumerate(old)}
        new[-1] = -1
        cut = [
            TraceNode(
                node.kind, node.name, node.module, node.fingerprint,
                [new[v] for v in node.inputs], node.arguments, [new[v] for v in node.outputs], node.call,
            )
            for node in (self.nodes[i] for i in chosen)
        ]  # fmt: skip
        outputs = part["outputs"]
        structure = Slot(0) if len(outputs) == 1 else tuple(Slot(i) for i in range(len(outputs)))
        return Trace([self.values[v] for v in old], cut, part["inputs"], outputs, self.constants, structure)


def trace(
    model: nn.Module,
    inputs: Sequence[Any],
    closed: Callable[[nn.Module, str, list[TensorSpec]], ClosedOperator | None] | None = None,
    *,
    kwargs: dict[str, Any] | None = None,
    allow_unknown: bool = False,
    real: bool = False,
    seed: int = 0,
    without_numbers: bool = False,
) -> Trace:
    """Records what `model(*inputs, **kwargs)` calls.

    `inputs` and `kwargs` hold TensorSpec where the model takes tensors (also nested in tuples, lists and dicts);
    everything else is passed as it is. `closed`: see docs/tracing.md. `allow_unknown`: record functions without a
    canonical form under their torch names. `real`: use real tensors at once; their values come from `seed`.
    `without_numbers`: use no real tensors, also where the model asks for numbers (it raises what torch says then).

    Raises UnsupportedFunction, or whatever the model itself raises for these inputs.
    """
    if real:
        return _record(model, inputs, kwargs or {}, closed, allow_unknown, seed, "asked for")
    if without_numbers:
        return _record(model, inputs, kwargs or {}, closed, allow_unknown, None, "")
    try:
        return _record(model, inputs, kwargs or {}, closed, allow_unknown, None, "")
    except UnsupportedFunction:
        raise
    except Exception as error:  # the model read values, or it refuses these inputs: the real run tells which
        reason = f"{type(error).__name__}: {error}".split("\n", 1)[0]
        return _record(model, inputs, kwargs or {}, closed, allow_unknown, seed, reason)


_LOCK = threading.RLock()  # nn.Module._call_impl is replaced for the time of a recording


def _record(model, inputs, kwargs, closed, allow_unknown, seed, reason) -> Trace:
    paths = module_paths.ModulePaths(model)
    training, compiled = paths.training, paths.compiled
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    for module in training:
        module.__dict__["training"] = False
    in_place = [module.__dict__.pop(_COMPILED) for module in compiled]
    try:
        with _LOCK, torch.no_grad():
            recorder = Recorder(model, paths, closed, allow_unknown, real=generator is not None)

            def make(spec: TensorSpec) -> torch.Tensor:
                return recorder.add_input(_meta_tensor(spec) if generator is None else _real_tensor(spec, generator))

            args = [map_leaves(make, value, SPECS) for value in inputs]
            keywords = {key: map_leaves(make, value, SPECS) for key, value in kwargs.items()}
            with recorder.installed():
                result = model(*args, **keywords)
            return _finish(recorder, result, reason)
    finally:
        for module in training:
            module.__dict__["training"] = True
        for module, call in zip(compiled, in_place, strict=True):
            module.__dict__[_COMPILED] = call


def _finish(recorder: Recorder, result: Any, reason: str) -> Trace:
    outputs: list[int] = []

    def place(tensor: torch.Tensor) -> Slot:
        outputs.append(recorder.value(tensor))
        return Slot(len(outputs) - 1)

    structure = map_leaves(place, result, torch.Tensor)
    needed = set(outputs)
    nodes: list[TraceNode] = []
    for node in reversed(recorder.nodes):  # what nothing depends on is not part of the model
        if not needed.isdisjoint(node.outputs):
            nodes.append(node)
            needed.update(node.inputs)
    nodes.reverse()
    values = [(shape, dtype_name(dtype), constant) for shape, dtype, constant in recorder.specs]
    matter = recorder.numbers_matter
    return Trace(values, nodes, recorder.inputs, outputs, recorder.constants, structure, reason, matter)


#: What `module.compile()` leaves behind, and is called in place of everything else.
_COMPILED = "_compiled_call_impl"


def _meta_tensor(spec: TensorSpec) -> torch.Tensor:
    return torch.empty(tuple(spec.shape), dtype=getattr(torch, spec.dtype), device="meta")


def _real_tensor(spec: TensorSpec, generator: torch.Generator) -> torch.Tensor:
    dtype = getattr(torch, spec.dtype)
    if dtype.is_floating_point:
        return torch.randn(tuple(spec.shape), generator=generator).to(dtype)
    return torch.randint(0, 2, tuple(spec.shape), generator=generator).to(dtype)
