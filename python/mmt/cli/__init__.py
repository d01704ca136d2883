"""The command `mmt`. Each subcommand is one file in `commands/`."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Runs the command line and exits: 0 done, 1 some rows failed, 2 wrong use, 130 interrupted."""
    from mmt.cli.app import app

    app(prog_name="mmt")
