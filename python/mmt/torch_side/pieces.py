"""Functions cut out of a trace, as operators of their own: their inputs' ranges and their ONNX."""

from __future__ import annotations

from mmt.torch_side.build import Checked
from mmt.torch_side.fingerprint import InputSpec
from mmt.torch_side.groups import group_identity
from mmt.torch_side.operators import Operator
from mmt.torch_side.trace import Trace

__all__ = ["input_ranges", "piece"]


def piece(traced: Trace, nodes: list[int]) -> Operator | None:
    """Functions of a trace as an operator of their own; None where nothing goes into them.

    One function is known by its glue identity, several by what they do together.
    """
    cut = traced.extract(nodes)
    if not cut.inputs:
        return None
    members = [traced.nodes[position] for position in nodes]
    if len(nodes) == 1:
        fingerprint, parameters = traced.node_identity(nodes[0])[1], members[0].arguments
    else:
        fingerprint = group_identity(cut)
        parameters = {"functions": [text for text, _ in cut.node_identities()]}
    outputs = cut.output_specs
    checked = Checked([list(spec.shape) for spec in outputs], [spec.dtype for spec in outputs], input_ranges(cut))
    return Operator([InputSpec(*spec) for spec in cut.input_specs], "+".join(node.name for node in members),
                    parameters=parameters, trace=cut, checked=checked, kind="function", fingerprint=fingerprint,
                    origin="scan")


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
