"""The frame of the command `mmt`: subcommands are found by themselves, failures become one line and an exit code."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mmt.cli import commands, output

__all__ = ["app"]

EXIT_WRONG_USE = 2
EXIT_INTERRUPTED = 130  # What shells report for Ctrl-C.

# In the order of a user's work; whatever is not named here follows by name.
_ORDER = ("doctor", "scan", "space", "generate", "meter", "predict", "validate", "calibrate", "table", "report")


class _Group(TyperGroup):
    """Turns MmtError and Ctrl-C into a line on stderr and an exit code, and takes --quiet at any place."""

    def list_commands(self, ctx: Any) -> list[str]:
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        output.set_quiet("--quiet" in args[:end])
        return super().parse_args(ctx, [arg for at, arg in enumerate(args) if arg != "--quiet" or at > end])

    def invoke(self, ctx: Any) -> Any:
        from mmt.errors import MmtError

        try:
            return super().invoke(ctx)
        except MmtError as error:
            typer.echo(f"mmt: {error}", err=True)
            raise typer.Exit(EXIT_INTERRUPTED if error.code == "interrupted" else EXIT_WRONG_USE) from error
        except KeyboardInterrupt as stop:
            typer.echo("mmt: interrupted; what is finished is kept", err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from stop


app = typer.Typer(name="mmt", cls=_Group, no_args_is_help=True, pretty_exceptions_enable=False,
                  context_settings={"help_option_names": ["-h", "--help"]})


def _show_version(asked: bool) -> None:
    if asked:
        from mmt import __version__

        typer.echo(f"mmt {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True,
                                          help="Print the version and stop.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, no hints; may stand anywhere.")] = False,
) -> None:
    """Measures PyTorch operators on devices that run MNN and predicts the latency of whole models.

    Exit codes: 0 done, 1 some rows failed, 2 wrong use, 130 interrupted.
    """


def _load_commands() -> None:
    for module in pkgutil.iter_modules(commands.__path__):
        importlib.import_module(f"{commands.__name__}.{module.name}").register(app)


_load_commands()
