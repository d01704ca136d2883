"""`mmt meter`: measures the operators of a folder, or whole models, on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from mmt.cli import output

EXIT_SOME_FAILED = 1
EXIT_INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    app.command("meter")(meter_command)


def meter_command(
    ops: Annotated[str | None, typer.Argument(help="Operator folder: ops.json and models/.")] = None,
    models: Annotated[str | None, typer.Option("--models", help="Measure this folder's .mnn files instead.")] = None,
    times: Annotated[int, typer.Option("--times", min=1, help="At most this many samples of a quantity.")] = 100,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of the engine.")] = 1,
    budget: Annotated[str | None, typer.Option("--budget", help="The best table in this time: 30s, 10m.")] = None,
    backend: Annotated[str, typer.Option("--backend", help="cpu, opencl, vulkan, cuda, metal …")] = "cpu",
    precision: Annotated[str, typer.Option("--precision", help="normal, high, low, low_bf16.")] = "high",
    memory: Annotated[str, typer.Option("--memory", help="normal, high, low.")] = "normal",
    power: Annotated[str, typer.Option("--power", help="normal, high, low.")] = "normal",
    cpus: Annotated[str | None, typer.Option("--cpus", help="Processors to run on: 4-7, big, little.")] = None,
    cooldown: Annotated[str | None, typer.Option("--cooldown", help="How long a throttling CPU is waited for.")] = None,
    ci: Annotated[float, typer.Option("--ci", min=0, help="Stop when the median's interval is this narrow.")] = 0.01,
    only: Annotated[list[str] | None, typer.Option("--only", help="Fingerprints or parts of class names.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Measure also what the journal holds already.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Measure also what failed before.")] = False,
    device: Annotated[str | None, typer.Option("--device", help="Name of this device in the table.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of orders and inputs.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Measures on this machine; what is finished is kept, and the same command goes on where it stopped."""
    if (ops is None) == (models is None):
        raise typer.BadParameter("give an operator folder, or --models and a folder of .mnn files")
    from mmt.meter import meter_models, run_folder

    options = {"budget": budget, "backend": backend, "precision": precision, "memory": memory, "power": power,
               "cpus": cpus, "cooldown": cooldown, "target_ci": ci, "only": only or None, "again": again,
               "retry_failed": retry_failed, "device": device, "seed": seed}
    if output.is_quiet():
        options["progress"] = lambda state: None
    if ops is not None:
        report = run_folder(ops, times, threads, **options)
        if as_json:
            output.print_json(report.to_dict())
        else:
            typer.echo(report.to_text())
        if report.interrupted:
            raise typer.Exit(EXIT_INTERRUPTED)
        if report.failed:
            raise typer.Exit(EXIT_SOME_FAILED)
        return
    rows = meter_models(models, times, threads=threads, **options)
    if as_json:
        output.print_json(rows)
    else:
        _print_models(rows)
    if any(row["status"] != "ok" for row in rows):
        raise typer.Exit(EXIT_SOME_FAILED)


def _print_models(rows: list[dict[str, object]]) -> None:
    from rich.table import Table

    table = Table("model", "latency ms", "95 % interval", "cold ms", "memory MiB", "size MB", "notes")
    for row in rows:
        if row["status"] != "ok":
            table.add_row(row["name"], "failed", "", "", "", "", str(row["reason"]))
            continue
        table.add_row(row["name"], f"{row['latency_ms']:.3f}", f"{row['ci_low_ms']:.3f} – {row['ci_high_ms']:.3f}",
                      f"{row['cold_ms']:.3f}", f"{row['memory_mib']:.1f}", f"{row['size_mb']:.3f}", row["flags"])
    output.console().print(table)
