"""`mmt scan`: writes the operator space of models, so that nobody has to."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from mmt.cli import options, output


def register(app: typer.Typer) -> None:
    app.command("scan")(scan_command)


def scan_command(
    models: Annotated[list[str] | None, typer.Argument(help="models.py:resnet18, package.module:Class, …")] = None,
    input_shape: Annotated[list[str] | None, typer.Option(
        "--input", help="Shape such as 1,3,224,224; once per input. Sizes: \"1,3,8,8;1,3,4,4\".")] = None,
    dtype: options.Dtypes = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="The YAML file to write.")] = None,
    ops: Annotated[Path | None, typer.Option("--ops", help="Convert the operators into this folder at once.")] = None,
    level: Annotated[str, typer.Option("--level", help="auto, block, group or layer.")] = "auto",
    space: options.Space = None,
    sample: Annotated[int, typer.Option("--sample", min=1, help="How many configurations of the space.")] = 32,
    seed: options.Seed = 1,
    complete: Annotated[bool, typer.Option("--complete/--no-complete", help="Add pieces of the model for "
                                           "kernels that no operator shows alone.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Finds the operators that models consist of; writes a space for `mmt generate`, or converts them at once."""
    from mmt.torch_side.scan import ScanReport, find_operators

    if not models and space is None:
        raise typer.BadParameter("name a model, such as models.py:resnet18, or a search space with --space")
    input_shape = options.required_inputs(input_shape)
    report = ScanReport([], 0, 0)
    with output.progress_steps() as step:
        count = len(models or []) + (sample if space is not None else 0)
        for index, (_, model) in enumerate(_models(models or [], space, sample, seed)):
            for shapes in _sizes(input_shape):
                report.merge(find_operators(model, shapes, level, dtype=dtype or "float32"))
            if step:
                step("scanning", index + 1, count)
    captured = None
    if ops is not None:
        _convert(report, ops, complete)
    if out is not None:
        if complete and ops is None:
            with tempfile.TemporaryDirectory(prefix="mmt_scan_") as scratch:  # only to see what its operators show
                _convert(report, Path(scratch), True)
            report.generated = None
        captured = _write(report, out, [*(models or []), *([space] if space else [])], input_shape, level)
    if as_json:
        output.print_json(_as_json(report))
    else:
        _print(report)
        if out:
            typer.echo(f"{out} written: mmt generate {out} ops/")
    failed = [*(report.generated.failed if report.generated else []), *(captured.failed if captured else [])]
    for failure in failed:
        typer.echo(f"no model of {failure.operator}: {failure.reason}", err=True)
    if failed:
        raise typer.Exit(1)


def _models(names: list[str], space: str | None, sample: int, seed: int) -> Iterator[tuple[str, Any]]:
    from mmt.cli.loading import load_model

    for name in names:
        yield name, load_model(name)
    if space is not None:
        from mmt.cli.models import sample_space

        yield from sample_space(space, sample, seed)


def _sizes(texts: list[str]) -> list[list[list[int]]]:
    """["1,3,8,8;1,3,4,4"] -> one list of input shapes per size."""
    columns = [output.parse_shapes(text.split(";")) for text in texts]
    longest = max(map(len, columns))
    if any(len(column) not in (1, longest) for column in columns):
        raise typer.BadParameter("inputs have different numbers of sizes; give one size or as many for each")
    return [[column[min(index, len(column) - 1)] for column in columns] for index in range(longest)]


def _convert(report: Any, folder: Path, complete: bool) -> None:
    with output.progress_steps() as step:
        report.convert(folder, complete=complete,
                       progress=(lambda done, total, _: step("converting", done, total)) if step else None)


def _write(report: Any, out: Path, names: list[str], shapes: list[str], level: str) -> Any:
    """Writes the YAML; what no class and parameters can say is converted into `<name>.captured/` beside it."""
    from mmt.torch_side.generate import captured_folder, convert_operators
    from mmt.torch_side.space_text import space_text

    title = [f"Operators of {', '.join(names)} on {' and '.join(shapes)} (level {level}), written by mmt scan.",
             f"{len(report.found)} operators, {report.flops / max(1, report.models) / 1e9:.3g} GFLOPs per model; a "
             "multiply-add counts as two."]
    out.parent.mkdir(parents=True, exist_ok=True)
    text = space_text(report, out.resolve().parent, title)
    out.write_text(text.text, encoding="utf-8")
    return convert_operators(text.captured, captured_folder(out), total=len(text.captured)) if text.captured else None


def _as_json(report: Any) -> dict[str, Any]:
    return {
        "models": report.models,
        "flops": report.flops,
        "operators": [{
            "fingerprint": item.fingerprint, "kind": item.operator.kind, "class": item.operator.class_name,
            "inputs": [{"shape": list(spec.shape), "dtype": spec.dtype} for spec in item.operator.inputs],
            "occurs": item.occurs, "flops": item.flops, "share": report.share(item), "paths": item.paths,
        } for item in report.found],
        "pieces": [{"fingerprint": piece.fingerprint, "class": piece.class_name} for piece in report.pieces],
        "open_kernels": report.open_kernels,
        "notes": report.notes,
        "generated": report.generated.to_dict() if report.generated else None,
    }


def _print(report: Any) -> None:
    from rich.table import Table

    table = Table("operator", "inputs", "calls", "FLOPs %", box=None, pad_edge=False)
    for item in report.found:
        table.add_row(item.operator.class_name, " ".join(map(str, item.operator.inputs)), str(item.occurs),
                      f"{100 * report.share(item):.2f}")
    output.console().print(table)
    typer.echo(str(report))
