"""Judging a machine: whether a stable measurement can be expected on it, and what would help.

Pure functions over the facts that `mmt._core.base` reads, so that every verdict can be tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Finding", "judge_host", "judge_install", "verdict"]

# Shares of the CPU time of one second.
_STEAL_NOTICED, _STEAL_BAD = 0.01, 0.10
_BUSY_NOTICED, _BUSY_BAD = 0.15, 0.50
_COARSE_TIMER_NS = 1000
_HOT_CELSIUS = 85.0
_LITTLE_MEMORY_BYTES = 2 << 30


@dataclass(frozen=True)
class Finding:
    """One line of the report. `level`: "ok", "note" (worth knowing), "warning" (more noise), "bad" (no stable
    measurement now), "missing" (a part that is needed is not there). `cure`: what to do, "" where there is nothing."""

    level: str
    subject: str
    text: str
    cure: str = ""


def judge_install(facts: dict[str, Any]) -> list[Finding]:
    """What is installed. `facts`: torch, onnx (versions or None), wheel (engine.default.wheel_info), engine (facts or
    None) and engine_error."""
    findings = []
    if facts["torch"]:
        findings.append(Finding("ok", "PyTorch", facts["torch"]))
    else:
        findings.append(Finding("missing", "PyTorch", "not installed; metering works, converting and predicting torch "
                                "models does not", "pip install torch==2.13.0"))
    wheel = facts["wheel"]
    if wheel["version"] is None:
        findings.append(Finding("missing", "MNN", "its Python wheel is not installed; it converts and runs operators",
                                f"pip install MNN=={wheel['supported_versions'][-1]}"))
    elif not wheel["supported"]:
        findings.append(Finding("missing", "MNN", f"version {wheel['version']} is not one of the supported "
                                f"{', '.join(wheel['supported_versions'])}",
                                f"pip install MNN=={wheel['supported_versions'][-1]}"))
    else:
        findings.append(Finding("ok", "MNN", f"wheel {wheel['version']}"))
    if facts["engine"]:
        engine = facts["engine"]
        findings.append(Finding("ok", "engine", f"{engine['name']} {engine['version']}, {engine['build']}, backend "
                                f"{engine['backend']}, threads {engine['threads']}"))
        findings.append(Finding("ok", "engine's build", _build_text(engine)))
    elif facts["engine_error"]:
        findings.append(Finding("missing", "engine", facts["engine_error"]))
    if facts["onnx"]:
        findings.append(Finding("ok", "onnx", f"{facts['onnx']} (for modules that only PyTorch's exporter knows)"))
    else:
        findings.append(Finding("note", "onnx", "not installed; only modules that MMT's own graph writer does not know "
                                "need it", "pip install onnx==1.18.0"))
    return findings


def _build_text(engine: dict[str, Any]) -> str:
    """What is known of how the engine was compiled; what is unknown is said to be."""
    code = engine.get("code") or {}
    parts = [f"flags {engine['build_flags_text']}"]
    for found, word in (("yes", "has code for"), ("no", "has none for"), ("unknown", "not known:")):
        names = [name for name, value in code.items() if value == found]
        if names:
            parts.append(f"{word} {', '.join(names)}")
    return "; ".join(parts)


def judge_host(host: dict[str, Any], steal: float, busy: float, timer_ns: int) -> list[Finding]:
    """What will disturb a measurement. `host`: host_facts(); `steal`, `busy`: shares over a second, -1 unreadable."""
    return [*_load(host, steal, busy), *_frequency(host), *_resources(host, timer_ns)]


def _load(host: dict[str, Any], steal: float, busy: float) -> list[Finding]:
    findings = []
    if steal < 0:
        findings.append(Finding("note", "steal", "unreadable"))
    elif steal >= _STEAL_NOTICED:
        findings.append(Finding("bad" if steal >= _STEAL_BAD else "warning", "steal",
                                f"the hypervisor took {steal:.1%} of the CPU time in the last second",
                                "measure when the neighbours are quiet, or on a dedicated machine; rounds with steal "
                                "are measured again"))
    else:
        findings.append(Finding("ok", "steal", f"{steal:.1%} over the last second"))
    if busy < 0:
        findings.append(Finding("note", "other load", "unreadable"))
    elif busy >= _BUSY_NOTICED:
        findings.append(Finding("bad" if busy >= _BUSY_BAD else "warning", "other load",
                                f"other programs used {busy:.0%} of the processors in the last second (load "
                                f"{host['load_1min']:.2f})", "stop them (top shows which), then measure"))
    else:
        findings.append(Finding("ok", "other load", f"{busy:.0%} of the processors over the last second"))
    return findings


def _frequency(host: dict[str, Any]) -> list[Finding]:
    findings = []
    governor = host["governor"]
    if not governor:
        findings.append(Finding("note", "governor", "unreadable" + (", as usual in a virtual machine; the host decides"
                                                                    if host["virtualised"] == 1 else "")))
    elif set(governor.split(",")) == {"performance"}:
        findings.append(Finding("ok", "governor", governor))
    else:
        findings.append(Finding("warning", "governor", f"{governor}: the frequency follows the load",
                                "sudo cpupower frequency-set -g performance"))
    if host["turbo"] == 1:
        findings.append(Finding("note", "turbo", "on: speed depends on temperature and on the other cores",
                                "switch it off in the firmware or under /sys/devices/system/cpu for the least noise"))
    held_back = [cpu for cpu in host["cpus"] if 0 < cpu["limit_mhz"] < 0.95 * cpu["max_mhz"]]
    if held_back:
        limit, most = held_back[0]["limit_mhz"], held_back[0]["max_mhz"]
        findings.append(Finding("warning", "frequency", f"{len(held_back)} processors are held at {limit:.0f} of "
                                f"{most:.0f} MHz", "let the device cool down, leave power saving"))
    hottest = max(host["temperatures"], key=lambda sensor: sensor["celsius"], default=None)
    if hottest and hottest["celsius"] >= _HOT_CELSIUS:
        findings.append(Finding("warning", "temperature", f"{hottest['name']} has {hottest['celsius']:.0f} °C",
                                "let the device cool down; mmt meter --cooldown waits for it"))
    return findings


def _resources(host: dict[str, Any], timer_ns: int) -> list[Finding]:
    findings = []
    cpus, quota = host["cpus_online"], host["cpu_quota"]
    if 0 < quota < 1:
        findings.append(Finding("bad", "processors", f"a container limit allows {quota:g} of a processor: runs are "
                                "stopped in the middle", "allow at least one whole processor"))
    elif 0 < quota < cpus:
        findings.append(Finding("note", "processors", f"{cpus} online, {quota:g} allowed by a container limit; use at "
                                f"most {int(quota)} threads"))
    else:
        findings.append(Finding("ok", "processors", f"{cpus} online" + (
            ", some share cores: threads slow each other down" if host["smt"] == 1 else "")))
    if host["virtualised"] == 1:
        findings.append(Finding("note", "machine", "virtual: neighbours on the host are felt; steal is watched"))
    if timer_ns > _COARSE_TIMER_NS:
        findings.append(Finding("warning", "timer", f"steps of {timer_ns} ns are coarse for kernels of a microsecond",
                                "use a kernel with a TSC or architectural clock source"))
    else:
        findings.append(Finding("ok", "timer", f"steps of {timer_ns} ns"))
    available = host["memory_available_bytes"]
    if 0 <= available < _LITTLE_MEMORY_BYTES:
        findings.append(Finding("warning", "memory", f"only {available / 2**30:.1f} GiB free; fewer operators are held "
                                "open at once", "stop other programs"))
    return findings


def verdict(findings: list[Finding]) -> tuple[str, str]:
    """("stable" | "noisy" | "unstable" | "incomplete", one sentence)."""
    levels = {finding.level for finding in findings}
    named = ", ".join(finding.subject for finding in findings if finding.level in ("warning", "bad", "missing"))
    if "missing" in levels:
        parts = ", ".join(finding.subject for finding in findings if finding.level == "missing")
        return "incomplete", f"Parts are missing: {parts}."
    if "bad" in levels:
        return "unstable", f"No stable measurement can be expected here now ({named})."
    if "warning" in levels:
        return "noisy", f"Measurements will work, with more noise than necessary ({named}); noisy rows will be flagged."
    return "stable", "A stable measurement can be expected here."
