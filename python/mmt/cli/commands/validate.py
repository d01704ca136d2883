"""`mmt validate`: predictions against models measured now."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmt.cli import options, output


def register(app: typer.Typer) -> None:
    app.command("validate")(validate_command)


def validate_command(
    ops: options.Ops,
    models: options.Models = None,
    input_shape: options.Shapes = None,
    dtype: options.Dtypes = None,
    space: options.Space = None,
    sample: Annotated[int, typer.Option("--sample", help="How many configurations of the space.")] = 8,
    seed: options.Seed = 1,
    threads: Annotated[
        int | None, typer.Option("--threads", help="Must be the table's; a check, not a choice.")
    ] = None,
    rounds: options.Rounds = 24,
    exact: Annotated[bool, typer.Option("--exact", help="Predict by the engine's schedule.")] = False,
    with_ops: Annotated[
        bool,
        typer.Option("--with-ops", help="Visit the operators in the same rounds: one drift scale for table and truth."),
    ] = False,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the report as JSON.")] = None,
    csv_path: Annotated[Path | None, typer.Option("--csv", help="Write one line per model.")] = None,
    picture: Annotated[Path | None, typer.Option("--html", help="Write a page with the scatter picture.")] = None,
) -> None:
    """Measures whole models in rounds of random order, predicts them, and reports the error beside the noise floor."""
    from mmt.cli.models import models_and_samples
    from mmt.validate import validate

    chosen = models_and_samples(models, space, sample, seed)
    shapes = options.required_shapes(input_shape)
    with output.progress_steps() as step:
        report = validate(
            ops,
            chosen,
            shapes,
            dtype=dtype or "float32",
            threads=threads,
            rounds=rounds,
            seed=seed,
            exact=True if exact else "auto",
            with_ops=with_ops,
            progress=step,
        )
    typer.echo(report.to_text())
    if json_path:
        json_path.write_text(report.to_json(), encoding="utf-8")
    if csv_path:
        report.write_csv(csv_path)
    if picture:
        from mmt.report import write_validation_page

        write_validation_page(report, picture)
    if report.failed:
        raise typer.Exit(1)
