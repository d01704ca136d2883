"""Functions cut out of a trace, as operators of their own: their inputs' ranges and their ONNX."""

from __future__ import annotations

from collections.abc import Iterable

from mmt.torch_side.export import glue_to_onnx
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
    """ONNX bytes per context of functions cut out of a trace, which exporter wrote them, and why not "mmt"."""
    results = {context: glue_to_onnx(cut, context) for context in contexts}
    first = next(iter(results.values()))
    return {context: result.onnx_bytes for context, result in results.items()}, first.exporter, first.reason
