"""A trace as a module: what was recorded, called again on real tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mmt.torch_side.structure import Slot, flatten, map_leaves
from mmt.torch_side.trace import Trace


class Replay(nn.Module):
    """Calls what a trace recorded: the functions themselves, and the modules of closed operators.

    `forward(*inputs)` takes tensors of the trace's input shapes and returns what the traced module returned (for an
    extracted trace: its output, or a tuple of them).
    """

    def __init__(self, traced: Trace) -> None:
        super().__init__()
        self._trace = traced

    def forward(self, *inputs: torch.Tensor) -> Any:
        trace = self._trace
        values = {i: trace.constants[c] for i, (_, _, c) in enumerate(trace.values) if c >= 0}
        values.update(zip(trace.inputs, inputs, strict=True))
        for node in trace.nodes:
            func, args, kwargs, tensors, in_place = node.call
            now = {id(tensor): values[v] for tensor, v in zip(tensors, node.inputs, strict=True) if tensor is not None}
            if node.name == "reshape":  # "contiguous" is not recorded, and views of some tensors would be refused
                results = [torch.reshape(values[node.inputs[0]], node.arguments["shape"])]
            else:
                if in_place:  # the recorded value before the call may be used again
                    now[id(tensors[0])] = values[node.inputs[0]].clone()

                def current(tensor: torch.Tensor, now: dict[int, torch.Tensor] = now) -> torch.Tensor:
                    return now[id(tensor)]

                args, kwargs = map_leaves(current, (args, kwargs), torch.Tensor)
                results = flatten(func(*args, **kwargs), torch.Tensor)
                if in_place:
                    results = [now[id(tensors[0])]]
            values.update(zip(node.outputs, results, strict=True))
        return map_leaves(lambda slot: values[trace.outputs[slot.index]], trace.output_structure, Slot)
