"""Host facts, hashes, the log hook and the statistics, as Python sees them."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmt import _core
from mmt._core import base, stats


def test_hashes_equal_the_standard_library(tmp_path: Path) -> None:
    data = bytes(range(256)) * 300
    assert base.sha256_hex(data) == hashlib.sha256(data).hexdigest()
    assert base.identity_hex(data) == hashlib.sha256(data).hexdigest()[:32]
    path = tmp_path / "data.bin"
    path.write_bytes(data)
    assert base.sha256_file_hex(str(path)) == hashlib.sha256(data).hexdigest()
    with pytest.raises(_core.MmtError) as caught:
        base.sha256_file_hex(str(tmp_path / "absent"))
    assert caught.value.code == "io"
    assert "absent" in str(caught.value)


def test_host_facts_of_a_made_up_tree(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nmodel name\t: Made-up CPU\n\n")
    (tmp_path / "proc/stat").write_text("cpu  10 0 10 70 0 0 0 10 0 0\n")
    facts = base.host_facts(str(tmp_path))
    assert facts["cpu_model"] == "Made-up CPU"
    assert facts["cpus_online"] == 1
    assert facts["memory_total_bytes"] == -1
    assert facts["governor"] == ""
    assert facts["clusters"] == [{"name": "all", "cpus": [0], "max_mhz": -1.0, "capacity": -1}]
    assert base.cpu_times(root=str(tmp_path)) == {"total": 100, "idle": 70, "steal": 10}
    assert base.select_cpus("all", str(tmp_path)) == [0]


def test_this_machine() -> None:
    facts = base.host_facts()
    assert facts["hostname"]
    assert facts["cpus_online"] == len(facts["cpus"]) >= 1
    assert base.timer_resolution_ns() > 0


def test_log_hook_can_be_set_and_dropped() -> None:
    base.set_log_hook(lambda level, line: None)
    base.set_log_hook(None)


@pytest.mark.parametrize("kind", [list, tuple, np.array, lambda v: np.array(v, dtype=np.float32)])
def test_summary_takes_lists_and_arrays(kind) -> None:
    summary = stats.summarize(kind([float(v) for v in range(1, 102)]))
    assert summary["count"] == 101
    assert summary["median_us"] == 51
    assert summary["ci_low_us"] < 51 < summary["ci_high_us"]
    assert summary["noisy"] is False


def test_wrong_input_is_an_error_with_a_code() -> None:
    for values in ("text", [1.0, "x"], np.ones((2, 2)), [math.nan]):
        with pytest.raises(_core.MmtError) as caught:
            stats.summarize(values)
        assert caught.value.code == "invalid_argument"


def test_error_metrics() -> None:
    metrics = stats.error_metrics([100, 200], np.array([101.0, 190.0]))
    assert metrics["mape_pct"] == pytest.approx(3.0)
    assert metrics["bias_pct"] == pytest.approx(-2.0)
    assert metrics["within_5pct"] == 1.0
    assert metrics["spearman"] == 1.0
    assert stats.share_within([100, 100], [101, 120], 5) == 0.5
    assert stats.kendall([1, 2, 3], [3, 2, 1]) == -1.0


def test_two_way_fit_removes_a_drift() -> None:
    rng = np.random.default_rng(0)
    quantities, drift = np.array([1.0, 10.0, 100.0]), np.exp(rng.normal(0, 0.1, 8))
    rows, columns = np.meshgrid(np.arange(3), np.arange(8), indexing="ij")
    fit = stats.two_way_fit(rows.ravel(), columns.ravel(), (quantities[:, None] * drift).ravel(), 3, 8)
    np.testing.assert_allclose(fit["column_factor"], drift / np.exp(np.median(np.log(drift))), rtol=1e-6)
    np.testing.assert_allclose(fit["row_value"] / fit["row_value"][0], quantities, rtol=1e-6)
    assert fit["components"] == 1


def test_pooling_modes_and_lines() -> None:
    assert stats.pool_estimates([10.0, 50.0], [0.1, math.inf])["value"] == 10.0
    assert stats.find_modes([1.0 + i * 1e-3 for i in range(20)] + [2.0 + i * 1e-3 for i in range(20)])["bimodal"]
    line = stats.robust_line([0, 1, 2, 3, 4, 5], [1, 3, 5, 7, 9, 500])
    assert line["a"] == pytest.approx(1)
    assert line["b"] == pytest.approx(2)
    assert stats.theil_sen([0, 1, 2], [1, 3, 5])["b"] == pytest.approx(2)


def test_modules_of_the_known_api_need_no_import_of_their_own() -> None:
    code = "import mmt; mmt.converter.export_models, mmt.meter.meter_models, mmt.parser.summary_model; mmt.predictor"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
