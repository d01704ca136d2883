"""How predictable the signs are that a model's activations look at, and inputs that are as predictable.

MNN computes ELU and PReLU with a kernel that branches on the sign of each value. Its time follows how often a processor
guesses wrong: one of them took 660, 472 and 307 us on inputs whose signs come in longer and longer runs, and 331 inside
a network, where the convolution before it reads what a ReLU and a pooling left, so that most channels keep one sign.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mmt._core.engine import USUAL_SHARED
from mmt.torch_side.running import device_of, evaluating
from mmt.torch_side.structure import TensorSpec, TraceNode

if TYPE_CHECKING:
    from mmt.torch_side.operators import Operator
    from mmt.torch_side.trace import Trace

__all__ = ["BRANCHING", "SignChanges", "values_for"]

BRANCHING = {"elu": "elu", "celu": "elu", "selu": "elu", "prelu": "prelu"}
"""Functions, by the name of their trace nodes, that branch on their first input; and the kernel that computes them."""

_CALLS = {torch.ops.aten.elu: "elu", torch.ops.aten.elu_: "elu", torch.ops.aten._prelu_kernel: "prelu"}

_HARDER = 1.3
"""Inside, channels with other signs lie side by side, and those that change often are hard to guess however steady the
others are. With as many changes as were counted, two such kernels took 188 and 407 us alone and 241 and 420 inside."""


class SignChanges(TorchDispatchMode):
    """While it is active, counts how often signs along the last axis differ where functions branch on them."""

    def __init__(self) -> None:
        super().__init__()
        self._shares: dict[tuple[str, tuple[int, ...]], list[float]] = {}

    @classmethod
    def inside(cls, model: nn.Module, inputs: Sequence[TensorSpec]) -> SignChanges:
        """Of a model that is fed with noise, as whole models are when they are timed (integers are 0). Raises what the
        model raises."""
        generator = torch.Generator().manual_seed(0)
        device = device_of(model)
        values = []
        for shape, dtype in inputs:
            kind = getattr(torch, dtype)
            noise = torch.rand(shape, generator=generator) * 2 - 1 if kind.is_floating_point else torch.zeros(shape)
            values.append(noise.to(device=device, dtype=kind))
        signs = cls()
        with evaluating(model), signs:
            model(*values)
        return signs

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kind = _CALLS.get(func.overloadpacket)
        if kind is not None and args[0].device.type != "meta" and args[0].shape[-1:].numel() > 1:
            negative = args[0] < 0
            share = (negative[..., 1:] != negative[..., :-1]).double().mean().item()
            self._shares.setdefault((kind, tuple(args[0].shape)), []).append(share)
        return func(*args, **(kwargs or {}))

    def values(self, name: str, shape: Any) -> tuple[float, float, float] | None:
        """Low end, high end and shared part (`values_for`) of inputs of a function of this name and shape; None where
        it was not called, or does not branch."""
        shares = self._shares.get((BRANCHING.get(name, ""), tuple(shape)))
        return values_for(_HARDER * sum(shares) / len(shares)) if shares else None

    def feed(self, operator: Operator, traced: Trace, nodes: Sequence[TraceNode]) -> None:
        """Has `operator`, which is these functions of a trace, fed with values as predictable as inside the model."""
        found = [self.values(node.name, traced.spec(node.inputs[0]).shape) for node in nodes if node.inputs]
        ranges = operator.checked.ranges if operator.checked else [(-1.0, 1.0)] * len(operator.inputs)
        if len(nodes) == 1 and found and found[0] is not None:
            operator.ranges = [found[0], *ranges[1:]]
        elif any(values is not None and values[2] < USUAL_SHARED for values in found):
            # What one of them branches on is noise: so is what comes in.
            operator.ranges = [(low, high, 0.0) for low, high in ranges]


def values_for(changes: float) -> tuple[float, float, float]:
    """Values that differ in sign from the next one so often (0 to 0.5), as the engine fills inputs with them: they are
    in [low, high), and neighbours have a share of that range in common (src/engine/input_values.h)."""
    if changes > _changes_at(0.0, USUAL_SHARED):
        shared = _least(lambda shared: _changes_at(0.0, shared) <= changes, USUAL_SHARED)
        return (-1.0, 1.0, round(shared, 3))
    # Half of the range lies below zero, or nothing.
    shift = round(_least(lambda shift: _changes_at(shift, USUAL_SHARED) <= changes, 1.0), 3)
    return (round(shift - 1, 3), round(shift + 1, 3), USUAL_SHARED)


def _least(holds: Callable[[float], bool], end: float) -> float:
    """The least number from 0 to `end` for which something holds that holds for `end` and whatever lies below it."""
    if holds(0.0):
        return 0.0
    begin = 0.0
    for _ in range(24):
        middle = (begin + end) / 2
        begin, end = (begin, middle) if holds(middle) else (middle, end)
    return end


def _changes_at(shift: float, shared: float) -> float:
    """How often neighbours differ in sign where values are an offset that they share, within ±`shared` around `shift`,
    and a part of their own, within ±(1 - `shared`)."""
    steps, own = 200, 1 - shared
    total = 0.0
    for step in range(steps):
        offset = shared * (2 * (step + 0.5) / steps - 1)
        negative = min(max((own - shift - offset) / (2 * own), 0.0), 1.0)
        total += 2 * negative * (1 - negative)
    return total / steps
