"""Groups of functions that the converter fuses into one kernel: found in a trace, cut out as operators of their own."""

from __future__ import annotations

import hashlib
import json
from collections import Counter

from mmt.torch_side.trace import Trace

__all__ = ["fused_groups", "group_identity", "seams"]

_WEIGHTED = {"conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"}
_BINARY = {"add", "sub", "mul", "div", "maximum", "minimum"}
_CLIPS = {"relu", "relu6"}
# Functions that only move data: the engine joins chains of them, and the layout conversions at their ends, to one copy.
_VIEWS = {"cat", "channel_shuffle", "chunk", "expand", "flip", "permute", "pixel_shuffle", "pixel_unshuffle", "repeat",
          "reshape", "roll", "select", "slice", "split", "squeeze", "stack", "unbind", "unsqueeze"}
# Functions that compute in the packed layout whatever the rank of their result.
_PACKED_INSIDE = {"linear", "conv1d", "conv_transpose1d", "matmul", "addmm", "baddbmm"}
_LONGEST = 8  # nodes of data movement in one seam


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


def seams(traced: Trace, groups: list[list[int]]) -> list[list[int]]:
    """Places where data is moved between computing functions, as groups of positions.

    A seam is a computing group (of `groups`, see fused_groups) with the functions before it that only move data, or
    such functions at the end of the model; and the functions that feed these, where their result is of another rank
    than 4 (converting an operator with packed inputs shows the rest). The engine makes one copy of all of that, which
    none of the parts alone shows.
    """
    makers = {value: position for position, node in enumerate(traced.nodes) for value in node.outputs}
    group_of = {position: group for group in groups for position in group}
    used = {value for node in traced.nodes for value in node.inputs}
    found = []
    for group in groups:
        names = [traced.nodes[position].name for position in group]
        ends_model = not used.intersection(traced.nodes[group[-1]].outputs)
        if names[0] in _VIEWS and not ends_model:
            continue
        moving: set[int] = set(group) if names[0] in _VIEWS else set()
        feeding: set[int] = set()
        open_values = [value for position in group for value in traced.nodes[position].inputs]
        while open_values:
            value = open_values.pop(0)
            maker = makers.get(value)
            if maker is None or maker in moving or maker in group or traced.nodes[maker].kind == "operator":
                continue
            if traced.nodes[maker].name in _VIEWS:
                if len(moving) < _LONGEST:
                    moving.add(maker)
                    open_values += traced.nodes[maker].inputs
            elif moving and traced.nodes[maker].name in _PACKED_INSIDE and len(traced.values[value][0]) != 4:
                feeding.update(group_of[maker])
        whole = sorted({*group, *moving, *feeding})
        if moving and len(whole) > 1:
            found.append(whole)
    return found


def group_identity(cut: Trace) -> str:
    """Fingerprint of several nodes together: what they do and how they hang together, not where they stood."""
    content = cut.to_dict()
    for node in content["nodes"]:
        node["module"] = ""
    for value in content["values"]:
        value["constant"] = value["constant"] is not None
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"group {text}".encode()).hexdigest()[:32]
