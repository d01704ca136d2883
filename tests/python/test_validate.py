"""The judge and the calibration, on real MNN with small models: what they report, not how fast the machine is."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import mmt
from mmt.meter import meter_ops
from mmt.predict import open_table, predict
from mmt.predictor import latency_predictor
from mmt.validate import validate

SHAPE = [1, 3, 32, 32]
SPACE = """
import torch
from torch import nn

SLOTS = {"width": [8, 16], "kernel": [3, 5]}


def build(config):
    torch.manual_seed(0)
    width, kernel = config["width"], config["kernel"]
    return nn.Sequential(
        nn.Conv2d(3, width, kernel, 2, kernel // 2), nn.ReLU(), nn.Conv2d(width, 16, 1), nn.Flatten(),
        nn.Linear(4096, 9),
    )
"""


def net(width: int, kernel: int) -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, width, kernel, 2, kernel // 2), nn.ReLU(), nn.Conv2d(width, 16, 1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(4096, 9)).eval()


@pytest.fixture(scope="module")
def models() -> list[tuple[str, nn.Module]]:
    return [(f"{width}-{kernel}", net(width, kernel)) for width in (8, 16) for kernel in (3, 5)]


@pytest.fixture(scope="module")
def ops(tmp_path_factory: pytest.TempPathFactory, models) -> Path:
    folder = tmp_path_factory.mktemp("validate") / "ops"
    mmt.scan([model for _, model in models], SHAPE, folder)
    meter_ops(folder, times=6, progress=lambda _: None)
    return folder


@pytest.mark.parametrize("with_ops", [False, True])
def test_the_report_holds_truth_prediction_floor_and_scale(ops: Path, models, with_ops: bool, tmp_path: Path) -> None:
    report = validate(ops, models, SHAPE, rounds=4, runs=2, with_ops=with_ops)
    assert [row.name for row in report.rows] == [name for name, _ in models]
    assert not report.failed
    for row in report.rows:
        assert row.true_us > 0
        assert row.low_us < row.predicted_us < row.high_us
        assert row.error_pct == pytest.approx(100 * (row.predicted_us / row.true_us - 1))
        assert row.inside == (row.low_us <= row.true_us <= row.high_us)
        assert row.missing == 0
        if not with_ops:
            assert row.table_us == row.predicted_us
    mape = sum(abs(row.error_pct) for row in report.rows) / len(report.rows)
    assert report.metrics["mape_pct"] == pytest.approx(mape)
    assert report.noise_floor["count"] == len(models)
    assert report.reference_scale > 0
    scaled = [100 * abs(row.now_us / row.true_us - 1) for row in report.rows]
    assert report.scaled_metrics["mape_pct"] == pytest.approx(sum(scaled) / len(scaled))
    # In the model and in the prediction stand the same kernels.
    assert all(row["in_model_count"] == row["predicted_count"] for row in report.split)
    text = report.to_text()
    assert "noise floor" in text
    assert "in the machine's state of now" in text
    report.write_csv(tmp_path / "rows.csv")
    with open(tmp_path / "rows.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [name for name, _ in models]
    assert json.loads(report.to_json())["models"][0]["true_us"] == report.rows[0].true_us


def test_models_that_cannot_be_converted_are_named_and_the_others_go_on(ops: Path, models) -> None:
    class Broken(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError("this model has no forward")

    report = validate(ops, [models[0], ("broken", Broken())], SHAPE, rounds=2, runs=1, split=False)
    assert [row.name for row in report.rows] == [models[0][0]]
    assert [failure["name"] for failure in report.failed] == ["broken"]
    assert "no forward" in report.failed[0]["reason"]


def test_a_table_with_other_threads_is_refused(ops: Path, models) -> None:
    with pytest.raises(mmt.MmtError, match="--threads 2"):
        validate(ops, models, SHAPE, threads=2)


def test_chains_of_operators_tell_of_the_cache(ops: Path) -> None:
    config = open_table(ops).config
    columns = [config[f"cache_{name}"] for name in ("bytes", "loop_us", "extra_us", "cold_extra_us")]
    assert len({len(column) for column in columns}) == 1
    assert max(columns[1]) > 0


def test_a_calibration_removes_what_all_models_have_in_common(ops: Path, models, tmp_path: Path) -> None:
    predictions = [predict(model, ops, SHAPE) for _, model in models]
    predictor = latency_predictor.from_predictions(ops, [(one, 1.1 * one.latency_ms) for one in predictions])
    assert predictor.typical_factor == pytest.approx(1.1)
    latency, low, high = predictor.correct(predictions[0])
    assert latency == pytest.approx(1.1 * predictions[0].latency_ms)
    assert low < latency < high
    predictor.save(tmp_path / "calibration.json")
    loaded = latency_predictor.load(ops, tmp_path / "calibration.json")
    assert loaded.correct(predictions[1]) == predictor.correct(predictions[1])
    assert loaded.typical_factor == predictor.typical_factor
    written = (tmp_path / "calibration.json").read_text("utf-8")
    for damaged in ("{}", "[]", "no json", written.replace('"noise"', '"nose"'), written.replace('"shares"', '"s"')):
        (tmp_path / "calibration.json").write_text(damaged, encoding="utf-8")
        with pytest.raises(mmt.MmtError, match="mmt calibrate") as caught:
            latency_predictor.load(ops, tmp_path / "calibration.json")
        assert caught.value.code == "parse"
    (tmp_path / "calibration.json").write_text(written.replace('"format": 2', '"format": 1'), encoding="utf-8")
    with pytest.raises(mmt.MmtError, match="format 1 is not 2"):
        latency_predictor.load(ops, tmp_path / "calibration.json")


def test_a_calibration_learns_the_errors_of_rows(ops: Path, models) -> None:
    """Models whose heaviest kernel is slower inside than its row says: others with that kernel are corrected more."""
    predictions = [predict(model, ops, SHAPE) for _, model in models]
    heavy = [max(one.kernels, key=lambda kernel: kernel["latency_us"])["key"] for one in predictions]

    def share(prediction):
        mine = sum(kernel["latency_us"] for kernel in prediction.kernels if kernel["key"] == heavy[0])
        return mine / prediction.latency_us

    found = latency_predictor.from_predictions(
        ops, [(one, one.latency_ms * (1 + 0.05 * share(one))) for one in predictions])
    errors = [abs(found.correct(one)[0] / (one.latency_ms * (1 + 0.05 * share(one))) - 1) for one in predictions]
    assert max(errors) < 0.01
    others = list(found.calibration.leave_one_out())
    assert len(others) == found.calibration.count == len(predictions)


def test_calibrate_and_predict_on_the_command_line(ops: Path, tmp_path: Path) -> None:
    (tmp_path / "space.py").write_text(SPACE, encoding="utf-8")
    (tmp_path / "one.py").write_text(SPACE + '\n\ndef one():\n    return build({"width": 8, "kernel": 3})\n', "utf-8")

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "mmt", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    shape = ",".join(map(str, SHAPE))
    told = run("calibrate", str(ops), "--space", "space.py:build", "--sample", "3", "--input", shape, "--rounds", "2",
               "--json")  # fmt: skip
    assert json.loads(told)["models"] == 3
    told = run("predict", str(ops), "one.py:one", "--input", shape, "--calibration", "calibration.json", "--json")
    found = json.loads(told)
    factor = found["calibrated_ms"] / found["latency_ms"]
    assert math.isfinite(factor)
    assert found["calibrated_interval_ms"][0] < found["calibrated_ms"] < found["calibrated_interval_ms"][1]
