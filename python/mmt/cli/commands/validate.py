"""`mmt validate`: predictions against models measured now."""

from __future__ import annotations

import importlib
import random
from pathlib import Path
from typing import Annotated, Any

import typer

from mmt.cli import output


def register(app: typer.Typer) -> None:
    app.command("validate")(validate_command)


def validate_command(
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
    threads: Annotated[
        int | None, typer.Option("--threads", help="Must be the table's; a check, not a choice.")
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", help="Visits of each model.")] = 24,
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
    from mmt.validate import validate

    chosen = models_and_samples(models, space, sample, seed)
    shapes = output.parse_shapes(input_shape or [])
    if not shapes:
        raise typer.BadParameter("--input is needed, for example --input 1,3,224,224")
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


def models_and_samples(models: list[str] | None, space: str | None, sample: int, seed: int) -> list[tuple[str, Any]]:
    """Named models by name, and random configurations of a search space. Raises typer.BadParameter for neither."""
    from mmt.cli.loading import load_model

    chosen: list[tuple[str, Any]] = [(name, load_model(name)) for name in models or []]
    if space is not None:
        chosen += sample_space(space, sample, seed)
    if not chosen:
        raise typer.BadParameter("name models, or a search space with --space space.py:build")
    return chosen


def sample_space(reference: str, count: int, seed: int) -> list[tuple[str, Any]]:
    """Random configurations of a builder `file.py:build` that has SLOTS (name -> choices) beside it."""
    from mmt.cli.loading import load_object

    build = load_object(reference)
    module = importlib.import_module(build.__module__)
    slots = getattr(module, "SLOTS", None)
    if not isinstance(slots, dict):
        raise typer.BadParameter(
            f"{reference}: its module has no SLOTS, a dictionary from slot names to lists of choices"
        )
    generator = random.Random(seed)
    sampled = []
    for index in range(count):
        config = {name: generator.choice(choices) for name, choices in slots.items()}
        label = ",".join(
            "-".join(str(part) for part in value) if isinstance(value, (tuple, list)) else str(value)
            for value in config.values()
        )
        sampled.append((f"{index}: {label}"[:80], build(config)))
    return sampled
