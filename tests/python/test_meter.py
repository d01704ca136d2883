"""Metering on real MNN: a small folder, resumed, interrupted; whole models; the command."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from mmt import _core
from mmt.cli.app import app
from mmt.cli.meter_bar import state_text
from mmt.converter import export_models, generate_ops_list
from mmt.errors import MmtError
from mmt.meter import _latest_models, get_model_latency, meter_models, meter_ops, read_journal, run_folder

SPACE = """
torch.nn:
  Conv2d:
    in_channels: [8]
    out_channels: [8, 16]
    kernel_size: [3]
    input_shape: [[1, 8, 16, 16]]
  ReLU:
    no_params: true
    input_shape: [[1, 8, 16, 16]]
"""


def quiet(state: dict[str, Any]) -> None:
    """No bar."""


@pytest.fixture(scope="module")
def ops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("space")
    (folder / "ops.yaml").write_text(SPACE)
    generate_ops_list(folder / "ops.yaml", folder / "ops", workers=1)
    return folder / "ops"


@pytest.fixture
def fresh(ops: Path) -> Path:
    for name in ("latency.jsonl", "latency.db"):
        (ops / name).unlink(missing_ok=True)
    return ops


def test_services_have_no_standard_error_and_programs_one_of_their_own(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert meter_ops(fresh, times=8).measured == 6
    monkeypatch.setattr(sys, "stderr", object())  # nothing that can be asked whether it is a terminal
    assert meter_ops(fresh, times=8).skipped == 6


def test_a_folder_becomes_a_table_and_a_second_call_adds_nothing(fresh: Path) -> None:
    states: list[dict[str, Any]] = []
    report = meter_ops(fresh, times=12, progress=states.append)
    assert (report.failed, report.skipped, report.unconverted) == (0, 0, 0)
    assert report.measured == 6
    assert states[-1]["done"] == states[-1]["total"] == 6
    assert (fresh / "latency.db").exists()
    rows = read_journal(fresh)
    assert {(row["context"], row["fingerprint"]) for row in rows} == {
        (context, entry["fingerprint"])
        for entry in json.loads((fresh / "ops.json").read_text())["operators"] for context in ("plain", "packed")}
    for row in rows:
        assert row["run"]["engine"] == "mnn"
        assert row["kernels"]
        if row["context"] == "plain":
            assert 0 < row["hot"]["min_us"] <= row["hot"]["median_us"] <= row["hot"]["max_us"]
            assert 0 < row["hot"]["ci_low_us"] <= row["hot"]["ci_high_us"]
    again = meter_ops(fresh, times=12, progress=quiet)
    assert (again.measured, again.skipped) == (0, 6)
    assert len(read_journal(fresh)) == 6


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """Programs that a shell starts in the background ignore the signal, and so do their children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_keeps_what_is_finished(fresh: Path) -> None:
    def stop_soon(state: dict[str, Any]) -> None:
        signal.raise_signal(signal.SIGINT)

    calls = iter([stop_soon])
    # On a quiet machine six small operators are known well in less time than the first progress takes to come.
    long = {"times": 1_000_000, "min_times": 1_000_000, "target_ci": 0.0}
    report = run_folder(fresh, **long, progress=lambda state: next(calls, quiet)(state))
    assert report.interrupted
    assert report.measured < 6
    finished = meter_ops(fresh, times=8, progress=quiet)
    assert finished.measured + finished.skipped == 6


def test_what_the_progress_hook_raises_comes_through(fresh: Path) -> None:
    def broken(state: dict[str, Any]) -> None:
        raise ZeroDivisionError("the hook's own")

    with pytest.raises(ZeroDivisionError, match="own"):
        meter_ops(fresh, times=8, progress=broken)


def test_mistakes_are_told_before_anything_runs(fresh: Path, tmp_path: Path) -> None:
    with pytest.raises(MmtError, match="mmt generate") as missing:
        meter_ops(tmp_path)
    assert missing.value.code == "not_found"
    with pytest.raises(MmtError, match="unknown option 'tims'"):
        meter_ops(fresh, tims=3)
    with pytest.raises(MmtError, match="is no duration"):
        meter_ops(fresh, budget="soon")
    with pytest.raises(MmtError, match="no operator's fingerprint or class matches"):
        meter_ops(fresh, only="NoSuchThing", progress=quiet)


