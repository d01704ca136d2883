"""`mmt doctor`: what is installed, which engine, and whether a stable measurement can be expected here."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from dataclasses import asdict
from typing import Annotated, Any

import typer

from mmt.cli import output

_MARKS = {"ok": "[green]ok[/]", "note": "note", "warning": "[yellow]warning[/]", "bad": "[red]bad[/]",
          "missing": "[red]missing[/]"}
_ENGINE_FACTS = ("name", "version", "build", "backend", "threads", "library")


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor_command)


def doctor_command(
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="How long to watch the machine.")] = 1.0,
    no_engine: Annotated[bool, typer.Option("--no-engine", help="Do not start the engine.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Says what is installed, which engine runs, what disturbs measurements here and how to mend it.

    Exit code 1: a part is missing.
    """
    from mmt import __version__
    from mmt._core import base
    from mmt.cli import health

    install = read_install(start_engine=not no_engine)
    steal, busy = watch(seconds)  # After the engine's start, which is not somebody else's load.
    host = base.host_facts()
    findings = health.judge_install(install)
    findings += health.judge_host(host, steal, busy, base.timer_resolution_ns())
    word, sentence = health.verdict(findings)
    versions = {"mmt": __version__, "python": platform.python_version(), "torch": install["torch"],
                "mnn": install["wheel"]["version"], "onnx": install["onnx"]}
    if as_json:
        output.print_json({
            "verdict": word, "summary": sentence, "versions": versions, "engine": install["engine"], "host": host,
            "steal_share": steal, "busy_share": busy, "timer_resolution_ns": base.timer_resolution_ns(),
            "findings": [asdict(finding) for finding in findings]})
    else:
        _print(host, versions, findings, sentence)
    if word == "incomplete":
        raise typer.Exit(1)


def read_install(start_engine: bool = True) -> dict[str, Any]:
    """Versions of what MMT stands on and the facts of the engine, or why there is none."""
    from mmt._core import engine as _engine
    from mmt.engine.default import default_engine, wheel_info
    from mmt.errors import MmtError

    facts: dict[str, Any] = {"torch": _version("torch"), "onnx": _version("onnx"), "wheel": wheel_info(),
                             "engine": None, "engine_error": ""}
    if start_engine:
        try:
            engine = default_engine().facts
            facts["engine"] = {name: getattr(engine, name) for name in _ENGINE_FACTS} | {
                "build_flags": dict(_engine.build_flag_list(engine.build_flags)) or None,
                "build_flags_text": _engine.build_flags_text(engine.build_flags),
                "code": _engine.code_paths(engine.library)}
        except MmtError as error:
            facts["engine_error"] = str(error)
    return facts


def watch(seconds: float) -> tuple[float, float]:
    """Shares of the processors' time that was stolen and that was not idle meanwhile; -1 where unreadable."""
    from mmt._core import base

    before = base.cpu_times()
    time.sleep(seconds)
    after = base.cpu_times()
    return base.steal_share(before, after), base.busy_share(before, after)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _print(host: dict[str, Any], versions: dict[str, Any], findings: list[Any], sentence: str) -> None:
    from rich.markup import escape
    from rich.table import Table

    console = output.console()
    caches = ", ".join(f"L{level} {host[key] / 1024:,.0f} KiB" for level, key in
                       (("1d", "l1d_bytes"), ("2", "l2_bytes"), ("3", "l3_bytes")) if host[key] > 0)
    system = ", ".join(host[name] for name in ("os", "kernel", "architecture") if host[name])
    typer.echo(f"mmt {versions['mmt']}, Python {versions['python']}, {system}")
    typer.echo(f"{host['cpu_model'] or 'unknown processor'} ({caches or 'caches unreadable'})")
    table = Table(show_header=False, box=None, pad_edge=False)
    for finding in findings:
        cure = f"\n→ {escape(finding.cure)}" if finding.cure else ""
        table.add_row(_MARKS[finding.level], finding.subject, escape(finding.text) + cure)
    console.print(table)
    typer.echo(sentence)
