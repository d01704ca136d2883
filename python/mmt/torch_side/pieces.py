"""Functions cut out of a trace, as operators of their own: their inputs' ranges and their ONNX."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from mmt.torch_side.export import onnx_of_contexts, trace_to_onnx
from mmt.torch_side.structure import map_leaves
from mmt.torch_side.trace import Trace

__all__ = ["function_onnx", "input_ranges"]


def input_ranges(cut: Trace) -> list[tuple[float, float]]:
    """[low, high) of each input; integers reach as far as the tables that they index."""
    ranges = []
    for value in cut.inputs:
        dtype = cut.spec(value).dtype
        if dtype.startswith(("float", "bfloat")):
            ranges.append((-1.0, 1.0))
            continue
        high = 2
        for node in cut.nodes:
            if value in node.inputs:
                if node.name == "embedding":
                    high = cut.spec(node.inputs[1]).shape[0]
                elif node.name in ("index_select", "gather") and node.inputs[1] == value:
                    high = cut.spec(node.inputs[0]).shape[node.arguments["axis"]]
        ranges.append((0.0, float(high)))
    return ranges


def function_onnx(cut: Trace, contexts: Iterable[str]) -> tuple[dict[str, bytes], str, str]:
    """ONNX bytes per context of functions cut out of a trace; PyTorch's exporter where our writer does not know one."""
    try:
        return {context: trace_to_onnx(cut, context) for context in contexts}, "mmt", ""
    except RuntimeError as error:
        if getattr(error, "code", "") != "unsupported" or len(cut.nodes) != 1:
            raise
    results = onnx_of_contexts(_Replay(cut), cut.input_specs, tuple(contexts))
    first = next(iter(results.values()))
    return {context: result.onnx_bytes for context, result in results.items()}, first.exporter, first.reason


class _Replay(nn.Module):
    """One recorded function as a module of its inputs."""

    def __init__(self, cut: Trace) -> None:
        super().__init__()
        self._cut = [cut]  # in a list: nothing of it is this module's own

    def forward(self, *inputs: torch.Tensor) -> Any:
        cut = self._cut[0]
        node = cut.nodes[0]
        function, args, kwargs, tensors, _ = node.call
        given = dict(zip(cut.inputs, inputs, strict=True))
        values = {}
        for tensor, value in zip(tensors, node.inputs, strict=True):
            if value >= 0:
                constant = cut.values[value][2]
                values[id(tensor)] = given[value] if value in given else cut.constants[constant]
        return function(*map_leaves(lambda tensor: values[id(tensor)], args, torch.Tensor),
                        **map_leaves(lambda tensor: values[id(tensor)], kwargs, torch.Tensor))
