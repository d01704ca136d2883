"""`mmt predict`: the latency of a model, from a table."""

from __future__ import annotations

from typing import Annotated

import typer

from mmt.cli import options, output


def register(app: typer.Typer) -> None:
    app.command("predict")(predict_command)


def predict_command(
    ops: options.Ops,
    model: Annotated[str, typer.Argument(help="models.py:resnet18, package.module:Class, model.onnx or model.mnn.")],
    input_shape: options.Shapes = None,
    dtype: options.Dtypes = None,
    exact: Annotated[bool, typer.Option("--exact", help="Read the engine's schedule of the converted model.")] = False,
    composed: Annotated[
        bool, typer.Option("--composed", help="Compose from operators only, even where unsure.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Fail where anything is not in the table.")] = False,
    calibration: Annotated[
        str | None, typer.Option("--calibration", help="Correct the latency by what `mmt calibrate` wrote.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Predicts the latency of a model without running it."""
    from mmt.parser import describe_missing
    from mmt.predict import MmtError, open_table, predict, predict_file

    table = open_table(ops)
    shapes = output.parse_shapes(input_shape or [])
    if model.endswith((".onnx", ".mnn")):
        prediction = predict_file(model, table, shapes)
    else:
        from mmt.cli.loading import load_model

        if not shapes:
            raise typer.BadParameter("a torch model needs --input, for example --input 1,3,224,224")
        loaded = load_model(model).eval()
        prediction = predict(
            loaded, table, shapes, dtype=dtype or "float32", exact=True if exact else False if composed else "auto"
        )
    if strict and prediction.missing:
        raise MmtError(describe_missing(prediction, table))
    corrected = None
    if calibration is not None:
        from mmt.predictor import latency_predictor

        corrected = latency_predictor.load(table, calibration).correct(prediction)
    if as_json:
        extra = {} if corrected is None else {"calibrated_ms": corrected[0], "calibrated_interval_ms": corrected[1:]}
        output.print_json(prediction.to_dict() | extra)
    else:
        from mmt.report_text import prediction_table

        typer.echo(prediction_table(prediction, table))
        if corrected is not None:
            typer.echo(f"calibrated: {corrected[0]:.3f} ms  [{corrected[1]:.3f}, {corrected[2]:.3f}]")
