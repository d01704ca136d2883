"""Predictions of models that were seen before: nothing that changes a model is overlooked, and weights do not count."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import mmt.predict
from mmt.predict import open_table, predict
from mmt.space_eval import Found, LatencySpace
from mmt.torch_side import closing
from mmt.torch_side.fingerprint import Fingerprints, class_name, fingerprint

SHAPE = [1, 8, 16, 16]


def _summary(median_us: float) -> dict[str, float]:
    low, high = 0.99 * median_us, 1.01 * median_us
    return {"count": 20, "mean_us": median_us, "min_us": low, "max_us": high, "median_us": median_us,
            "ci_low_us": low, "ci_high_us": high}  # fmt: skip


def _sealed(line: dict) -> str:
    body = json.dumps(line)[:-1]
    return f'{body},"sum":"{hashlib.sha256(body.encode()).hexdigest()[:16]}"}}\n'


def write_table(folder: Path, operators: list[tuple[nn.Module, float]], shape: list[int] | None = None) -> Path:
    """An operator folder in which each operator is one kernel of the given time."""
    shape = SHAPE if shape is None else shape
    folder.mkdir(parents=True, exist_ok=True)
    entries, lines = (
        [],
        [{"type": "run", "format": 1, "config": "0123456789abcdef", "device": "test", "engine": "fake"}],
    )
    for number, (module, us) in enumerate(operators):
        with torch.no_grad():
            output = list(module(torch.zeros(shape)).shape)
        identity = fingerprint(module.eval(), shape)
        entries.append({
            "fingerprint": identity, "kind": "module", "class": class_name(type(module)), "parameters": {},
            "inputs": [{"shape": shape, "dtype": "float32"}], "output_shapes": [output], "output_dtypes": ["float32"],
            "exporter": "mmt", "models": [],
        })  # fmt: skip
        port = {"shape": shape, "dtype": "float32", "layout": "nc4hw4", "edge_kind": "convolution"}
        kernel = {"key": hashlib.sha256(f"k{number}".encode()).hexdigest()[:32], "type": "Convolution",
                  "attributes": f"number={number}", "text": f"Convolution{{number={number}}} {shape}",
                  "weight_bytes": 64, "cold": _summary(us), "hot": _summary(us)}  # fmt: skip
        for context in ("plain", "packed"):
            lines.append({
                "type": "profile", "config": "0123456789abcdef", "fingerprint": identity, "context": context,
                "cold": _summary(us + 5), "hot": _summary(us + 5), "kernels": [kernel], "inputs": [port],
                "outputs": [port | {"shape": output}], "measured_at": "2024-01-01T00:00:00Z",
            })  # fmt: skip
    (folder / "ops.json").write_text(json.dumps({"format": 1, "converter": "fake", "operators": entries}))
    (folder / "latency.jsonl").write_text("".join(_sealed(line) for line in lines))
    return folder


FACTOR = 2


class Block(nn.Module):
    repeats = 1

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, stride=stride, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(self.repeats * FACTOR // 2):
            x = self.conv(x)
        return x


@pytest.fixture
def table(tmp_path: Path) -> object:
    convs = [(nn.Conv2d(8, 8, 3, stride=stride, padding=1), us) for stride, us in ((1, 100.0), (2, 30.0))]
    return open_table(write_table(tmp_path / "ops", convs))


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with every model that is walked."""
    seen: list[int] = []
    walk = closing.trace_closed

    def counted(*args, **kwargs):
        seen.append(1)
        return walk(*args, **kwargs)

    monkeypatch.setattr(closing, "trace_closed", counted)
    return seen


def latency(model: nn.Module, table: object) -> float:
    return predict(model, table, SHAPE, exact=False).latency_us


def fresh(model: nn.Module, table: object) -> float:
    """Without anything that is remembered."""
    mmt.predict._results.clear()
    return latency(model, table)


def test_the_same_structure_is_walked_once_whatever_its_weights(table, walks):
    first = latency(nn.Sequential(Block(), Block()), table)
    other = nn.Sequential(Block(), Block())
    with torch.no_grad():
        other[0].conv.weight.mul_(3)
    assert latency(other, table) == first
    assert latency(other.to("meta"), table) == first
    assert len(walks) == 1
    assert predict(other, table, [1, 8, 8, 8], exact=False).missing
    assert len(walks) == 2


def _stride(model: nn.Module) -> None:
    model[0].conv.stride = (2, 2)


def _child(model: nn.Module) -> None:
    model[1] = nn.Identity()


def _weight(model: nn.Module) -> None:
    model[1].conv.weight = nn.Parameter(torch.zeros(8, 8, 5, 5))


