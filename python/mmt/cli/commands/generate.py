"""`mmt generate`: from an operator space to a folder of converted operators."""

from __future__ import annotations

from typing import Annotated

import typer

from mmt.cli import output


def register(app: typer.Typer) -> None:
    app.command("generate")(generate_command)


def generate_command(
    space: Annotated[str, typer.Argument(help="The operator space, a YAML file.", metavar="OPS.YAML")],
    ops: Annotated[str, typer.Argument(help="The operator folder; made where it does not exist.")],
    yes: Annotated[bool, typer.Option("--yes", help="Also for more than 100,000 operators.")] = False,
    show_dropped: Annotated[bool, typer.Option("--show-dropped", help="List every dropped combination.")] = False,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes; 0: one per core.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Converts every operator of a space; what is in the folder already is kept. Exit code 1: some failed."""
    from mmt.torch_side.generate import generate

    with output.progress_steps() as step:
        report = generate(space, ops, yes=yes, workers=workers or None,
                          progress=(lambda done, total, _: step("generating", done, total)) if step else None)
    if as_json:
        output.print_json(report.to_dict())
    else:
        for line in report.dropped.lines(show_dropped):
            typer.echo(line)
        for reason, count in report.fallback_reasons().items():
            typer.echo(f"{count} through PyTorch's exporter: {reason}")
        for failed in report.failed:
            place = f"{failed.place}: " if failed.place else ""
            typer.echo(f"{place}no model of {failed.operator}: {failed.reason}", err=True)
        typer.echo(str(report))
    if report.failed:
        raise typer.Exit(1)
