"""What the tests of tracing and exporting share: conversion, running and schedules, through MNN's own API."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mmt._core import kernel
from mmt.torch_side.convert_apart import onnx_to_mnn
from mmt.torch_side.export import CONTEXTS, to_onnx, torch_to_onnx
from mmt.torch_side.structure import TensorSpec, flatten

#: Outputs agree where |mnn - torch| <= TOLERANCE * max(1, |torch|): float32, sums in another order, and MNN's
#: polynomial exp, tanh and erf.
TOLERANCE = 2e-3


class Fn(nn.Module):
    """A function as a module; its keyword modules are children."""

    def __init__(self, function: Any, **children: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, child in children.items():
            self.add_module(name, child)

    def forward(self, *args: Any) -> Any:
        return self.function(*args, **dict(self.named_children()))


def specs_of(inputs: Sequence[torch.Tensor]) -> list[TensorSpec]:
    return [TensorSpec(tuple(x.shape), str(x.dtype).removeprefix("torch.")) for x in inputs]


class Converted:
    """An ONNX model after MNN's converter, with a session."""

    def __init__(self, onnx: bytes, mnn: bytes = b"") -> None:
        """`mnn`: the converted model, where there is one already."""
        with tempfile.TemporaryDirectory() as folder:
            import MNN

            path = Path(folder) / "model.mnn"
            if mnn:
                path.write_bytes(mnn)
            else:
                onnx_to_mnn(onnx, path)
            self.bytes = path.read_bytes()
            self.graph = kernel.read_graph(str(path))
            self.interpreter = MNN.Interpreter(str(path))
            self.session = self.interpreter.createSession({"numThread": 1})
        self.mnn = MNN

    def schedule(self) -> list[tuple[str, str]]:
        """(name, type) of every kernel, without running any."""
        kernels: list[tuple[str, str]] = []

        def before(_: Any, info: Any) -> bool:
            kernels.append((info.getName(), info.getType()))
            return False

        self.interpreter.runSessionWithCallBackInfo(self.session, before, lambda *_: True)
        return kernels

    def types(self) -> list[str]:
        return [kind for _, kind in self.schedule()]

    def run(self, inputs: Sequence[torch.Tensor], outputs: int) -> list[np.ndarray]:
        mnn = self.mnn
        tensors = self.interpreter.getSessionInputAll(self.session)
        for i, x in enumerate(inputs):
            if f"input_{i}" not in tensors:
                continue  # an input that nothing reads
            tensor = tensors[f"input_{i}"]
            kind = mnn.Halide_Type_Float if x.dtype.is_floating_point else mnn.Halide_Type_Int
            data = x.numpy().astype(np.float32 if x.dtype.is_floating_point else np.int32)
            tensor.copyFrom(
                mnn.Tensor(tuple(x.shape), kind, np.ascontiguousarray(data), mnn.Tensor_DimensionType_Caffe)
            )
        assert self.interpreter.runSession(self.session) == 0
        results = []
        for i in range(outputs):
            tensor = self.interpreter.getSessionOutput(self.session, f"output_{i}")
            host = mnn.Tensor(
                tensor.getShape(),
                tensor.getDataType(),
                np.zeros(tensor.getShape(), _numpy(mnn, tensor)),
                mnn.Tensor_DimensionType_Caffe,
            )
            tensor.copyToHostTensor(host)
            results.append(np.array(host.getData(), dtype=_numpy(mnn, tensor)).reshape(tensor.getShape()))
        return results


def same_graph(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    """Whether two graphs are the same, but for the numbers of tensors, also in the names that the converter gives."""
    return _numbered(one) == _numbered(other)


def _numbered(graph: list[dict[str, Any]]) -> list[Any]:
    numbers: dict[int, int] = {}
    return [
        (
            re.sub(r"^([A-Za-z]+)\d+(?=$|___)", r"\1", op["name"]),
            op["type"],
            op["attributes"],
            op["constant_bytes"],
            *([numbers.setdefault(tensor, len(numbers)) for tensor in op[side]] for side in ("inputs", "outputs")),
        )
        for op in graph
    ]


def _numpy(mnn: Any, tensor: Any) -> type:
    return np.float32 if tensor.getDataType() == mnn.Halide_Type_Float else np.int32


def check(
    model: nn.Module, inputs: Sequence[torch.Tensor], exporter: str = "mmt", tolerance: float = TOLERANCE
) -> None:
    """Both contexts give the numbers of torch, and so does a packed model made from the plain one."""
    model = model.eval()
    with torch.no_grad():
        expected = flatten(model(*[x.clone() for x in inputs]), torch.Tensor)
    result = to_onnx(model, specs_of(inputs))
    assert result.exporter == exporter, result.reason
    models = {context: Converted(result.other(context)) for context in CONTEXTS}
    if (made := kernel.packed_model(models["plain"].bytes)) is not None:
        models["made from the plain one"] = Converted(b"", made)
        assert same_graph(models["made from the plain one"].graph, models["packed"].graph)
    for context, converted in models.items():
        actual = converted.run(inputs, len(expected))
        for want, have in zip(expected, actual, strict=True):
            want_array = want.to(torch.float32).numpy() if want.dtype != torch.float32 else want.numpy()
            np.testing.assert_allclose(
                have.reshape(want_array.shape).astype(np.float32),
                want_array,
                rtol=tolerance,
                atol=tolerance,
                err_msg=f"context {context}",
            )


def types_by_torch(model: nn.Module, inputs: Sequence[torch.Tensor], context: str = "plain") -> list[str]:
    """The schedule that PyTorch's exporter leads to."""
    return Converted(torch_to_onnx(model.eval(), specs_of(inputs), context)).types()


def types_by_mmt(model: nn.Module, inputs: Sequence[torch.Tensor], context: str = "plain") -> list[str]:
    """The schedule that our writer leads to."""
    result = to_onnx(model.eval(), specs_of(inputs), context)
    assert result.exporter == "mmt", result.reason
    return Converted(result.onnx_bytes).types()