def test_whole_models_are_measured_in_milliseconds(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU())
    export_models({"small": net, "same": net}, [1, 3, 24, 24], tmp_path)
    (tmp_path / "broken.mnn").write_bytes(b"no model at all")
    rows = meter_models(tmp_path, 8, progress=quiet)
    assert [row["name"] for row in rows] == ["broken", "same", "small"]
    assert rows[0]["status"] == "failed"
    assert rows[0]["reason"]
    for row in rows[1:]:
        assert row["status"] == "ok"
        assert 0 < row["min_ms"] <= row["latency_ms"] <= row["max_ms"] < 1000
        assert row["size_mb"] * 1e6 == (tmp_path / f"{row['name']}.mnn").stat().st_size
    latency = get_model_latency(net, [1, 3, 24, 24], tmp_path / "kept", times=8, progress=quiet)
    assert 0 < latency < 1000
    assert (tmp_path / "kept" / "Sequential.mnn").exists()
    assert 0 < get_model_latency(tmp_path / "small.mnn", [1, 3, 24, 24], times=8, progress=quiet) < 1000


@pytest.mark.parametrize(
    ("flags", "chosen"),
    [(["", "few,unfinished"], 0), (["unfinished", "few,unfinished"], 1), (["unfinished", "", "few"], 2)],
)
def test_the_last_row_of_a_model_counts_but_an_unfinished_one_hides_none(flags: list[str], chosen: int) -> None:
    mine = {"config_id": "c", "context": "model", "file_sha256": "f"}
    rows = [mine | {"flags": flag, "rounds": number} for number, flag in enumerate(flags)]
    others = [mine | {"config_id": "d"}, mine | {"context": "plain"}]
    assert _latest_models(rows + others, "c") == {"f": rows[chosen]}


def test_the_command_prints_json_and_gives_exit_codes(fresh: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    result = runner.invoke(app, ["meter", str(fresh), "--times", "8", "--json", "--quiet"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["measured"] == 6
    assert report["failures"] == []

    file = next((fresh / "models").glob("*.mnn"))
    content = file.read_bytes()
    try:
        file.write_bytes(content[:-1])
        (fresh / "latency.jsonl").unlink()
        result = runner.invoke(app, ["meter", str(fresh), "--times", "8"])
        assert result.exit_code == 1
        assert "the manifest says" in result.stdout
    finally:
        file.write_bytes(content)
    assert runner.invoke(app, ["meter"]).exit_code == 2
    assert runner.invoke(app, ["meter", str(tmp_path)]).exit_code == 2


def test_manifests_are_checked(ops: Path, tmp_path: Path) -> None:
    text = _core.meter.read_manifest(str(ops))
    assert json.loads(text)["operators"] == json.loads((ops / "ops.json").read_text())["operators"]
    _core.meter.write_manifest(str(tmp_path), text)
    assert _core.meter.read_manifest(str(tmp_path)) == text
    with pytest.raises(MmtError, match="/operators/0: 'fingerprint' is missing"):
        _core.meter.write_manifest(str(tmp_path), '{"format": 1, "operators": [{}]}')


def test_a_damaged_journal_line_is_reported(fresh: Path, caplog: pytest.LogCaptureFixture) -> None:
    meter_ops(fresh, times=8, progress=quiet)
    journal = fresh / "latency.jsonl"
    lines = journal.read_text().splitlines()
    lines[2] = lines[2].replace('"fingerprint"', '"fingerprimt"', 1)
    journal.write_text("\n".join(lines) + "\n")
    assert len(read_journal(journal)) == 5
    assert "line 3: checksum differs" in caplog.text


def test_the_bar_says_what_matters() -> None:
    state = {"done": 3, "total": 9, "failed": 1, "noise": 0.008, "engine_share": 0.91, "left_s": 65.2,
             "elapsed_s": 1.0, "current": "torch.nn.ReLU [1,8]"}
    assert state_text(state) == "noise 0.8%  engine 91%  1 failed  1:05 left  torch.nn.ReLU \\[1,8]"
    assert "2:00:05 left" in state_text({**state, "left_s": 7205})


def test_field_lists_name_units() -> None:
    assert ("median_us", "us", "median") in _core.meter.SUMMARY_FIELDS
    names = [name for name, _, _ in _core.meter.PROFILE_FIELDS]
    assert len(names) == len(set(names))
