"""`mmt calibrate`: a few measured models refine the predictions of a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mmt.cli import output


def register(app: typer.Typer) -> None:
    app.command("calibrate")(calibrate_command)


def calibrate_command(
    ops: Annotated[str, typer.Argument(help="Operator folder or its latency.db.")],
    models: Annotated[list[str] | None, typer.Argument(help="models.py:resnet18 …")] = None,
    input_shape: Annotated[
        list[str] | None, typer.Option("--input", help="Shape such as 1,3,224,224; once per input.")
    ] = None,
    dtype: Annotated[list[str] | None, typer.Option("--dtype", help="Type of each input; float32 by default.")] = None,
    space: Annotated[
        str | None, typer.Option("--space", help="space.py:build, a builder; SLOTS beside it names the choices.")
    ] = None,
    sample: Annotated[int, typer.Option("--sample", help="How many configurations of the space.")] = 8,
    seed: Annotated[int, typer.Option("--seed")] = 1,
    rounds: Annotated[int, typer.Option("--rounds", help="Visits of each model.")] = 24,
    calibration: Annotated[
        Path, typer.Option("-o", "--output", help="Where the calibration is written; for `mmt predict --calibration`.")
    ] = Path("calibration.json"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measures some models here and now and writes what their predictions have to be corrected by."""
    from mmt.cli.commands.validate import models_and_samples
    from mmt.predict import open_table, predict
    from mmt.predictor import latency_predictor
    from mmt.validate import validate

    chosen = models_and_samples(models, space, sample, seed)
    shapes = output.parse_shapes(input_shape or [])
    if not shapes:
        raise typer.BadParameter("--input is needed, for example --input 1,3,224,224")
    table = open_table(ops)
    with output.progress_steps() as step:
        report = validate(
            table, chosen, shapes, dtype=dtype or "float32", rounds=rounds, seed=seed, split=False, progress=step
        )
    by_name: dict[str, Any] = dict(chosen)
    predictor = latency_predictor.from_predictions(
        table,
        [(predict(by_name[row.name], table, shapes, dtype=dtype or "float32"), row.true_us / 1e3)
         for row in report.rows],
    )  # fmt: skip
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
