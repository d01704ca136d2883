"""`mmt calibrate`: a few measured models refine the predictions of a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmt.cli import options, output


def register(app: typer.Typer) -> None:
    app.command("calibrate")(calibrate_command)


def calibrate_command(
    ops: options.Ops,
    models: options.Models = None,
    input_shape: options.Shapes = None,
    dtype: options.Dtypes = None,
    space: options.Space = None,
    sample: Annotated[int, typer.Option("--sample", help="How many configurations of the space.")] = 8,
    seed: options.Seed = 1,
    rounds: options.Rounds = 24,
    calibration: Annotated[
        Path, typer.Option("-o", "--output", help="Where the calibration is written; for `mmt predict --calibration`.")
    ] = Path("calibration.json"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measures some models here and now and writes what their predictions have to be corrected by."""
    from mmt.cli.models import models_and_samples
    from mmt.predict import open_table
    from mmt.predictor import latency_predictor
    from mmt.validate import validate

    chosen = models_and_samples(models, space, sample, seed)
    shapes = options.required_shapes(input_shape)
    table = open_table(ops)
    with output.progress_steps() as step:
        report = validate(
            table, chosen, shapes, dtype=dtype or "float32", rounds=rounds, seed=seed, split=False, progress=step
        )
    found = zip(report.table_predictions, report.rows, strict=True)
    pairs = [(prediction, row.true_us / 1e3) for prediction, row in found]
    predictor = latency_predictor.from_predictions(table, pairs)
    predictor.save(calibration)
    result = {
        "calibration": str(calibration),
        "models": len(report.rows),
        "mape_before_pct": report.table_metrics["mape_pct"],
        "correction": predictor.typical_factor,
        "noise_floor_pct": report.noise_floor["mape_pct"],
        "failed": report.failed,
    }
    if as_json:
        output.print_json(result)
    else:
        typer.echo(
            f"{result['models']} models measured; the table's predictions were {result['mape_before_pct']:.2f} % off "
            f"(noise floor {result['noise_floor_pct']:.2f} %), typically corrected by {result['correction']:.4f} "
            f"-> {calibration}"
        )
        for failure in report.failed:
            typer.echo(f"failed: {failure['name']}: {failure['reason']}")
    if report.failed:
        raise typer.Exit(1)
