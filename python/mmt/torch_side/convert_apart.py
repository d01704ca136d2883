"""Single models to `.mnn`, in a converter process that this one keeps.

A model that the converter cannot digest costs an error and not the caller's process. What the converter prints, and
what it does to the state of its process, stays there.
"""

from __future__ import annotations

import atexit
import os
import threading

from mmt.errors import mmt_error
from mmt.torch_side.converter_process import ConverterLost, ConverterProcess

__all__ = ["onnx_to_mnn"]

#: Seconds that a whole model may take.
TIMEOUT_S = 3600.0

#: A process that has converted a larger model is not kept: it holds on to several times as much memory.
_MOST_BYTES_KEPT = 32 << 20


class _Converter:
    """The process, started when it is needed, for one thread at a time."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._lock = threading.Lock()
        self._process: ConverterProcess | None = None
        atexit.register(self.close)

    def convert(self, onnx: bytes, path: str) -> tuple[int, str]:
        with self._lock:
            if self._process is None:
                self._process = ConverterProcess()
            reply = self._process.ask({"path": path}, onnx, TIMEOUT_S)
            if len(onnx) > _MOST_BYTES_KEPT:
                self.close()
        if "error" in reply:
            raise mmt_error(reply["code"] or "engine", reply["error"])
        return reply["size_bytes"], reply["sha256"]

    def close(self) -> None:
        if self._process is not None and self.pid == os.getpid():
            self._process.close()
            self._process = None


_converter = _Converter()


def onnx_to_mnn(onnx: bytes, out_path: str | os.PathLike[str]) -> tuple[int, str]:
    """Converts an ONNX model and writes it to `out_path`. Returns (size in bytes, SHA-256 of the file).

    The same bytes give the same file. Raises MmtError with what the converter said ("unsupported"), why the file cannot
    be written ("io"), or how the converter died ("crashed").
    """
    global _converter
    if _converter.pid != os.getpid():  # a forked process must not talk to its parent's
        _converter = _Converter()
    try:
        return _converter.convert(onnx, os.path.abspath(out_path))
    except ConverterLost as error:
        raise mmt_error("crashed", str(error)) from error
