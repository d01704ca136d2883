"""What a model calls: every module call with its inputs and outputs, and the open trace of the whole."""

from __future__ import annotations

import inspect
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from mmt.torch_side.fingerprint import InputSpec
from mmt.torch_side.flops import node_costs
from mmt.torch_side.running import device_of, evaluating
from mmt.torch_side.structure import TensorSpec, dtype_name, flatten, map_leaves
from mmt.torch_side.trace import Trace, trace

__all__ = ["Call", "Survey", "survey"]

CallKey = tuple[int, tuple[InputSpec, ...]]


@dataclass
class Call:
    """Calls of one module with inputs of one kind.

    `plain`: only tensors went in, in the order of the parameters, and one tensor or a flat tuple of tensors came out;
    only such calls can be converted and be found again by their inputs.
    """

    module: nn.Module
    inputs: tuple[InputSpec, ...]
    outputs: Any
    plain: bool
    times: int = 0

    @property
    def output_specs(self) -> list[TensorSpec]:
        return flatten(self.outputs, TensorSpec)


class Survey:
    """A model that ran once. `trace`: everything opened; `calls`: by module and inputs."""

    def __init__(self, model: nn.Module, calls: dict[CallKey, Call], opened: Trace) -> None:
        self.model = model
        self.calls = calls
        self.trace = opened
        self.paths: dict[int, str] = {}
        for path, module in model.named_modules():
            self.paths.setdefault(id(module), path)
        self._flops: Counter[str] = Counter()
        self._nodes: Counter[str] = Counter()
        for node, cost in zip(opened.nodes, node_costs(opened), strict=True):
            path = node.module
            while True:
                self._flops[path] += cost.flops
                self._nodes[path] += 1
                if not path:
                    break
                path = path.rpartition(".")[0]
        self._times: Counter[int] = Counter()
        for (identity, _), call in calls.items():
            self._times[identity] += call.times

    @property
    def flops(self) -> int:
        """Operations of one run of the model."""
        return self._flops[""]

    def flops_of(self, module: nn.Module) -> int:
        """Operations of one call of `module`, on average over its calls."""
        return self._flops[self.paths.get(id(module), "?")] // max(1, self._times[id(module)])

    def does_something(self, module: nn.Module) -> bool:
        """Whether a call of `module` leaves any trace (an identity or a dropout does not)."""
        return self._nodes[self.paths.get(id(module), "?")] > 0

    def call(self, module: nn.Module, inputs: Sequence[Any]) -> Call | None:
        return self.calls.get((id(module), tuple(InputSpec(*spec) for spec in inputs)))


def survey(model: nn.Module, inputs: Sequence[TensorSpec]) -> Survey:
    """Runs `model` once, on zeros (nothing is computed where it lies on the meta device), and traces it.

    Raises what the model raises for these inputs.
    """
    calls: dict[CallKey, Call] = {}
    thread = threading.get_ident()

    def record(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if threading.get_ident() != thread:
            return
        tensors = flatten(args, torch.Tensor) + flatten(kwargs, torch.Tensor)
        specs = tuple(InputSpec(tensor.shape, dtype_name(tensor.dtype)) for tensor in tensors)
        plain = _plain_arguments(module, args, kwargs) and _plain_output(module, output)
        outputs = map_leaves(lambda tensor: TensorSpec(tuple(tensor.shape), dtype_name(tensor.dtype)), output,
                             torch.Tensor) if plain else None
        call = calls.setdefault((id(module), specs), Call(module, specs, outputs, plain))
        call.plain = call.plain and plain
        call.times += 1

    device = device_of(model)
    handle = register_module_forward_hook(record, with_kwargs=True)
    try:
        with evaluating(model):
            model(*(torch.zeros(shape, dtype=getattr(torch, dtype), device=device) for shape, dtype in inputs))
    finally:
        handle.remove()
    return Survey(model, calls, trace(model, list(inputs), allow_unknown=True))


def _plain_arguments(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether `module(*tensors)` repeats the call: tensors first, everything else left at its default."""
    try:
        signature = inspect.signature(module.forward)
        bound = signature.bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        return False
    tensors = 0
    ended = False
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            if bound.get(name):
                return False
        elif parameter.kind is parameter.VAR_POSITIONAL:
            values = bound.get(name, ())
            if values and (ended or not all(isinstance(value, torch.Tensor) for value in values)):
                return False
            tensors += len(values)
        elif isinstance(bound.get(name), torch.Tensor):
            if ended or parameter.kind is parameter.KEYWORD_ONLY:
                return False
            tensors += 1
        else:
            ended = True
            if name in bound and not _same(bound[name], parameter.default):
                return False
    return tensors > 0


def _same(value: Any, default: Any) -> bool:
    if value is default:
        return True
    return type(value) is type(default) and isinstance(value, (bool, int, float, str, tuple)) and value == default


def _plain_output(module: nn.Module, output: Any) -> bool:
    if isinstance(output, torch.Tensor):
        return True
    if isinstance(module, nn.LSTM) and len(flatten(output, torch.Tensor)) == 3:
        return True
    return type(output) in (tuple, list) and bool(output) and all(isinstance(item, torch.Tensor) for item in output)
