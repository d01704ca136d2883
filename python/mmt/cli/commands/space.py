"""`mmt space`: what an operator space holds, before anything is converted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmt.cli import output

if TYPE_CHECKING:
    from mmt.space import Examination

_SHOWN = 5  # Of lists that may be long.


def register(app: typer.Typer) -> None:
    app.command("space")(space_command)


def space_command(
    path: Annotated[str | None, typer.Argument(help="The operator space, a YAML file.", metavar="OPS.YAML")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of the format and stop.")] = False,
    no_build: Annotated[bool, typer.Option("--no-build", help="Count only; import and build nothing.")] = False,
    times: Annotated[int, typer.Option("--times", min=1, help="Samples that the metering estimate assumes.")] = 100,
    show_dropped: Annotated[bool, typer.Option("--show-dropped", help="List every dropped combination.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Also for more than 100,000 operators.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Counts a space, builds each operator without computing, and says what is dropped, double or does not chain."""
    import mmt.space

    if schema:
        typer.echo(mmt.space.schema_json(), nl=False)
        return
    if path is None:
        raise typer.BadParameter("name the YAML file, for example: mmt space ops.yaml")
    space = mmt.space.load(path)
    summary = mmt.space.summary(space)
    examination = None
    if not no_build:
        mmt.space.check_size(space, yes)
        resolved = mmt.space.resolve(space)
        with output.progress_steps() as step:
            examination = mmt.space.examine(
                resolved, times=times, yes=yes,
                progress=(lambda done, total: step("building", done, total)) if step else None)
    if as_json:
        output.print_json({**summary, "examination": examination.to_json() if examination else None})
        return
    _print_summary(summary)
    if examination:
        _print_examination(examination, times, show_dropped)


def _print_summary(summary: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(title=summary["source"], title_justify="left")
    table.add_column("class")
    for name in ("operators", "groups", "shapes"):
        table.add_column(name, justify="right")
    table.add_column("values per parameter")
    for one in summary["classes"]:
        values = ", ".join(f"{name} {count}" for name, count in one["parameters"].items())
        table.add_row(one["name"], f"{one['operators']:,}", str(one["groups"]), str(one["shapes"]), values)
    table.add_section()
    table.add_row("all", f"{summary['operators']:,}")
    output.console().print(table)


def _print_examination(found: Examination, times: int, show_dropped: bool) -> None:
    lines = [f"{found.usable:,} different operators can be built"
             + (f", {found.duplicates:,} are equal to another one" if found.duplicates else "")
             + (f", {found.captured:,} are captured instances" if found.captured else "")]
    lines += found.drops.lines(show_dropped)
    lines += _loose("taken by {} but made by no operator (a model's own input is among these)", found.unmade_inputs)
    lines += _loose("made by {} but taken by no operator (a model's own output is among these)", found.untaken_outputs)
    if found.metering_s:
        low, high = found.metering_s
        lines.append(f"metering takes about {_duration(low)} where operators are steady, at most {_duration(high)} "
                     f"({found.gflops:,.2f} GFLOP per pass, {times} times, one thread of a server core)")
    for line in lines:
        typer.echo(line)


def _loose(words: str, shapes: dict[str, list[str]]) -> list[str]:
    lines = [f"shape {shape}: {words.format(', '.join(names))}" for shape, names in list(shapes.items())[:_SHOWN]]
    if len(shapes) > _SHOWN:
        lines.append(f"… and {len(shapes) - _SHOWN} more such shapes (--json lists them)")
    return lines


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
