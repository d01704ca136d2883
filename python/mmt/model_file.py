"""Plans of model files (`.mnn`, `.onnx`), without PyTorch: MNN's own schedule, read without executing a kernel."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmt import _core
from mmt.engine.for_table import table_engine
from mmt.errors import mmt_error

__all__ = ["plan_json", "shape_list"]


def shape_list(shapes: Sequence[Any]) -> list[Sequence[int]]:
    """One shape, or a list of them, as a list; empty for neither."""
    return [shapes] if shapes and all(isinstance(size, int) for size in shapes) else list(shapes)


def plan_json(path: str | os.PathLike[str], shapes: list[list[int]], table: Any) -> str:
    """The exact plan of a file as JSON. `shapes`: see `mmt.predict.predict_file`."""
    source = Path(path)
    if not source.is_file():
        raise mmt_error("not_found", f"{path}: there is no such file; give a .mnn or .onnx model")
    if source.suffix == ".mnn":
        return _plan(source, shapes, table)
    if source.suffix != ".onnx":
        raise mmt_error("unsupported", f"{path}: models are read from .mnn and .onnx files, not from '{source.suffix}'")
    with tempfile.TemporaryDirectory(prefix="mmt_file_") as folder:
        converted = _convert(source, folder)
        try:
            return _plan(converted, shapes, table)
        except _core.MmtError as error:
            raise mmt_error(error.code, str(error).replace(str(converted), str(source))) from error


def _plan(path: Path, shapes: list[list[int]], table: Any) -> str:
    engine = table_engine(table)
    try:
        # The engine's worker has a working directory of its own.
        return _core.predict.exact_plan_json(engine, str(path.resolve()), shapes)
    except _core.MmtError as error:
        if error.code not in ("crashed", "timeout"):
            raise
        engine.restart()
        raise mmt_error("corrupt", f"{path}: MNN cannot read this model ({error}); convert it anew") from error


def _convert(source: Path, folder: str) -> Path:
    """Converts in a process of its own: a model that the converter cannot digest may end that process."""
    from mmt.torch_side.pool import ConversionTask, ConverterPool

    task = ConversionTask("model", folder, ("plain",), [], onnx=source.read_bytes())
    with ConverterPool(1) as pool:
        converted = pool.submit(task).result()
    if converted.error:
        raise mmt_error("unsupported", f"{source}: cannot be converted: {converted.error}; is it a whole ONNX model, "
                        "with its weights inside?")
    return Path(folder) / converted.models[0].file
