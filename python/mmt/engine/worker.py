"""The worker process: `python -m mmt.engine.worker --plugin LIB --config JSON [--wheel]`. Started by the engine."""

from __future__ import annotations

import argparse
import os
import sys

from mmt._core import engine as _engine


def load_wheel() -> None:
    """Loads MNN's library so that the plugin finds its symbols. Raises ImportError where MNN is not installed."""
    flags = sys.getdlopenflags()
    sys.setdlopenflags(os.RTLD_NOW | os.RTLD_GLOBAL)
    try:
        # Only the library: the package around it is not needed, and slow to import.
        import _mnncengine  # noqa: F401
    finally:
        sys.setdlopenflags(flags)


def main() -> int:
    """Serves requests until the parent closes its end; returns the exit code."""
    parser = argparse.ArgumentParser(prog="mmt.engine.worker", description="Runs .mnn models for a parent process.")
    parser.add_argument("--plugin", required=True, help="the engine plugin library")
    parser.add_argument("--config", required=True, help="engine configuration as JSON")
    parser.add_argument("--wheel", action="store_true", help="the plugin runs on MNN's Python wheel")
    arguments = parser.parse_args()
    if arguments.wheel:
        try:
            load_wheel()
        except ImportError as error:
            message = f"MNN's Python wheel cannot be loaded ({error}); install it: pip install MNN==3.6.1"
            return _engine.worker_failed(_engine.WORKER_IN_FD, _engine.WORKER_OUT_FD, "not_found", message)
    return _engine.worker_main(_engine.WORKER_IN_FD, _engine.WORKER_OUT_FD, arguments.plugin, arguments.config)


if __name__ == "__main__":
    sys.exit(main())
