"""Predictions of `.onnx` and `.mnn` files: MNN's own schedule, no PyTorch, and clear answers to bad files."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from small_models import KINDS, measured
from torch import nn

import mmt
import mmt.converter
from mmt.predict import predict, predict_file

_WITHOUT_TORCH = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ImportError("no torch here")
sys.meta_path.insert(0, Block())
from mmt.cli import main
sys.argv = ["mmt", "predict", *sys.argv[1:], "--json"]
main()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Operators of the image model, and the model itself as model.onnx and model.mnn."""
    path = tmp_path_factory.mktemp("files")
    model = measured(KINDS["batch of four"], path / "ops")
    export(model, path / "model.onnx", [4, 3, 16, 16])
    mmt_file = mmt.converter.export_models({"model": model}, [4, 3, 16, 16], path)
    assert mmt_file == [path / "model.mnn"]
    return path


def export(model: nn.Module, path: Path, shape: list[int], dynamic: bool = False) -> None:
    axes = {"x": {0: "batch", 2: "height", 3: "width"}} if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (torch.zeros(shape),), str(path), input_names=["x"], dynamic_axes=axes, dynamo=False)


def test_both_files_are_predicted_like_the_model(folder: Path) -> None:
    torch.manual_seed(0)
    whole = predict(KINDS["batch of four"].build().eval(), folder / "ops", [4, 3, 16, 16], exact=True)
    for name in ("model.mnn", "model.onnx"):
        prediction = predict_file(str(folder / name), folder / "ops")
        assert [kernel["key"] for kernel in prediction.kernels] == [kernel["key"] for kernel in whole.kernels]
        assert prediction.missing == []
        assert prediction.latency_us == pytest.approx(whole.latency_us)
        assert prediction.memory_mib == pytest.approx(whole.memory_mib, rel=1e-3)
        assert prediction.size_mb == pytest.approx(whole.size_mb, rel=0.02)


def test_missing_kernels_are_named(folder: Path, tmp_path: Path) -> None:
    other = nn.Sequential(nn.Conv2d(3, 12, 5), nn.Sigmoid()).eval()
    mmt.converter.export_models({"other": other}, [1, 3, 20, 20], tmp_path)
    prediction = predict_file(str(tmp_path / "other.mnn"), folder / "ops")
    assert {row["what"] for row in prediction.missing} >= {"Convolution"}
    assert any("kernel_x=5" in row["detail"] and "[1,12,16,16]" in row["detail"] for row in prediction.missing)
    assert "estimated" in prediction.flags


@pytest.mark.parametrize("name", ["model.mnn", "model.onnx"])
def test_the_command_needs_no_pytorch(folder: Path, name: str) -> None:
    run = subprocess.run([sys.executable, "-c", _WITHOUT_TORCH, str(folder / "ops"), str(folder / name)],
                         capture_output=True, text=True, timeout=300,
                         env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout)
    assert answer["latency_us"] > 0
    assert answer["memory_mib"] > 0
    assert answer["size_mb"] > 0


def test_shapes_that_the_file_leaves_open_are_given(folder: Path, tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    export(model.eval(), tmp_path / "open.onnx", [1, 3, 16, 16], dynamic=True)
    for size in (16, 40):
        prediction = predict_file(str(tmp_path / "open.onnx"), folder / "ops", [[2, 3, size, size]])
        convolution = next(kernel for kernel in prediction.kernels if kernel["type"] == "Convolution")
        assert f"[2,3,{size},{size}]" in convolution["text"]
        assert predict(tmp_path / "open.onnx", folder / "ops", [2, 3, size, size]).latency_us == prediction.latency_us
    with pytest.raises(mmt.MmtError, match=r"open\.onnx.*number of dimensions"):
        predict_file(str(tmp_path / "open.onnx"), folder / "ops", [[3, 16]])
    with pytest.raises(mmt.MmtError, match=r"open\.onnx.*leaves sizes open"):
        predict_file(str(tmp_path / "open.onnx"), folder / "ops")
    with pytest.raises(mmt.MmtError, match="input shape"):
        predict(model, folder / "ops")


def test_damaged_files_are_refused_by_name(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "model.mnn").read_bytes()
    generator = random.Random(1)
    bad = tmp_path / "bad.mnn"
    for size in (0, 3, 40, len(whole) // 2, len(whole) - 64):
        bad.write_bytes(whole[:size])
        with pytest.raises(mmt.MmtError, match=r"bad\.mnn.*convert the model again"):
            predict_file(str(bad), folder / "ops")
    for _ in range(40):  # Flipped bits give a prediction or an error of ours that names the file, never a crash.
        data = bytearray(whole)
        for _ in range(8):
            data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        bad.write_bytes(data)
        said = "bad.mnn"
        try:
            predict_file(str(bad), folder / "ops")
        except mmt.MmtError as error:
            said = str(error)
        assert "bad.mnn" in said
    broken = tmp_path / "broken.onnx"
    broken.write_bytes((folder / "model.onnx").read_bytes()[:200])
    with pytest.raises(mmt.MmtError, match=r"broken\.onnx"):
        predict_file(str(broken), folder / "ops")


def test_other_files_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(mmt.MmtError, match="there is no such file"):
        predict_file(str(tmp_path / "absent.mnn"), folder / "ops")
    (tmp_path / "model.tflite").write_bytes(b"x")
    with pytest.raises(mmt.MmtError, match=r"\.mnn and \.onnx"):
        predict_file(str(tmp_path / "model.tflite"), folder / "ops")
