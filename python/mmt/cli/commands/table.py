"""`mmt table`: looking at, exporting, checking, joining and rebuilding latency tables."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from mmt.cli import output

tables = typer.Typer(
    name="table", help="Look at, export, check, join and rebuild latency tables.", no_args_is_help=True
)

Ops = Annotated[str, typer.Argument(help="Operator folder or its latency.db.", metavar="OPS")]
Config = Annotated[
    str, typer.Option("--config", help="Configuration id (a unique beginning will do); see `mmt table configs`.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_SHOWN = {
    "operators": (
        "class_name",
        "parameters",
        "input_shapes",
        "context",
        "average_us",
        "minimum_us",
        "maximum_us",
        "hot_median_us",
        "cold_median_us",
        "status",
        "flags",
    ),
    "kernels": ("text", "hot_us", "hot_se_us", "cold_us", "cold_se_us", "sources", "flags"),
    "operator_kernels": ("fingerprint", "context", "position", "role", "text", "hot_median_us", "cold_median_us"),
}


class View(StrEnum):
    """What a table can be asked for."""

    operators = "operators"
    kernels = "kernels"
    operator_kernels = "operator_kernels"
    configs = "configs"


def register(app: typer.Typer) -> None:
    app.add_typer(tables)


@tables.command("show")
def show_command(
    ops: Ops,
    view: Annotated[View, typer.Argument(help="What to show.")] = View.operators,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows at most.")] = 50,
    config: Config = "",
    as_json: AsJson = False,
) -> None:
    """Shows the first rows of a table; times in microseconds. `export` gives all rows and columns."""
    import mmt.table

    if view is View.configs:
        configs_command(ops, as_json)
        return
    # One more than is shown tells whether there are more.
    rows = json.loads(mmt.table.export(ops, view.value, format="json", config_id=config, limit=limit + 1))
    if as_json:
        output.print_json(rows[:limit])
        return
    _print_rows(rows[:limit], _SHOWN[view.value])
    if len(rows) > limit:
        output.hint(f"only the first {limit} rows; --limit shows more, `mmt table export` gives all")


@tables.command("export")
def export_command(
    ops: Ops,
    view: Annotated[View, typer.Argument(help="What to export.")] = View.operators,
    as_csv: Annotated[bool, typer.Option("--csv", help="As comma-separated values (the default).")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, one object per row.")] = False,
    file: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write to this file instead of the terminal.")
    ] = None,
    config: Config = "",
) -> None:
    """Writes every row and column of a table; the names are those of the database."""
    import mmt.table

    if as_csv and as_json:
        raise typer.BadParameter("--csv or --json, not both")
    text = mmt.table.export(ops, view.value, format="json" if as_json else "csv", file=file, config_id=config)
    if file is None:
        typer.echo(text, nl=False)


@tables.command("configs")
def configs_command(ops: Ops, as_json: AsJson = False) -> None:
    """Lists the configurations (device, engine, threads, …) that a table holds. They never mix."""
    import mmt.table

    found = mmt.table.configs(ops)
    if as_json:
        output.print_json(found)
        return
    from rich.table import Table

    table = Table()
    for name in (
        "config",
        "device",
        "cpu",
        "engine",
        "backend",
        "threads",
        "precision",
        "operators",
        "kernels",
        "run us",
        "kernel us",
        "since",
    ):
        table.add_column(name, overflow="fold")
    for row in found:
        run = row["run"]
        table.add_row(
            row["config_id"],
            run["device"],
            run["cpu"],
            f"{run['engine']} {run['engine_version']} {run['engine_build']}",
            run["backend"],
            str(run["threads"]),
            run["precision"],
            str(row["operators"]),
            str(row["kernels"]),
            f"{row['run_overhead_us']:.2f}",
            f"{row['kernel_overhead_us']:.3f}",
            run["started_at"],
        )
    output.console().print(table)


@tables.command("check")
def check_command(ops: Ops, as_json: AsJson = False) -> None:
    """Looks through table, journal, manifest and model files. Exit code 1: something is wrong."""
    import mmt.table

    found = mmt.table.check(ops)
    if as_json:
        output.print_json(found)
    else:
        for finding in found["findings"]:
            typer.echo(f"{finding['severity']}: {finding['kind']}: {finding['subject']}: {finding['text']}")
        typer.echo(
            f"{found['operators']} operators, {found['measurements']} measurements, {found['kernels']} kernels, "
            f"{len(found['configs'])} configuration(s): {'fine' if found['ok'] else 'not fine'}"
        )
    if not found["ok"]:
        raise typer.Exit(1)


@tables.command("merge")
def merge_command(
    target: Annotated[
        str, typer.Argument(help="The folder to merge into; made where it does not exist.", metavar="TARGET")
    ],
    sources: Annotated[list[str], typer.Argument(help="Folders to take over.", metavar="SOURCES…")],
    as_json: AsJson = False,
) -> None:
    """Takes operators and measurements of other folders over. Of two measurements of the same, the later one stays."""
    import mmt.table

    report = mmt.table.merge(target, sources)
    if as_json:
        output.print_json(report)
        return
    typer.echo(
        f"{report['profiles']} measurements taken over, {report['skipped']} were there already; "
        f"{report['operators']} new operators, {report['files']} model files copied"
    )


@tables.command("rebuild")
def rebuild_command(ops: Ops, as_json: AsJson = False) -> None:
    """Folds manifest and journal into a new latency.db. Opening a table does this by itself where it is needed.

    Exit code 1: some rows failed.
    """
    import mmt.table

    report = mmt.table.build_table(ops)
    if as_json:
        output.print_json(report)
    else:
        dropped = f", {report['dropped_lines']} damaged journal lines dropped" if report["dropped_lines"] else ""
        typer.echo(
            f"{report['operators']} operators, {report['kernels']} kernels, {report['failed']} failed{dropped}; "
            f"configurations: {', '.join(report['configs']) or 'none'}"
        )
    if report["failed"]:
        raise typer.Exit(1)


def _print_rows(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    from rich.table import Table

    numeric = {name for name in columns if any(isinstance(row[name], (int, float)) for row in rows)}
    several = len({row["config_id"] for row in rows}) > 1
    shown = (("config_id",) if several else ()) + columns
    table = Table()
    for name in shown:
        table.add_column(name.replace("_", " "), justify="right" if name in numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in shown))
    output.console().print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.2f}"
    return value if isinstance(value, str) else json.dumps(value)
