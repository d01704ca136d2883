"""Which modules of a model stay closed: the outermost ones that the table holds."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import Any

import torch

from mmt.torch_side.fingerprint import Fingerprints, class_name
from mmt.torch_side.trace import ClosedOperator, TensorSpec, Trace, trace

__all__ = ["tensor_specs", "trace_closed"]


def tensor_specs(inputs: Any, dtype: str | Sequence[str] = "float32") -> list[TensorSpec]:
    """Reads [1, 3, 224, 224], a list of shapes, tensors or specs. Raises TypeError or ValueError saying why."""
    from mmt.torch_side.fingerprint import input_specs

    one = dtype if isinstance(dtype, str) else "float32"
    specs = [TensorSpec(spec.shape, spec.dtype) for spec in input_specs(inputs, one)]
    if not isinstance(dtype, str):
        if len(dtype) != len(specs):
            raise ValueError(f"{len(specs)} inputs but {len(dtype)} dtypes: give one dtype per input")
        specs = [
            TensorSpec(spec.shape, str(name).removeprefix("torch.")) for spec, name in zip(specs, dtype, strict=True)
        ]
    return specs


class _Closer:
    """Looks modules up in the table; what was found for a fingerprint is remembered for the table's life."""

    def __init__(self, table: Any, fingerprints: Fingerprints) -> None:
        self.table = table
        self.fingerprints = fingerprints
        with _LOCK:
            self.found = _FOUND.setdefault(table, {})

    def __call__(self, module: torch.nn.Module, name: str, inputs: Sequence[TensorSpec]) -> ClosedOperator | None:
        fingerprint = self.fingerprints.fingerprint(module, inputs)
        if fingerprint in self.found:
            outputs = self.found[fingerprint]
        else:
            found = self.table.find_outputs(fingerprint)
            outputs = None if found is None else [TensorSpec(shape, kind) for shape, kind in found]
            self.found[fingerprint] = outputs
        if outputs is None:
            return None
        return ClosedOperator(fingerprint, class_name(type(module)), _structure(module, outputs))


#: Per opened table (which never changes): fingerprint -> output specs, None for an operator that the table lacks.
_FOUND: weakref.WeakKeyDictionary[Any, dict[str, list[TensorSpec] | None]] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def _structure(module: torch.nn.Module, outputs: list[TensorSpec]) -> Any:
    if isinstance(module, torch.nn.LSTM) and len(outputs) == 3:
        return outputs[0], (outputs[1], outputs[2])
    return outputs[0] if len(outputs) == 1 else tuple(outputs)


def trace_closed(
    model: torch.nn.Module, specs: Sequence[TensorSpec], table: Any, fingerprints: Fingerprints | None = None
) -> Trace:
    """Walks `model` with the table's operators closed. `fingerprints`: what is known of the model already."""
    return trace(model, list(specs), closed=_Closer(table, fingerprints or Fingerprints()), allow_unknown=True)
