"""`mmt report`: self-contained HTML pages of tables, predictions and validations, and traces of predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmt.cli import output


def register(app: typer.Typer) -> None:
    app.command("report")(report_command)


def report_command(
    source: Annotated[
        str,
        typer.Argument(
            help="Operator folder, its latency.db, or a JSON file that --json wrote.", metavar="OPS|FILE.json"
        ),
    ],
    file: Annotated[Path, typer.Option("-o", "--output", help="The page to write.")] = Path("report.html"),
    trace: Annotated[
        bool, typer.Option("--trace", help="Write a trace (for Perfetto) of a prediction's JSON instead of a page.")
    ] = False,
    config: Annotated[str, typer.Option("--config", help="Configuration id, where a table holds several.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows of each table at most.")] = 2000,
    as_json: Annotated[bool, typer.Option("--json", help="Print where the page is as JSON.")] = False,
) -> None:
    """Writes a self-contained HTML page of a latency table, a prediction, a validation, or other data."""
    from mmt import report

    if Path(source).suffix == ".json":
        try:
            data = Path(source).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise typer.BadParameter(f"{source}: cannot be read: {error}") from None
        text = report.chrome_trace(data) if trace else report.page(data)
    elif trace:
        raise typer.BadParameter("--trace takes the JSON of a prediction: mmt predict … --json > prediction.json")
    else:
        text = report.table_page(source, config, limit)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{file}: cannot be written: {error.strerror}") from None
    if as_json:
        output.print_json({"file": str(file.resolve()), "size_bytes": file.stat().st_size})
    else:
        typer.echo(f"{file} written ({file.stat().st_size / 1024:.0f} KiB)")
