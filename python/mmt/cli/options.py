"""Options that several commands have in common: one name, one meaning, one help text."""

from __future__ import annotations

from typing import Annotated

import typer

from mmt.cli import output

__all__ = ["Dtypes", "Models", "Ops", "Rounds", "Seed", "Shapes", "Space", "required_inputs", "required_shapes"]

Ops = Annotated[str, typer.Argument(help="Operator folder or its latency.db.")]
Models = Annotated[list[str] | None, typer.Argument(help="models.py:resnet18 …")]
Shapes = Annotated[list[str] | None, typer.Option("--input", help="Shape such as 1,3,224,224; once per input.")]
Dtypes = Annotated[
    list[str] | None, typer.Option("--dtype", help="Type of each input; float32 by default.")
]  # fmt: skip
Space = Annotated[
    str | None, typer.Option("--space", help="space.py:build, a builder; SLOTS beside it names the choices.")
]
Seed = Annotated[int, typer.Option("--seed", help="Of the sample.")]
Rounds = Annotated[int, typer.Option("--rounds", help="Visits of each model.")]


def required_inputs(texts: list[str] | None) -> list[str]:
    """What --input says. Raises typer.BadParameter where it is not given."""
    if not texts:
        raise typer.BadParameter("--input is needed, for example --input 1,3,224,224")
    return texts


def required_shapes(texts: list[str] | None) -> list[list[int]]:
    """The shapes of --input. Raises typer.BadParameter where there are none."""
    return output.parse_shapes(required_inputs(texts))
