"""Size and memory: predictions against what the converter writes and the engine reports."""

from __future__ import annotations

import json
import math
import platform
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import KINDS, measured
from torch import nn

from mmt import LatencySpace, scan
from mmt.converter import export_models, generate_ops_list
from mmt.meter import meter_ops, read_journal
from mmt.predict import predict
from mmt.validate import validate

SHAPE = [1, 3, 224, 224]


@pytest.fixture(scope="module")
def ops(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """The operators of the MobileNetV3 example, run just often enough to have rows."""
    folder = tmp_path_factory.mktemp("memory") / "ops"
    generate_ops_list(repository / "examples/mobilenetv3/ops.yaml", folder)
    meter_ops(folder, times=1, progress=lambda _: None)
    return folder


@pytest.fixture(scope="module")
def space(load_file):
    return load_file("examples/mobilenetv3/space.py")


def variants(space, count: int) -> list[tuple[str, nn.Module]]:
    generator = random.Random(5)
    picks = [{slot: generator.choice(choices) for slot, choices in space.SLOTS.items()} for _ in range(count)]
    return [(f"variant {i}", space.build(pick).eval()) for i, pick in enumerate(picks)]


def test_composed_models_against_the_engine_and_the_converter(ops: Path, space) -> None:
    report = validate(ops, variants(space, 4), SHAPE, rounds=2, runs=1, split=False)
    errors = report.size_errors()
    assert errors["memory"]["count"] == errors["size"]["count"] == 4
    assert errors["memory"]["max_pct"] < 5
    assert errors["size"]["max_pct"] < 1
    assert "memory MiB" in report.to_text()
    row = json.loads(report.to_json())["models"][0]
    assert row["predicted_size_mb"] == pytest.approx(row["size_mb"], rel=0.01)


def test_what_a_prediction_tells(ops: Path, space) -> None:
    _, model = variants(space, 1)[0]
    prediction = predict(model, ops, SHAPE)
    assert prediction.how == "composed"
    memory = prediction.memory
    assert memory["session_mib"] == pytest.approx(
        memory["weights_mib"] + memory["activations_mib"] + memory["unexplained_mib"]
    )
    assert prediction.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert sum(node["parameters"] for node in prediction.nodes) == prediction.parameters
    assert sum(node["flops"] for node in prediction.nodes) == prediction.flops
    assert prediction.resident_mib > prediction.memory_mib
    as_dict = json.loads(json.dumps(prediction.to_dict()))
    assert as_dict["memory_mib"] == pytest.approx(prediction.memory_mib)
    assert as_dict["size_mb"] == pytest.approx(prediction.size_mb)


@pytest.mark.parametrize("example", ["resnet", "mobilenetv3"])
def test_memory_over_a_whole_space_agrees_with_single_predictions(example: str, tmp_path: Path, repository: Path,
                                                                  load_file) -> None:
    folder, net = tmp_path / "ops", load_file(f"examples/{example}/space.py")
    generate_ops_list(repository / f"examples/{example}/ops.yaml", folder)
    meter_ops(folder, times=1, progress=lambda _: None)
    found = LatencySpace(net.build, net.SLOTS, SHAPE, folder)
    assert found.memory_error < 0.01
    rows = found.sample(12, seed=5)
    bounds = found.sums(rows, ["memory_mib"])[:, 0]
    for row, mib, most in zip(rows, found.memory_mib(rows), bounds, strict=True):
        one = predict(net.build(found.configuration(row)).eval(), folder, SHAPE)
        assert mib == pytest.approx(one.memory_mib, rel=0.01)
        assert most >= one.memory_mib - 1e-9


FRESH = r"""
import ctypes, re, sys
import MNN
import numpy as np

def memory():
    text = open("/proc/self/status").read()
    return [int(re.search(name + r":\s+(\d+)", text)[1]) / 1024 for name in ("VmRSS", "VmHWM")]

shape = [int(extent) for extent in sys.argv[2].split(",")]
data = np.ones(shape, np.float32)
given = MNN.Tensor(shape, MNN.Halide_Type_Float, data, MNN.Tensor_DimensionType_Caffe)
ctypes.CDLL(None).malloc_trim(0)
open("/proc/self/clear_refs", "w").write("5")
before = memory()[0]
interpreter = MNN.Interpreter(sys.argv[1])
session = interpreter.createSession({"numThread": 1, "precision": "high"})
interpreter.getSessionInput(session).copyFrom(given)
interpreter.runSession(session)
print("grown", *[value - before for value in memory()])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what a freed piece leaves is known of glibc only")
def test_resident_memory_and_its_peak_against_a_fresh_process(tmp_path: Path) -> None:
    layers = [nn.Conv2d(128, 128, 3, padding=1), nn.Conv2d(128, 384, 3, padding=1), nn.Conv2d(384, 384, 3, padding=1)]
    model, shape = nn.Sequential(*layers).eval(), [1, 128, 28, 28]
    scan(model, shape, tmp_path / "ops")
    meter_ops(tmp_path / "ops", times=1, progress=lambda _: None)
    prediction = predict(model, tmp_path / "ops", shape)
    [file] = export_models({"net": model}, shape, tmp_path)
    command = [sys.executable, "-c", FRESH, str(file), ",".join(map(str, shape))]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    resident, peak = map(float, output.split("grown")[1].split()[:2])
    assert peak > resident + 20  # The second copy of the last weights.
    assert prediction.resident_mib == pytest.approx(resident, rel=0.05)
    assert prediction.peak_mib == pytest.approx(peak, rel=0.05)
    rows = {row["context"]: row for row in read_journal(tmp_path / "ops")}
    assert all(0 < row["resident_mib"] < row["peak_mib"] for row in rows.values())


def test_search_spaces_know_and_bound_memory_and_size(ops: Path, space) -> None:
    slots = dict(list(space.SLOTS.items())[:3])
    rest = {slot: choices[0] for slot, choices in list(space.SLOTS.items())[3:]}
    found = LatencySpace(lambda config: space.build({**config, **rest}), slots, SHAPE, ops)
    rows = found.sample(6, seed=2)
    memory, bound = found.memory_mib(rows), found.sums(rows, ["memory_mib", "size_mb", "parameters", "flops"])
    assert found.memory_error < 0.05
    for row, mib, (most, size_mb, parameters, flops) in zip(rows, memory, bound, strict=True):
        one = predict(space.build({**found.configuration(row), **rest}).eval(), ops, SHAPE)
        assert mib == pytest.approx(one.memory_mib, rel=0.05)
        assert most >= mib - 1e-9
        assert size_mb == pytest.approx(one.size_mb, rel=1e-6)
        assert parameters == one.parameters
        assert flops == one.flops
    limit = float(np.median(bound[:, 0]))
    answer = found.fastest(5, limits={"memory_mib": limit, "size_mb": float(bound[:, 1].max())})
    assert len(answer.rows) > 0
    assert (found.memory_mib(answer.rows) <= limit + 1e-9).all()


def test_tables_of_older_versions_say_that_memory_is_not_known(tmp_path: Path) -> None:
    kind = KINDS["linear, layer norm"]
    model = measured(kind, tmp_path)
    journal = tmp_path / "latency.jsonl"
    lines = []
    from mmt._core import base

    for line in journal.read_text().splitlines():
        record = json.loads(line)
        del record["sum"]
        for kernel in record.get("kernels", []):
            kernel.pop("tensors", None)
        text = json.dumps(record, separators=(",", ":"))[:-1]
        lines.append(f'{text},"sum":"{base.sha256_hex(text.encode())[:16]}"}}' if hasattr(base, "sha256_hex") else "")
    if not all(lines):
        pytest.skip("this build does not export its hash")
    journal.write_text("\n".join(lines) + "\n")
    prediction = predict(model, tmp_path, kind.shapes, exact=False)
    assert not prediction.memory["known"]
    assert math.isnan(prediction.memory_mib)
    assert "mmt meter --again" in prediction.memory["why"]
    assert prediction.to_dict()["memory_mib"] is None


def test_the_largest_moment_counts_not_the_sum(tmp_path: Path) -> None:
    model = nn.Sequential(*[nn.Sequential(nn.Conv2d(16, 16, 1), nn.Hardswish()) for _ in range(6)]).eval()
    torch.manual_seed(0)
    scan(model, [1, 16, 64, 64], tmp_path)
    meter_ops(tmp_path, times=1, progress=lambda _: None)
    composed = predict(model, tmp_path, [1, 16, 64, 64], exact=False)
    exact = predict(model, tmp_path, [1, 16, 64, 64], exact=True)
    assert composed.memory_mib == pytest.approx(exact.memory_mib, rel=0.05)
    assert composed.memory["activations_mib"] < 4 * 16 * 64 * 64 * 4 / 2**20
