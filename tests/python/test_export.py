"""Exporting: who writes, why, and what stays as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from trace_support import Converted, Fn, check

from mmt._core import MmtError
from mmt.torch_side.export import glue_to_onnx, to_onnx, trace_to_onnx
from mmt.torch_side.flops import Cost, node_costs, total_cost
from mmt.torch_side.trace import ClosedOperator, TensorSpec, trace

IMAGE = TensorSpec((1, 8, 14, 14))


def put(x: torch.Tensor) -> torch.Tensor:
    x = x.clone()
    x[:, 0] = 1.0
    return x.relu()


def test_what_we_do_not_know_is_exported_by_torch_and_says_why() -> None:
    result = to_onnx(Fn(put), [IMAGE])
    assert result.exporter == "torch"
    assert result.reason.startswith("Tensor.__setitem__ (assignment to a part of a tensor) has no canonical form (")
    assert result.trace is None
    converted = Converted(result.onnx_bytes)
    assert "mmt_stub" not in "".join(name for name, _ in converted.schedule())
    packed = Converted(to_onnx(Fn(put), [IMAGE], "packed").onnx_bytes)
    assert any(name.startswith("mmt_stub_0") for name, _ in packed.schedule())


def test_what_has_no_onnx_form_is_exported_by_torch_too() -> None:
    class Divided(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.avg_pool2d(x, 2, divisor_override=3)

    traced = trace(Divided(), [IMAGE])
    with pytest.raises(MmtError, match=r"avg_pool2d \(the traced module\) has no ONNX form here: divisor") as error:
        trace_to_onnx(traced)
    assert error.value.code == "unsupported"


def test_a_model_that_refuses_its_inputs_raises_what_it_raises() -> None:
    with pytest.raises(RuntimeError, match="expected input"):
        to_onnx(nn.Conv2d(3, 4, 3), [IMAGE])


def test_both_contexts_come_from_one_trace() -> None:
    conv = nn.Conv2d(8, 4, 3)
    result = to_onnx(conv, [IMAGE])
    assert result.other("plain") == result.onnx_bytes
    assert result.other("packed") == to_onnx(conv, [IMAGE], "packed").onnx_bytes != result.onnx_bytes
    with pytest.raises(ValueError, match="context 'other' is unknown"):
        to_onnx(nn.ReLU(), [IMAGE], "other")


def test_the_same_module_gives_the_same_bytes() -> None:
    def build() -> nn.Module:
        torch.manual_seed(3)
        return nn.Sequential(nn.Conv2d(8, 4, 3), nn.BatchNorm2d(4), nn.Hardswish())

    assert to_onnx(build(), [IMAGE]).onnx_bytes == to_onnx(build(), [IMAGE]).onnx_bytes


def test_seeded_constants_stand_in_for_the_modules_own() -> None:
    first, second = nn.Conv2d(8, 4, 3), nn.Conv2d(8, 4, 3)
    assert to_onnx(first, [IMAGE]).onnx_bytes != to_onnx(second, [IMAGE]).onnx_bytes
    assert to_onnx(first, [IMAGE], constants_seed=1).onnx_bytes == to_onnx(second, [IMAGE], constants_seed=1).onnx_bytes
    assert to_onnx(first, [IMAGE], constants_seed=1).onnx_bytes != to_onnx(first, [IMAGE], constants_seed=2).onnx_bytes


def test_a_model_without_weights_in_memory_can_be_exported() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(8, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    converted = Converted(to_onnx(model, [IMAGE]).onnx_bytes)
    (result,) = converted.run([torch.randn(IMAGE.shape)], 1)
    assert np.isfinite(result).all()


def test_keywords_and_nested_inputs_are_graph_inputs_in_order() -> None:
    class Model(nn.Module):
        def forward(self, pair: Any, mask: Any = None, *, gate: Any) -> torch.Tensor:
            return (pair[0] - pair[1]) * gate

    spec = TensorSpec((2, 3))
    result = to_onnx(Model(), [(spec, spec), None], kwargs={"gate": spec})
    a, b, c = torch.randn(3, 2, 3)
    (have,) = Converted(result.onnx_bytes).run([a, b, c], 1)
    np.testing.assert_allclose(have, ((a - b) * c).numpy(), rtol=1e-6)


def test_weights_that_are_views_are_written_as_they_look() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(10, 16)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.embedding(ids) @ self.embedding.weight.t()

    check(Tied(), [torch.tensor([[1, 4, 2]])])


def test_a_closed_trace_cannot_be_exported() -> None:
    traced = trace(nn.ReLU(), [IMAGE], closed=lambda *_: ClosedOperator("f", "ReLU", IMAGE))
    with pytest.raises(MmtError, match="closed operator"):
        trace_to_onnx(traced)


def test_glue_is_exported_alone_in_both_contexts() -> None:
    traced = trace(Fn(lambda x: torch.cat([x.exp(), x + 1], 1)), [IMAGE])
    part = traced.extract([2])
    for context in ("plain", "packed"):
        result = glue_to_onnx(part, context)
        assert result.exporter == "mmt"
        x, y = torch.randn(IMAGE.shape), torch.randn(IMAGE.shape)
        (have,) = Converted(result.onnx_bytes).run([x, y], 1)
        np.testing.assert_allclose(have, torch.cat([x, y], 1).numpy(), rtol=1e-6)


def test_glue_without_a_form_of_ours_is_exported_by_torch() -> None:
    traced = trace(Fn(lambda x: torch.hypot(x, x + 1)), [IMAGE], allow_unknown=True)
    part = traced.extract([1])
    with pytest.raises(Exception, match="hypot"):  # neither can
        glue_to_onnx(part)
    traced = trace(Fn(lambda x: F.unfold(x, 3).exp()), [IMAGE], allow_unknown=True)
    result = glue_to_onnx(traced.extract([0]), "packed")
    assert result.exporter == "torch"
    assert Converted(result.onnx_bytes).types()


def test_costs_are_counted_from_shapes() -> None:
    model = nn.Sequential(nn.Conv2d(8, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(784, 10))
    traced = trace(model, [IMAGE])
    conv, relu, flatten, linear = node_costs(traced)
    assert conv == Cost(8 * 4 * 9 + 4, 4 * 14 * 14 * (2 * 8 * 9 + 1))
    assert relu == Cost(0, 784)
    assert flatten == Cost(0, 0)
    assert linear == Cost(7850, 10 * (2 * 784 + 1))
    assert total_cost(traced) == Cost(conv.parameters + 7850, conv.flops + 784 + linear.flops)


def test_shared_weights_count_once_in_the_total() -> None:
    shared = nn.Linear(16, 16)
    traced = trace(nn.Sequential(shared, nn.ReLU(), shared), [TensorSpec((2, 16))])
    assert total_cost(traced).parameters == 16 * 16 + 16
    assert sum(cost.parameters for cost in node_costs(traced)) == 2 * (16 * 16 + 16)
