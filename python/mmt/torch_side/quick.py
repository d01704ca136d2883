"""ONNX of an operator that was built on the meta device: one run without numbers shows whether the module accepts its
inputs and gives the trace; only the weights that the trace reads are made."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mmt.torch_side.build import Checked, holds_only_weights
from mmt.torch_side.export import ExportResult, written
from mmt.torch_side.fingerprint import InputSpec
from mmt.torch_side.structure import TensorSpec, UnsupportedFunction
from mmt.torch_side.trace import Trace, trace
from mmt.torch_side.weights import seeded

__all__ = ["write"]


def write(module: torch.nn.Module, inputs: Sequence[InputSpec], identity: str) \
        -> tuple[ExportResult, Checked] | None:
    """The same bytes as building the module with seeded weights and exporting it with MMT's own writer, and what its
    run showed.

    None where this way cannot tell or do: the module holds more than weights, takes indices, reads numbers, calls
    functions that the writer lacks, or does not accept these inputs.
    """
    if not all(getattr(torch, spec.dtype).is_floating_point for spec in inputs) or not holds_only_weights(module):
        return None
    try:
        traced = trace(module, [TensorSpec(*spec) for spec in inputs], without_numbers=True)
    except Exception:  # of any kind: the module is met again by what tells a refusal from a gap of the writer
        return None
    if traced.numbers_matter or not _give_weights(traced, module, identity):
        return None
    try:
        exported = written(traced)
    except UnsupportedFunction:
        return None
    except RuntimeError as error:
        if getattr(error, "code", "") != "unsupported":
            raise
        return None
    outputs = traced.output_specs
    checked = Checked([list(spec.shape) for spec in outputs], [spec.dtype for spec in outputs],
                      [(-1.0, 1.0)] * len(inputs))
    return exported, checked


def _give_weights(traced: Trace, module: torch.nn.Module, identity: str) -> bool:
    """Puts seeded numbers in place of the constants without any; False where one is no weight of the module."""
    names = {id(tensor): name for name, tensor in (*module.named_parameters(), *module.named_buffers())}
    for number, constant in enumerate(traced.constants):
        if not constant.is_meta:
            continue
        name = names.get(id(constant), "")
        if not name or not constant.is_floating_point():
            return False
        traced.constants[number] = seeded(constant, name, identity)
    return True