def _repeats(model: nn.Module) -> None:
    model[0].repeats = 3


def _forward(model: nn.Module) -> None:
    model[0].forward = lambda x: x


def _hook(model: nn.Module) -> None:
    model[0].register_forward_hook(lambda module, inputs, output: module.conv(output))


def _shared(model: nn.Module) -> None:
    model[1] = model[0]


CHANGES = [_stride, _child, _weight, _repeats, _forward, _hook]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_model_is_predicted_as_it_is_now(table, change):
    model = nn.Sequential(Block(), Block()).eval()
    before = latency(model, table)
    change(model)
    after = latency(model, table)
    assert after != before
    assert after == fresh(model, table)


def test_changed_code_and_globals_count(table, monkeypatch):
    model = Block().eval()
    once = latency(model, table)
    monkeypatch.setattr(Block, "repeats", 2)
    assert latency(model, table) == fresh(model, table) > once
    monkeypatch.setattr(Block, "repeats", 1)
    assert latency(model, table) == once
    monkeypatch.setitem(globals(), "FACTOR", 6)
    assert latency(model, table) == fresh(model, table) > once
    monkeypatch.setitem(globals(), "FACTOR", 2)
    assert latency(model, table) == once
    monkeypatch.setattr(Block, "forward", lambda self, x: self.conv(self.conv(self.conv(x))))
    assert latency(model, table) == fresh(model, table) > once


class Gated(nn.Module):
    """Runs its convolution twice where a buffer says so."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.register_buffer("twice", torch.tensor(False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        return self.conv(x) if self.twice else x


def test_a_model_that_looks_at_numbers_is_walked_always(table, walks):
    model = Gated().eval()
    once = latency(model, table)
    model.twice.fill_(True)
    assert latency(model, table) > once
    assert len(walks) == 2


def test_shared_modules_are_no_twins(table):
    shared = Block()
    together, apart = (
        Fingerprints().structure(nn.Sequential(shared, shared)),
        Fingerprints().structure(nn.Sequential(Block(), Block())),
    )
    assert together != apart
    names = [node["module"] for node in predict(nn.Sequential(Block(), Block()), table, SHAPE, exact=False).nodes]
    model = nn.Sequential(shared, shared)
    assert [node["module"] for node in predict(model, table, SHAPE, exact=False).nodes] != names


def test_a_table_opened_by_its_path_is_opened_again_when_it_was_written(tmp_path):
    folder = write_table(tmp_path / "ops", [(nn.Conv2d(8, 8, 3, padding=1), 100.0)])
    model = Block().eval()
    first = latency(model, str(folder))
    open_table(folder)
    assert open_table(folder) is open_table(folder)
    write_table(folder, [(nn.Conv2d(8, 8, 3, padding=1), 250.0)])
    os.utime(folder / "latency.jsonl", (2_000_000_000, 2_000_000_000))
    assert latency(model, str(folder)) > first + 100


def test_answers_of_a_space_say_whether_they_are_complete(tmp_path):
    convs = [(nn.Conv2d(8, 8, k, padding=k // 2), 10.0 * k) for k in (1, 3, 5)]
    folder = write_table(tmp_path / "ops", convs)

    def build(config):
        return nn.Sequential(*(nn.Conv2d(8, 8, k, padding=k // 2) for k in config.values()))

    space = LatencySpace(build, {f"layer{i}": [1, 3, 5] for i in range(4)}, SHAPE, folder)
    rows, latencies = found = space.fastest(5)
    assert isinstance(found, Found)
    assert found.complete
    assert rows is found.rows
    assert latencies is found.latency_us
    everything = space.within(1e9)
    assert (everything.complete, len(everything.rows)) == (True, 81)
    assert (space.within(1e9, most=10).complete, len(space.within(1e9, most=10).rows)) == (False, 10)
    singles = [predict(build(space.configuration(row)), space.table, SHAPE, exact=False).latency_us for row in rows]
    assert np.allclose(singles, latencies, rtol=1e-3)
    again = pickle.loads(pickle.dumps(found))
    assert again.complete
    assert np.array_equal(again.rows, rows)
    with pytest.raises(ValueError, match="the fastest takes"):
        space.sample(3, budget_us=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(space.sample(50, budget_us=float(latencies[-1]))) == 50


def test_a_removed_hook_of_all_modules_leaves_no_trace(table, walks):
    from torch.nn.modules.module import register_module_forward_hook

    handle = register_module_forward_hook(lambda module, inputs, kwargs, output: None, with_kwargs=True)
    assert Fingerprints().structure(Block()) is None
    handle.remove()
    assert Fingerprints().structure(Block()) is not None
