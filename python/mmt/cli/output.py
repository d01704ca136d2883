"""What commands print: JSON, progress, shapes from options."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import typer

from mmt.terminal import is_terminal

__all__ = ["console", "hint", "is_quiet", "parse_shapes", "print_json", "progress_steps", "set_quiet"]

_quiet = False


def set_quiet(quiet: bool) -> None:
    """Whether --quiet was given: results and errors only."""
    global _quiet
    _quiet = quiet


def is_quiet() -> bool:
    """Whether --quiet was given."""
    return _quiet


def hint(text: str) -> None:
    """A line on stderr that helps a person; not with --quiet."""
    if not _quiet:
        typer.echo(text, err=True)


def console() -> Any:
    """A rich console on stdout for tables. Where stdout is no terminal, lines are as long as they need to be."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not is_terminal(sys.stdout),
                   width=None if is_terminal(sys.stdout) else 200)


def parse_shapes(texts: list[str]) -> list[list[int]]:
    """["1,3,224,224"] -> [[1, 3, 224, 224]]; 'x' separates as well. Raises BadParameter naming the text."""
    shapes = []
    for text in texts:
        parts = text.replace("x", ",").strip("[]() ").split(",")
        try:
            shape = [int(part) for part in parts]
        except ValueError:
            raise typer.BadParameter(f"'{text}' is no shape; write it as 1,3,224,224") from None
        if any(size < 1 for size in shape):
            raise typer.BadParameter(f"'{text}' has a size below 1")
        shapes.append(shape)
    return shapes


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=1))


@contextlib.contextmanager
def progress_steps() -> Iterator[Callable[[str, int, int], None] | None]:
    """A hook (step, done, total) that draws a bar on a terminal; None where stderr is no terminal or with --quiet."""
    if _quiet or not is_terminal(sys.stderr):
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def step(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total)
            bar.update(tasks[name], completed=done, total=total)

        yield step
