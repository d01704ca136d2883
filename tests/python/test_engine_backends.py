"""Other backends than the CPU, on an SDK build that has them: numbers, times that hold the work, and refusals.

Set MMT_TEST_SDK_PLUGIN to a plugin built against an MNN with OpenCL or Vulkan; software devices (pocl, lavapipe) do.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import mmt
from mmt._core import MmtError
from mmt.engine import Engine, EngineConfig, default_engine
from mmt.engine.default import PLUGIN_VARIABLE
from mmt.meter import meter_ops
from mmt.predict import predict


def start(backend: str, patch: pytest.MonkeyPatch) -> Engine:
    """An engine on `backend`; skips, and says why, where there is none."""
    plugin = os.environ.get("MMT_TEST_SDK_PLUGIN")
    if not plugin:
        pytest.skip("MMT_TEST_SDK_PLUGIN does not name an engine plugin built with -DMNN_ROOT=…")
    patch.setenv(PLUGIN_VARIABLE, plugin)
    try:
        return default_engine(EngineConfig(backend=backend, precision="high"))
    except MmtError as error:
        if "is not in this build of MNN, or finds no device here" not in str(error):
            raise
        pytest.skip(f"{backend}: {error}")


@pytest.fixture(params=["opencl", "vulkan"])
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, torch.Tensor, Path]:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.Hardswish(), nn.Conv2d(16, 16, 3, padding=1, groups=16)]
    layers += [nn.ReLU(), nn.Conv2d(16, 32, 1), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    layers += [nn.Linear(32, 10)]
    model, x = nn.Sequential(*layers).eval(), torch.randn(1, 3, 64, 64)
    folder = tmp_path_factory.mktemp("nets")
    mmt.converter.export_models([model], list(x.shape), folder)
    (path,) = folder.glob("*.mnn")
    return model, x, path


def test_numbers_are_those_of_torch(backend: str, network: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x, path = network
    engine = start(backend, monkeypatch)
    assert (engine.facts.backend, engine.facts.per_kernel) == (backend, False)
    (result,) = engine.open(str(path)).compute([x.numpy()])
    with torch.no_grad():
        expected = model(x).numpy().reshape(-1)
    np.testing.assert_allclose(np.asarray(result).reshape(-1), expected, atol=2e-3 * np.abs(expected).max())


def test_kernels_that_the_backend_lacks_are_counted(backend: str, network: tuple, tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    engine = start(backend, monkeypatch)
    assert engine.open(str(network[2])).desc.cpu_kernels == 0
    recurrent = nn.GRU(16, 8, batch_first=True).eval()
    (path,) = mmt.converter.export_models([recurrent], [1, 5, 16], tmp_path)
    assert engine.open(str(path)).desc.cpu_kernels == 1


def test_runs_last_until_the_work_is_done(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that did not wait would take as long for much work as for little, and reading its outputs longer."""
    engine = start(backend, monkeypatch)
    times = {}
    for name, repeats in (("little", 1), ("much", 6)):
        layers = [nn.Conv2d(3, 32, 1)] + [nn.Conv2d(32, 32, 3, padding=1) for _ in range(repeats)]
        (tmp_path / name).mkdir()
        mmt.converter.export_models([nn.Sequential(*layers).eval()], [1, 3, 48, 48], tmp_path / name)
        (path,) = (tmp_path / name).glob("*.mnn")
        session = engine.open(str(path))
        session.run(2)
        samples = session.run(3)
        before = time.perf_counter()
        session.compute([np.zeros((1, 3, 48, 48), np.float32)])
        whole_us = (time.perf_counter() - before) * 1e6
        times[name] = min(samples["run_us"])
        assert min(samples["run_us"]) > whole_us / 4, "most of the work comes after the run"
    assert times["much"] > 2 * times["little"]


def test_sessions_share_what_was_compiled(backend: str, network: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = start(backend, monkeypatch)
    took, sessions = [], []
    for _ in range(2):
        before = time.perf_counter()
        sessions.append(engine.open(str(network[2])))
        sessions[-1].run(1)
        took.append(time.perf_counter() - before)
    assert took[1] < took[0]
    assert all(session.desc.memory_mib < 64 for session in sessions)


@pytest.mark.parametrize("variable", ["OCL_ICD_VENDORS", "VK_ICD_FILENAMES"])
def test_without_a_device_nothing_runs_on_the_cpu(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = {"OCL_ICD_VENDORS": "opencl", "VK_ICD_FILENAMES": "vulkan"}[variable]
    start(backend, monkeypatch)
    monkeypatch.setenv(variable, "/nonexistent")
    with pytest.raises(MmtError, match=f"backend '{backend}' is not in this build of MNN, or finds no device here"):
        default_engine(EngineConfig(backend=backend))


def test_a_table_of_whole_runs_predicts(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start(backend, monkeypatch)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 1)).eval()
    mmt.scan(model, [1, 3, 32, 32], tmp_path / "ops")
    meter_ops(tmp_path / "ops", times=4, backend=backend)
    rows = [json.loads(line) for line in (tmp_path / "ops" / "latency.jsonl").read_text().splitlines()]
    profiles = [row for row in rows if row["type"] == "profile"]
    assert profiles
    assert all("kernels" not in row for row in profiles)
    prediction = predict(model, tmp_path / "ops", [1, 3, 32, 32])
    assert prediction.latency_us > 0
    assert not prediction.missing
    assert "whole_runs" in prediction.flags
    with pytest.raises(MmtError, match=f"measured on backend {backend}, where kernels cannot be timed"):
        predict(model, tmp_path / "ops", [1, 3, 32, 32], exact=True)
