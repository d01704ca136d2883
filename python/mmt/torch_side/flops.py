"""Parameters and floating-point operations of traced modules, from shapes alone."""

from __future__ import annotations

from typing import NamedTuple

from mmt.torch_side.trace import Trace


class Cost(NamedTuple):
    """`parameters`: elements of float constants. `flops`: operations, a multiply-add counts as two."""

    parameters: int
    flops: int


def node_costs(traced: Trace) -> list[Cost]:
    """Cost of every node, in order; closed operators count 0. Weights used by two nodes count for both."""
    from mmt._core import graph

    return [Cost(*pair) for pair in graph.trace_costs(traced.to_json())]


def total_cost(traced: Trace) -> Cost:
    """Operations of all nodes, and elements of all float constants that nodes read, each counted once."""
    flops = sum(cost.flops for cost in node_costs(traced))
    constants: dict[int, int] = {}
    for node in traced.nodes:
        if node.kind == "operator":
            continue
        for value in node.inputs:
            if value >= 0:
                _, dtype, constant = traced.values[value]
                if constant >= 0 and "float" in dtype:
                    constants[constant] = traced.constants[constant].numel()
    return Cost(sum(constants.values()), flops)
