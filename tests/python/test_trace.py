"""The tracer: what is recorded, what is folded, what is refused, and that a trace replays to the same numbers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from test_export_layers import FUNCTIONS, LAYERS
from torch import nn
from trace_support import Fn, specs_of

from mmt._core import module_paths
from mmt.torch_side import leaves
from mmt.torch_side.export import to_onnx
from mmt.torch_side.replay import Replay
from mmt.torch_side.structure import flatten
from mmt.torch_side.trace import ClosedOperator, TensorSpec, Trace, UnsupportedFunction, trace

IMAGE = TensorSpec((1, 8, 14, 14))


def names(traced: Trace) -> list[str]:
    return [node.name for node in traced.nodes]


def of(function: Callable[..., Any], *specs: TensorSpec, **children: nn.Module) -> Trace:
    return trace(Fn(function, **children), specs or (IMAGE,))


# --- what is recorded -------------------------------------------------------------------------------------------------
def test_a_network_becomes_its_functions_in_order() -> None:
    model = nn.Sequential(
        nn.Conv2d(8, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(784, 3)
    )
    traced = trace(model, [IMAGE])
    assert names(traced) == ["conv2d", "batch_norm", "relu", "reshape", "linear"]
    assert [node.module for node in traced.nodes] == ["0", "1", "2", "3", "4"]
    assert traced.nodes[0].arguments == {"stride": [1, 1], "padding": [1] * 4, "dilation": [1, 1], "groups": 1}
    assert traced.output_specs == [TensorSpec((1, 3))]
    assert traced.on_real_tensors == ""
    assert len(traced.constants) == 8
    assert traced.constants[0] is model[0].weight


@pytest.mark.parametrize("name", LAYERS.keys() | FUNCTIONS.keys())
def test_a_replayed_trace_gives_the_numbers_of_the_module(name: str) -> None:
    model, inputs = (LAYERS | FUNCTIONS)[name]
    model = model.eval()
    traced = trace(model, specs_of(inputs))
    with torch.no_grad():
        expected = flatten(model(*[x.clone() for x in inputs]), torch.Tensor)
        actual = flatten(Replay(traced)(*[x.clone() for x in inputs]), torch.Tensor)
    for want, have, spec in zip(expected, actual, traced.output_specs, strict=True):
        torch.testing.assert_close(have, want)
        assert spec == TensorSpec(tuple(want.shape), str(want.dtype).removeprefix("torch."))


@pytest.mark.parametrize("name", LAYERS)
def test_real_tensors_give_the_same_trace(name: str) -> None:
    model, inputs = LAYERS[name]
    fast, slow = trace(model, specs_of(inputs)), trace(model, specs_of(inputs), real=True)
    assert fast.to_json() == slow.to_json()


@pytest.mark.parametrize("name", LAYERS)
def test_leaf_modules_are_recorded_as_their_forward_would_be(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs = LAYERS[name]
    expected = trace(model, specs_of(inputs)).to_json()
    monkeypatch.setattr(leaves, "LEAVES", {})
    assert trace(model, specs_of(inputs)).to_json() == expected


def test_aliases_have_one_canonical_form() -> None:
    expected = of(lambda x: x + 1).to_json()
    for alias in (lambda x: 1 + x, lambda x: torch.add(x, 1), lambda x: x.add(1), lambda x: x.clone().add_(1)):
        assert of(alias).to_json() == expected
    expected = of(lambda x: x.transpose(1, 2)).to_json()
    for alias in (lambda x: x.permute(0, 2, 1, 3), lambda x: torch.swapaxes(x, -3, -2), lambda x: x.movedim(1, 2)):
        assert of(alias).to_json() == expected
    expected = of(lambda x: x.flatten(1)).to_json()
    for alias in (lambda x: x.view(1, -1), lambda x: x.reshape(x.shape[0], 8 * 14 * 14), lambda x: x.view((-1, 1568))):
        assert of(alias).to_json() == expected


def test_calls_without_effect_are_not_recorded() -> None:
    def nothing(x: torch.Tensor) -> torch.Tensor:
        x = F.dropout(x.contiguous().detach(), training=False).to(torch.float32).to(x.device).float()
        return x.view(x.shape).expand(-1, -1, -1, -1).squeeze(1).permute(0, 1, 2, 3).relu()

    assert names(of(nothing)) == ["relu"]


def test_what_nothing_depends_on_is_not_recorded() -> None:
    assert names(of(lambda x: (x.exp(), x.relu())[1])) == ["relu"]


def test_calls_on_constants_are_folded() -> None:
    def position(x: torch.Tensor) -> torch.Tensor:
        grid = torch.arange(14, device=x.device, dtype=x.dtype) / 14
        grid[0] = 5
        return x + torch.stack([grid, grid.flip(0)]).sum(0)

    traced = of(position)
    assert names(traced) == ["add"]
    assert traced.constants[0][0] == 5 + 13 / 14


def test_a_constant_keeps_the_numbers_that_it_had_when_it_was_used() -> None:
    def change(x: torch.Tensor) -> torch.Tensor:
        offset = torch.zeros(14)
        x = x + offset
        offset += 1
        return x * offset

    traced = of(change)
    assert [float(c[0]) for c in traced.constants] == [0.0, 1.0]


def test_the_configuration_and_shapes_decide_what_runs() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        if x.shape[1] == 8 and x.dim() == 4 and len(x) == 1:
            for _ in range(x.size(-1) // 7):
                x = x.relu()
        return x

    assert names(of(forward)) == ["relu", "relu"]


def test_nested_inputs_keywords_none_and_dict_outputs() -> None:
    class Model(nn.Module):
        def forward(self, pair: Any, mask: Any = None, *, scale: float, more: Any) -> dict[str, Any]:
            assert mask is None
            return {"sum": pair[0] + pair[1], "scaled": [more["z"] * scale, None]}

    traced = trace(Model(), [(IMAGE, IMAGE), None], kwargs={"scale": 2.0, "more": {"z": TensorSpec((3,))}})
    assert names(traced) == ["add", "mul"]
    assert traced.input_specs == [IMAGE, IMAGE, TensorSpec((3,))]
    assert traced.output_structure == {"sum": (0,), "scaled": [(1,), None]}


def test_random_constants_and_own_modules_made_on_the_way() -> None:
    assert names(of(lambda x: nn.ReLU()(x))) == ["relu"]


# --- in-place calls and views -----------------------------------------------------------------------------------------
def test_a_view_that_is_not_used_any_more_may_be_changed() -> None:
    assert names(of(lambda x: x.view(1, -1).relu_())) == ["reshape", "relu"]


def test_a_changed_tensor_cannot_be_reached_through_its_views() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        y = x.exp()
        left, _ = y.chunk(2, 1)
        left += 1
        return y

    with pytest.raises(
        UnsupportedFunction, match="in-place change of a tensor while a view of it is used later"
    ) as error:
        of(forward)
    assert error.value.place.startswith(__file__)


def test_a_clone_is_not_changed_with_its_origin() -> None:
    traced = of(lambda x: (lambda y: y.add_(1) * x)(x.clone()))
    add, mul = traced.nodes
    assert mul.inputs == [add.outputs[0], traced.inputs[0]]


# --- what is refused --------------------------------------------------------------------------------------------------
def test_an_unknown_function_is_named_with_its_line() -> None:
    with pytest.raises(
        UnsupportedFunction, match=r"torch\.fft\.fft has no canonical form .*test_trace\.py:\d+"
    ) as error:
        of(lambda x: torch.fft.fft(x).real)
    assert error.value.function == "torch.fft.fft"


def test_an_unknown_function_can_be_recorded_under_its_own_name() -> None:
    traced = trace(Fn(lambda x: torch.trapezoid(x, dim=-1).relu()), [IMAGE], allow_unknown=True)
    assert names(traced) == ["torch.trapezoid", "relu"]
    assert traced.nodes[0].arguments == {"arguments": [["tensor"], {"dim": -1}]}
    assert "trapezoid" in traced.node_identity(0)[0]
    x = torch.randn(IMAGE.shape)
    torch.testing.assert_close(Replay(traced.extract([0]))(x), torch.trapezoid(x, dim=-1))


def test_assignment_to_a_part_is_refused() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        x[:, 0] = 1
        return x

    with pytest.raises(UnsupportedFunction, match="assignment"):
        of(forward)


def test_with_unknown_functions_allowed_nothing_is_refused() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        y = x.exp()
        left, _ = y.chunk(2, 1)
        left += 1
        buffer = torch.zeros(1, 8, 14, 14)
        buffer[:, :4] = left
        buffer[:, 4:] = 2.0
        return buffer.relu() + y

    traced = trace(Fn(forward), [IMAGE], allow_unknown=True)
    assign = "torch.Tensor.__setitem__"
    assert names(traced) == ["exp", "chunk", "add", assign, assign, "relu", "add"]
    first, second = traced.nodes[3:5]
    assert second.inputs == first.outputs
    x = torch.rand(IMAGE.shape)
    left = x.exp()[:, :4] + 1
    expected = torch.cat([left, torch.full_like(left, 2.0)], 1)
    torch.testing.assert_close(Replay(traced.extract([2, 3, 4]))(x.exp()[:, :4]), expected)


def test_operators_of_the_dispatcher_are_the_functions_of_the_same_name() -> None:
    assert names(of(lambda x: torch.ops.aten.relu(torch.ops.aten.exp.default(x)))) == ["exp", "relu"]


def test_script_modules_are_refused() -> None:
    with pytest.raises(UnsupportedFunction, match="script module 'm' cannot be looked into: give the module that"):
        of(lambda x, m: m(x), m=torch.jit.script(nn.ReLU()))
    with pytest.raises(UnsupportedFunction, match="script module '0' cannot be looked into"):
        to_onnx(nn.Sequential(torch.jit.script(nn.ReLU())), [IMAGE])


def test_values_that_decide_are_read_from_real_tensors() -> None:
    traced = of(lambda x: x.relu() if float(x.abs().sum()) > 0 else x.exp())
    assert names(traced) == ["relu"]
    assert traced.on_real_tensors


@pytest.mark.parametrize("model", [nn.Conv2d(3, 4, 3), nn.Linear(5, 2), nn.BatchNorm2d(3), nn.MaxPool2d(30)])
def test_a_module_that_refuses_its_input_raises_what_torch_raises(model: nn.Module) -> None:
    with pytest.raises((RuntimeError, ValueError)) as error:
        trace(model, [IMAGE])
    assert not isinstance(error.value, UnsupportedFunction)


# --- what a trace leaves behind ---------------------------------------------------------------------------------------
def test_modules_are_named_by_their_first_place() -> None:
    shared = nn.ReLU()
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2), shared), shared, nn.Identity())
    paths = module_paths.ModulePaths(model)
    named = {name: paths.get(id(module)) for name, module in model.named_modules()}
    assert named == {name: name for name in ("", "0", "0.0", "0.1", "2")}
    assert paths.get(id(shared)) == "0.1"
    assert paths.get(id(nn.ReLU())) is None
    assert len(paths.training) == 5
    assert not paths.compiled


def test_the_mode_of_every_module_is_restored() -> None:
    model = nn.Sequential(nn.Dropout(), nn.ReLU(), nn.Sequential(nn.BatchNorm2d(8)))
    model[1].eval()
    assert names(trace(model, [IMAGE])) == ["relu", "batch_norm"]
    assert [module.training for module in model] == [True, False, True]
    assert int(model[2][0].num_batches_tracked) == 0


def test_a_module_that_was_compiled_in_place_is_recorded_and_stays_compiled() -> None:
    model = nn.Sequential(nn.Conv2d(8, 8, 1), nn.Sequential(nn.ReLU()))
    for module in (model, model[1]):
        module.compile(backend="eager")
    compiled = model._compiled_call_impl, model[1]._compiled_call_impl
    assert names(trace(model, [IMAGE])) == ["conv2d", "relu"]
    assert (model._compiled_call_impl, model[1]._compiled_call_impl) == compiled


def test_modules_work_as_before_after_a_failure() -> None:
    call = nn.Module.__call__, nn.Module._call_impl
    with pytest.raises(ZeroDivisionError):
        of(lambda x: x / (1 // 0))
    assert (nn.Module.__call__, nn.Module._call_impl) == call
    assert nn.ReLU()(torch.tensor([-1.0, 2.0])).tolist() == [0.0, 2.0]


def test_other_threads_are_not_recorded() -> None:
    results: list[torch.Tensor] = []

    def forward(x: torch.Tensor) -> torch.Tensor:
        thread = threading.Thread(target=lambda: results.append(nn.ReLU()(torch.ones(3))))
        thread.start()
        thread.join()
        return x.exp()

    assert names(of(forward)) == ["exp"]
    assert results[0].tolist() == [1.0, 1.0, 1.0]


def test_hooks_run() -> None:
    model = nn.Sequential(nn.ReLU())
    model[0].register_forward_hook(lambda module, args, output: output + 1)
    assert names(trace(model, [IMAGE])) == ["relu", "add"]


# --- closed operators -------------------------------------------------------------------------------------------------
@dataclass
class Pair:
    first: torch.Tensor
    second: Any
    note: str = "kept"


class Two(nn.Module):
    def forward(self, x: torch.Tensor, y: Any = None) -> Pair:
        raise AssertionError("a closed module is not run")


def test_closed_modules_are_operators_and_the_rest_is_glue() -> None:
    model = nn.Sequential(
        nn.Sequential(nn.Conv2d(8, 4, 3), nn.ReLU()), nn.Sigmoid(), nn.Sequential(nn.Flatten(), nn.Linear(576, 2))
    )
    asked: list[tuple[str, list[TensorSpec]]] = []

    def closed(module: nn.Module, name: str, inputs: list[TensorSpec]) -> ClosedOperator | None:
        asked.append((name, inputs))
        shapes = {"0": (1, 4, 12, 12), "2": (1, 2)}
        return (
            ClosedOperator(f"print-{name}", type(module).__name__, TensorSpec(shapes[name])) if name in shapes else None
        )

    traced = trace(model, [IMAGE], closed=closed)
    assert [(node.kind, node.name, node.fingerprint, node.module) for node in traced.nodes] == [
        ("operator", "Sequential", "print-0", "0"),
        ("function", "sigmoid", "", "1"),
        ("operator", "Sequential", "print-2", "2"),
    ]
    assert asked == [
        ("", [IMAGE]),
        ("0", [IMAGE]),
        ("1", [TensorSpec((1, 4, 12, 12))]),
        ("2", [TensorSpec((1, 4, 12, 12))]),
    ]
    x = torch.randn(IMAGE.shape)
    torch.testing.assert_close(Replay(traced)(x), model(x))


def test_a_closed_module_may_return_any_structure_and_be_used_twice() -> None:
    half = TensorSpec((1, 4))
    operator = ClosedOperator("f", "Two", Pair(half, {"a": [half, None]}))
    two = Two()

    def forward(x: torch.Tensor, two: nn.Module) -> torch.Tensor:
        one = two(x, y=x)
        assert one.note == "kept"
        assert one.second["a"][1] is None
        return two(one.first).first + one.second["a"][0]

    traced = trace(Fn(forward, two=two), [IMAGE], closed=lambda module, *_: operator if module is two else None)
    assert [node.kind for node in traced.nodes] == ["operator", "operator", "function"]
    assert [node.module for node in traced.nodes] == ["two", "two", ""]
    assert traced.nodes[0].inputs == [0, 0]
    assert traced.nodes[0].arguments == {"call": [["tensor"], {"y": "tensor"}]}
    assert traced.nodes[1].arguments == {}


def test_the_root_itself_may_be_closed() -> None:
    traced = trace(nn.ReLU(), [IMAGE], closed=lambda *_: ClosedOperator("f", "ReLU", IMAGE))
    assert [node.kind for node in traced.nodes] == ["operator"]


# --- glue -------------------------------------------------------------------------------------------------------------
def test_glue_identity_is_that_of_the_call_and_not_of_its_place() -> None:
    one = of(lambda x: (x + x.relu()).exp() + 1)
    other = of(lambda a, b: a + b, IMAGE, IMAGE)
    assert one.node_identity(1) == other.node_identity(0)
    assert one.node_identity(1)[0] == "add{} float32[1,8,14,14] float32[1,8,14,14]"
    assert one.node_identities()[1] == one.node_identity(1)
    same = of(lambda a: a + a)
    identities = {one.node_identity(i)[1] for i in range(4)} | {same.node_identity(0)[1]}
    assert len(identities) == 5
    assert of(lambda x: x + torch.ones(8, 1, 1)).node_identity(0)[0] == "add{} float32[1,8,14,14] const:float32[8,1,1]"


def test_cut_out_glue_computes_what_it_computed_inside() -> None:
    traced = of(lambda x: (lambda y: y * torch.full((8, 1, 1), 3.0) + x)(x.exp()))
    part = traced.extract([1, 2])
    assert names(part) == ["mul", "add"]
    assert part.input_specs == [IMAGE, IMAGE]
    x, y = torch.randn(IMAGE.shape), torch.randn(IMAGE.shape)
    torch.testing.assert_close(Replay(part)(x, y), x * 3 + y)
    single = traced.extract([0])
    assert single.output_specs == [IMAGE]
    torch.testing.assert_close(Replay(single)(x), x.exp())
