"""`mmt doctor`: verdicts over made-up machines, and the command on this one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from mmt.cli import health
from mmt.cli.app import app
from mmt.cli.commands import doctor

runner = CliRunner()

CALM: dict[str, Any] = {
    "governor": "performance", "turbo": 0, "smt": 0, "virtualised": 0, "cpus_online": 4, "cpu_quota": 0.0,
    "load_1min": 0.1, "memory_available_bytes": 8 << 30, "temperatures": [], "cpus": [],
}
INSTALLED: dict[str, Any] = {
    "torch": "2.13.0", "onnx": "1.18.0",
    "wheel": {"version": "3.6.1", "supported": True, "supported_versions": ("3.6.1",)},
    "engine": {"name": "mnn", "version": "3.6.1", "build": "wheel 1a2b", "backend": "cpu", "threads": 1,
               "build_flags_text": "MNN_AVX2"},
    "engine_error": "",
}


def judged(steal: float = 0.0, busy: float = 0.0, timer_ns: int = 30, **changes: Any) -> dict[str, health.Finding]:
    return {finding.subject: finding for finding in health.judge_host(CALM | changes, steal, busy, timer_ns)}


def test_a_calm_machine_is_stable() -> None:
    findings = [*judged().values(), *health.judge_install(INSTALLED)]
    assert {finding.level for finding in findings} == {"ok"}
    assert health.verdict(findings) == ("stable", "A stable measurement can be expected here.")


@pytest.mark.parametrize(("changes", "subject", "level"), [
    ({"steal": 0.05}, "steal", "warning"),
    ({"steal": 0.15}, "steal", "bad"),
    ({"steal": -1.0}, "steal", "note"),
    ({"busy": 0.2}, "other load", "warning"),
    ({"busy": 0.9}, "other load", "bad"),
    ({"governor": "powersave"}, "governor", "warning"),
    ({"governor": "performance,schedutil"}, "governor", "warning"),
    ({"governor": ""}, "governor", "note"),
    ({"turbo": 1}, "turbo", "note"),
    ({"cpu_quota": 0.5}, "processors", "bad"),
    ({"cpu_quota": 2.5}, "processors", "note"),
    ({"virtualised": 1}, "machine", "note"),
    ({"timer_ns": 15000}, "timer", "warning"),
    ({"memory_available_bytes": 1 << 30}, "memory", "warning"),
    ({"temperatures": [{"name": "cpu", "celsius": 95.0}]}, "temperature", "warning"),
    ({"cpus": [{"limit_mhz": 1200.0, "max_mhz": 3000.0}]}, "frequency", "warning"),
])
def test_what_disturbs_is_named(changes: dict[str, Any], subject: str, level: str) -> None:
    findings = judged(**changes)
    assert findings[subject].level == level
    if level in ("warning", "bad"):
        assert findings[subject].cure
    expected = {"bad": "unstable", "warning": "noisy", "note": "stable"}[level]
    word, sentence = health.verdict(list(findings.values()))
    assert word == expected
    assert level == "note" or subject in sentence


@pytest.mark.parametrize(("changes", "subject", "level"), [
    ({"torch": None}, "PyTorch", "missing"),
    ({"wheel": {"version": None, "supported": False, "supported_versions": ("3.6.1",)}}, "MNN", "missing"),
    ({"wheel": {"version": "2.0.0", "supported": False, "supported_versions": ("3.6.1",)}}, "MNN", "missing"),
    ({"engine": None, "engine_error": "plugin: not built"}, "engine", "missing"),
    ({"onnx": None}, "onnx", "note"),
])
def test_what_is_missing_is_named(changes: dict[str, Any], subject: str, level: str) -> None:
    [finding] = [finding for finding in health.judge_install(INSTALLED | changes) if finding.subject == subject]
    assert finding.level == level
    assert health.verdict([finding])[0] == ("incomplete" if level == "missing" else "stable")


def test_the_command_on_this_machine() -> None:
    shown = runner.invoke(app, ["doctor", "--seconds", "0.1", "--no-engine", "--json"])
    found = json.loads(shown.stdout)
    assert shown.exit_code == (1 if found["verdict"] == "incomplete" else 0)
    assert found["versions"]["torch"]
    assert found["host"]["cpus_online"] >= 1
    assert -1 <= found["steal_share"] <= 1
    text = runner.invoke(app, ["doctor", "--seconds", "0.1", "--no-engine"]).stdout
    assert "PyTorch" in text
    assert "steal" in text


def test_the_engine_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    import mmt.engine.default as default
    from mmt.errors import mmt_error

    def none(*_: object) -> object:
        raise mmt_error("not_found", "plugin.so: the engine plugin is missing")

    monkeypatch.setattr(default, "default_engine", none)
    assert doctor.read_install()["engine_error"] == "plugin.so: the engine plugin is missing"
    shown = runner.invoke(app, ["doctor", "--seconds", "0.1"])
    assert shown.exit_code == 1
    assert "Parts are missing: engine." in shown.stdout


def test_watching_reads_shares_of_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    from mmt._core import base

    readings = [{"total": 100, "idle": 50, "steal": 0}, {"total": 300, "idle": 150, "steal": 20}]
    monkeypatch.setattr(base, "cpu_times", lambda: readings.pop(0))
    assert doctor.watch(0.0) == (0.1, 0.5)
    readings = [{"total": -1, "idle": -1, "steal": -1}] * 2
    assert doctor.watch(0.0) == (-1.0, -1.0)
