"""From torch modules to ONNX bytes: by our own writer, and by PyTorch's exporter where that does not know a function.

Both are made to give the same kernels after conversion. Contexts ("plain", "packed"): see mmt/manifest.h.
"""

from __future__ import annotations

import io
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from mmt.torch_side.flops import total_cost
from mmt.torch_side.replay import Replay
from mmt.torch_side.structure import SPECS, TensorSpec, flatten, map_leaves
from mmt.torch_side.trace import Trace, UnsupportedFunction, trace

__all__ = ["CONTEXTS", "ExportResult", "glue_to_onnx", "to_onnx", "torch_to_onnx", "trace_to_onnx", "written"]

CONTEXTS = ("plain", "packed")
_FLOATS = ("float32", "float16", "bfloat16")


@dataclass
class ExportResult:
    """ONNX bytes, who wrote them ("mmt" or "torch"; "": nobody), why not "mmt" ("" where it was), and the trace (None
    where the module could not be traced). `other`: makes the bytes of another context."""

    onnx_bytes: bytes
    exporter: str
    reason: str
    trace: Trace | None
    other: Callable[[str], bytes]

    @property
    def flops(self) -> int:
        """Operations of one run; -1 where they cannot be counted."""
        return -1 if self.trace is None else total_cost(self.trace).flops


def to_onnx(
    model: nn.Module,
    inputs: Sequence[Any],
    context: str = "plain",
    constants_seed: int | None = None,
    *,
    kwargs: dict[str, Any] | None = None,
    last_resort: bool = True,
) -> ExportResult:
    """ONNX bytes of a module for inputs given as TensorSpec (nested as the module takes them).

    `constants_seed`: write random numbers of this seed in place of the module's own (its size and speed stay).
    `last_resort`: whether PyTorch's exporter is asked where our writer cannot; without it there are no bytes then.
    Raises what the module raises for these inputs, or what PyTorch's exporter raises.
    """
    traced: Trace | None = None
    try:
        traced = trace(model, inputs, kwargs=kwargs)
        return written(traced, context, constants_seed)
    except UnsupportedFunction as error:
        if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
            raise  # PyTorch's exporter cannot look into them either, and says so less clearly
        reason = str(error)
    except RuntimeError as error:
        if getattr(error, "code", "") != "unsupported":
            raise
        reason = str(error)
    other = partial(torch_to_onnx, model, inputs, kwargs=kwargs)
    if not last_resort:
        return ExportResult(b"", "", reason, traced, other)
    return ExportResult(other(context), "torch", reason, traced, other)


def written(traced: Trace, context: str = "plain", constants_seed: int | None = None) -> ExportResult:
    """`trace_to_onnx` with what else is told of an export."""
    other = partial(trace_to_onnx, traced, constants_seed=constants_seed)
    return ExportResult(other(context), "mmt", "", traced, other)


def trace_to_onnx(traced: Trace, context: str = "plain", constants_seed: int | None = None) -> bytes:
    """ONNX bytes of a trace without closed operators, by our own writer.

    Raises MmtError (code "unsupported") where a function has no ONNX form.
    """
    from mmt._core import onnx

    if context not in CONTEXTS:
        raise ValueError(f"context {context!r} is unknown; there are {', '.join(CONTEXTS)}")
    used = {traced.values[value][2] for node in traced.nodes for value in node.inputs if value >= 0}
    used.update(traced.values[value][2] for value in traced.outputs)
    kept: list[torch.Tensor] = []  # what the addresses point into
    buffers: list[tuple[int, int]] = []
    for index, constant in enumerate(traced.constants):
        if index not in used:
            buffers.append((0, 0))
            continue
        tensor = constant.detach()
        if tensor.is_meta or (constants_seed is not None and tensor.is_floating_point()):
            tensor = _random_constant(constant, (constants_seed or 0) + index)
        tensor = tensor.to("cpu").contiguous()
        kept.append(tensor)
        buffers.append((tensor.data_ptr(), tensor.numel() * tensor.element_size()))
    return onnx.lower_to_onnx(traced.to_json(), buffers, context == "packed")


