"""Groups of functions that the converter fuses into one kernel: found in a trace, cut out as operators of their own."""

from __future__ import annotations

import hashlib
import json
from collections import Counter

from mmt.torch_side.trace import Trace

__all__ = ["fused_groups", "group_identity"]

_WEIGHTED = {"conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"}
_BINARY = {"add", "sub", "mul", "div", "maximum", "minimum"}
_CLIPS = {"relu", "relu6"}


def fused_groups(traced: Trace) -> list[list[int]]:
    """Nodes of a trace, as groups of positions: a convolution with the batch norm and the ReLU after it, a padding
    before it, a binary function with the ReLU after it; every other function alone. Operator nodes are left out.

    A node joins only where nothing else reads the value between.
    """
    makers = {value: position for position, node in enumerate(traced.nodes) for value in node.outputs}
    uses = Counter(value for node in traced.nodes for value in node.inputs)
    uses.update(traced.outputs)
    group_of: dict[int, list[int]] = {}
    for position, node in enumerate(traced.nodes):
        if node.kind == "operator":
            continue
        source = node.inputs[0] if node.inputs else -1
        before = group_of.get(makers.get(source, -1)) if uses[source] == 1 else None
        if before is not None and _joins([traced.nodes[member].name for member in before], node.name):
            before.append(position)
            group_of[position] = before
        else:
            group_of[position] = [position]
    unique: dict[int, list[int]] = {id(group): group for group in group_of.values()}
    return list(unique.values())


def _joins(names: list[str], name: str) -> bool:
    last = names[-1]
    if name in _WEIGHTED:
        return names == ["pad"]
    if name == "batch_norm":
        return last in _WEIGHTED
    if name in _CLIPS:
        return last in _WEIGHTED or (last == "batch_norm" and len(names) > 1) or (name == "relu" and last in _BINARY)
    return False


def group_identity(cut: Trace) -> str:
    """Fingerprint of several nodes together: what they do and how they hang together, not where they stood."""
    content = cut.to_dict()
    for node in content["nodes"]:
        node["module"] = ""
    for value in content["values"]:
        value["constant"] = value["constant"] is not None
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"group {text}".encode()).hexdigest()[:32]
