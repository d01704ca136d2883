"""Finding the engine: the plugin library, MNN's wheel, and the worker process that joins them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from pathlib import Path

from mmt._core import engine as _engine
from mmt.errors import mmt_error

# Versions of MNN's wheel that the plugin knows; the plugin itself checks again.
SUPPORTED_WHEELS = ("3.6.1",)

WHEEL_PLUGIN_NAME = "mmt_engine_mnn_wheel.so"

# An engine plugin built against an own MNN (-DMNN_ROOT=…), used in place of the wheel.
PLUGIN_VARIABLE = "MMT_ENGINE_PLUGIN"


def plugin_path() -> tuple[Path, bool]:
    """The plugin library to use, and whether it is the one that runs on MNN's wheel.

    Raises MmtError('not_found') where there is none.
    """
    given = os.environ.get(PLUGIN_VARIABLE)
    if given:
        path = Path(given)
        if not path.is_file():
            raise mmt_error("not_found", f"{PLUGIN_VARIABLE}={given}: there is no such file")
        return path.resolve(), path.name == WHEEL_PLUGIN_NAME
    # Beside the extension module: that is the installed package, or the staged one of a build folder.
    path = Path(_engine_module_file()).with_name(WHEEL_PLUGIN_NAME)
    if not path.is_file():
        raise mmt_error("not_found", f"{path}: the engine plugin is missing; install MMT again or build all targets")
    return path, True


def _engine_module_file() -> str:
    import mmt._core

    return mmt._core.__file__


def wheel_info() -> dict[str, object]:
    """What is known of MNN's wheel without loading it.

    Returns `version` (str or None where it is not installed), `supported` (bool), `supported_versions` (tuple) and
    `module` (path of the library, or None).
    """
    try:
        version = importlib.metadata.version("MNN")
    except importlib.metadata.PackageNotFoundError:
        version = None
    spec = importlib.util.find_spec("_mnncengine")
    return {
        "version": version,
        "supported": version in SUPPORTED_WHEELS,
        "supported_versions": SUPPORTED_WHEELS,
        "module": spec.origin if spec else None,
    }


def worker_command(config: _engine.EngineConfig) -> list[str]:
    """The command line of the worker process for `config`."""
    path, on_wheel = plugin_path()
    # -P: modules that lie in the current folder must not come before those of Python itself.
    command = [sys.executable, "-P", "-m", "mmt.engine.worker", "--plugin", str(path), "--config", config.to_json()]
    return [*command, "--wheel"] if on_wheel else command


def default_engine(
    config: _engine.EngineConfig | None = None, *, start_timeout_s: float = 60.0, call_timeout_s: float = 120.0
) -> _engine.Engine:
    """An engine in a worker process: MNN's wheel, or the plugin that MMT_ENGINE_PLUGIN names.

    A crash or hang costs one call: it raises MmtError('crashed' or 'timeout'), and `Engine.restart()` goes on.
    Raises MmtError('not_found') without plugin or wheel, 'unsupported' where MNN's version is unknown or the
    configuration cannot be served.
    """
    return _engine.start_worker_engine(
        worker_command(config or _engine.EngineConfig()),
        env=worker_environment(),
        start_timeout_s=start_timeout_s,
        call_timeout_s=call_timeout_s,
    )


def worker_environment() -> list[str]:
    """This process's module path, so that the worker finds the same packages however they were found here."""
    return ["PYTHONPATH=" + os.pathsep.join(entry or os.getcwd() for entry in sys.path)]
