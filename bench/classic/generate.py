"""One operator after another: PyTorch's exporter, then the converter, in this process or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import _tools
from torch import nn

from mmt.torch_side.export import torch_to_onnx
from mmt.torch_side.structure import TensorSpec

# What MNN's command `mnnconvert` loads and does, without the library for sending logs that it installs.
_CONVERT = """
import sys
import _tools
import MNN
_tools.mnnconvert(sys.argv)
"""


def generate(module: nn.Module, shapes: Sequence[Sequence[int]], path: Path, converter_process: bool = False) -> None:
    """Writes `path` (.mnn) for float inputs of these shapes."""
    onnx = torch_to_onnx(module.eval(), [TensorSpec(tuple(shape)) for shape in shapes])
    between = path.with_suffix(".onnx")
    between.write_bytes(onnx)
    arguments = ["-f", "ONNX", "--modelFile", str(between), "--MNNModel", str(path), "--bizCode", "MNN"]
    if converter_process:
        subprocess.run([sys.executable, "-c", _CONVERT, *arguments], check=True, capture_output=True)
    else:
        _convert_here(arguments)


def _convert_here(arguments: Sequence[str]) -> None:
    """What the converter prints goes nowhere."""
    saved, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        _tools.mnnconvert(["mnnconvert", *arguments])
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(nowhere)
