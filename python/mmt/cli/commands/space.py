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
    check: Annotated[str | None, typer.Option("--check", metavar="models.py:net",
                                              help="What of this model the space lacks, and the YAML to add.")] = None,
    input_shape: Annotated[list[str] | None, typer.Option("--input", help="For --check: shape such as 1,3,224,224; "
                                                          "once per input.")] = None,
    level: Annotated[str, typer.Option("--level", help="For --check: auto, block, group or layer.")] = "auto",
    dtype: Annotated[list[str] | None, typer.Option("--dtype", help="For --check: type of each input.")] = None,
    no_build: Annotated[bool, typer.Option("--no-build", help="Count only; import and build nothing.")] = False,
    times: Annotated[int, typer.Option("--times", min=1, help="Samples that the metering estimate assumes.")] = 100,
    table: Annotated[str | None, typer.Option("--table", metavar="OPS", help="For the metering estimate: a folder or "
                                              "table whose operators need no metering, and which predicts the "
                                              "others.")] = None,
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
    if check is not None:
        _check(space, check, input_shape or [], level, dtype or "float32", yes, as_json)
        return
    summary = mmt.space.summary(space)
    examination = None
    if not no_build:
        mmt.space.check_size(space, yes)
        resolved = mmt.space.resolve(space)
        with output.progress_steps() as step:
            examination = mmt.space.examine(
                resolved, times=times, yes=yes, table=table,
                progress=(lambda done, total: step("building", done, total)) if step else None)
    if as_json:
        output.print_json({**summary, "examination": examination.to_json() if examination else None})
        return
    _print_summary(summary)
    if examination:
        _print_examination(examination, times, show_dropped)


def _check(space: Any, reference: str, shapes: list[str], level: str, dtype: Any, yes: bool, as_json: bool) -> None:
    import mmt.space
    from mmt.cli.loading import load_model
    from mmt.space.coverage import check_coverage

    if not shapes:
        raise typer.BadParameter("--check needs --input, for example --input 1,3,224,224")
    model = load_model(reference)
    found = check_coverage(mmt.space.resolve(space), model, output.parse_shapes(shapes), level, dtype=dtype, yes=yes)
    if as_json:
        output.print_json(found.to_json())
        return
    how = "layers" if found.level == "layer" else "groups" if found.level == "group" else "blocks"
    typer.echo(f"{space.source} holds {found.covered} of the {found.operators} different operators of {reference} "
               f"({how}, {found.share:.1%} of their FLOPs)")
    for item in found.uncaptured:
        typer.echo(f"lacks {item.operator} at {', '.join(item.paths[:_SHOWN])}: its arguments cannot be recovered; mmt "
                   "scan captures it as it is")
    if found.yaml:
        typer.echo(f"add to {space.source}:")
        typer.echo(found.yaml, nl=False)
    if found.functions:
        output.hint(f"{found.functions} functions between modules (additions and the like) are not in it; mmt scan "
                    f"{reference} --input {' --input '.join(shapes)} --ops OPS adds them to an operator folder")


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
        if found.metering_from == "table" and found.measured == found.usable:
            lines.append("all operators are in the table: nothing is to be metered")
        elif found.metering_from == "table":
            lines.append(f"{found.measured:,} of the operators are in the table; metering the others takes about "
                         f"{_duration(low)} where they are as steady as those of the table, at most {_duration(high)} "
                         f"({times} times; from the table's predictions, right within a factor of about three)")
        else:
            lines.append(
                f"metering takes about {_duration(low)} where operators are steady, at most {_duration(high)} "
                f"({found.gflops:,.2f} GFLOP per pass, {times} times; "
                "assumed, not measured: 20 GFLOP/s, as one thread of a server core; --table OPS takes a table's times)")
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