def glue_to_onnx(part: Trace, context: str = "plain") -> ExportResult:
    """ONNX bytes of an extracted trace: by our own writer, or by PyTorch's exporter, which is given the recorded calls
    themselves (also of functions without a canonical form)."""
    try:
        return written(part, context)
    except RuntimeError as error:
        if getattr(error, "code", "") != "unsupported":
            raise
        other = partial(torch_to_onnx, Replay(part), part.input_specs)
        return ExportResult(other(context), "torch", str(error), part, other)


def _random_constant(constant: torch.Tensor, seed: int) -> torch.Tensor:
    """Numbers of the right kind: matrices that keep the size of what they are multiplied with, positive vectors (a
    variance is one) around 1."""
    generator = torch.Generator().manual_seed(seed)
    shape = tuple(constant.shape)
    if not constant.dtype.is_floating_point:
        return torch.zeros(shape, dtype=constant.dtype)
    numbers = torch.rand(shape, generator=generator)
    if len(shape) < 2:
        return (numbers + 0.5).to(constant.dtype)
    return ((numbers * 2 - 1) * math.sqrt(3 / max(1, math.prod(shape[1:])))).to(constant.dtype)


# --- PyTorch's exporter -----------------------------------------------------------------------------------------------
class _Stubbed(nn.Module):
    """A module behind stubs: every float input of rank 4 passes a 1x1 max pooling named mmt_stub_<i>."""

    def __init__(self, model: nn.Module, args: Sequence[Any], kwargs: dict[str, Any], packed: bool) -> None:
        super().__init__()
        self.model = model
        self._structure = (list(args), kwargs)
        self._stubs: dict[int, nn.Module] = {}
        for i, spec in enumerate(flatten(self._structure, SPECS)):
            if packed and len(spec.shape) == 4 and spec.dtype in _FLOATS:
                stub = nn.MaxPool2d(1)
                self.add_module(f"mmt_stub_{i}", stub)
                self._stubs[i] = stub

    def forward(self, *tensors: torch.Tensor) -> Any:
        passed = iter([self._stubs[i](x) if i in self._stubs else x for i, x in enumerate(tensors)])
        args, kwargs = map_leaves(lambda _: next(passed), self._structure, SPECS)
        return tuple(flatten(self.model(*args, **kwargs), torch.Tensor))


def torch_to_onnx(
    model: nn.Module, inputs: Sequence[Any], context: str = "plain", *, kwargs: dict[str, Any] | None = None
) -> bytes:
    """ONNX bytes by PyTorch's own exporter, whether or not ours could: a second opinion. Raises what it raises."""
    kwargs = kwargs or {}
    stubbed = _Stubbed(model, inputs, kwargs, context == "packed")
    tensors = tuple(_tensor(spec, i) for i, spec in enumerate(flatten((list(inputs), kwargs), SPECS)))
    training = [module for module in model.modules() if module.training]
    target = io.BytesIO()
    try:
        stubbed.eval()
        with _quiet():
            torch.onnx.export(
                stubbed,
                tensors,
                target,
                dynamo=False,
                opset_version=17,
                input_names=[f"input_{i}" for i in range(len(tensors))],
            )
    finally:
        for module in training:
            module.training = True
    data = target.getvalue()
    for i in stubbed._stubs:
        # The exporter names nodes by their scope, "/mmt_stub_0/MaxPool"; engines shall see a name that begins with
        # "mmt_stub". Names of the same length can be exchanged without touching anything else in the file.
        for old in (f"/mmt_stub_{i}/MaxPool_output_0", f"/mmt_stub_{i}/MaxPool"):
            data = data.replace(old.encode(), (old[1:] + "_").encode())
    return data


def _tensor(spec: TensorSpec, seed: int) -> torch.Tensor:
    dtype = getattr(torch, spec.dtype)
    generator = torch.Generator().manual_seed(seed)
    if dtype.is_floating_point:
        return torch.randn(tuple(spec.shape), generator=generator).to(dtype)
    return torch.randint(0, 2, tuple(spec.shape), generator=generator).to(dtype)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's warnings and its dump of the graph where it fails."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
