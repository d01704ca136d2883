"""From models to their measured and predicted latency, with the calls that users of latency tables know."""

import csv

import pytest
from torch import nn

import mmt
from mmt.converter import export_models, validation
from mmt.errors import MmtError
from mmt.meter import meter_ops


def network(width):
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Flatten(), nn.Linear(width * 36, 10)).eval()


def test_exported_models_are_compared_with_their_predictions(tmp_path):
    models = {"narrow": network(4), "wide": network(8)}
    mmt.scan(models.values(), [1, 3, 8, 8], tmp_path / "ops", "group", workers=1)
    meter_ops(tmp_path / "ops", times=3)
    export_models(models, [1, 3, 8, 8], tmp_path / "models")
    report = validation(tmp_path / "models", tmp_path / "ops", tmp_path / "rows.csv", rounds=3, runs=1)
    assert [row.name for row in report.rows] == ["narrow", "wide"]
    assert all(row.true_us > 0 and row.predicted_us > 0 for row in report.rows)
    assert all(row.missing == 0 for row in report.rows)
    with open(tmp_path / "rows.csv", newline="") as file:
        assert [line["name"] for line in csv.DictReader(file)] == ["narrow", "wide"]
    assert "narrow" in report.to_text()
    (tmp_path / "empty").mkdir()
    with pytest.raises(MmtError, match="empty"):
        validation(tmp_path / "empty", tmp_path / "ops")
