"""The progress bar of the meter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["meter_bar"]


@contextmanager
def meter_bar() -> Iterator[Callable[[dict[str, Any]], None]]:
    """A hook for the meter that draws done/total, noise, time left and the current operator on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("metering"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[state]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("metering", total=None, state="")

        def show(state: dict[str, Any]) -> None:
            bar.update(task, completed=state["done"], total=state["total"], state=state_text(state))

        yield show


def state_text(state: dict[str, Any]) -> str:
    """"noise 0.8 %  engine 91 %  0:32 left  torch.nn.Conv2d [1,64,56,56]"."""
    minutes, seconds = divmod(round(max(state["left_s"], 0)), 60)
    hours, minutes = divmod(minutes, 60)
    left = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    failed = f"{state['failed']} failed  " if state["failed"] else ""
    return (f"noise {state['noise']:.1%}  engine {state['engine_share']:.0%}  {failed}{left} left  "
            f"{state['current']}").replace("[", "\\[")
