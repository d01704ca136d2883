"""A process that converts models: it is given one after another, and what it dies or hangs of costs that one."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import mmt
from mmt.torch_side.convert import telling_lines
from mmt.torch_side.messages import write_message

__all__ = ["WORKER_MODULE", "ConverterLost", "ConverterProcess", "Stopped"]

#: What runs in the process: a module that answers messages (mmt/torch_side/messages.py) until the other side closes.
WORKER_MODULE = "mmt.torch_side.convert_worker"


class Stopped(Exception):
    """The caller gave up while the process was at work."""


class ConverterLost(Exception):
    """The process died or hung; the text says how, and what it said last."""


class ConverterProcess:
    """Started at once; `ask` starts another one where it was lost. `stop`: makes `ask` give up."""

    def __init__(self, stop: threading.Event | None = None, module: str = WORKER_MODULE) -> None:
        self._module = module
        self._stop = stop or threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the process)
        self._start()

    def _start(self) -> None:
        task_read, self._task_write = _pipe()
        self._reply_read, reply_write = _pipe()
        self._log.seek(0)
        self._log.truncate()
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        package_root = str(Path(mmt.__file__).absolute().parents[1])
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _BOOT, package_root, self._module, str(task_read), str(reply_write)],
                stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, pass_fds=(task_read, reply_write),
                env=environment, start_new_session=True)  # Ctrl-C belongs to the parent
        finally:
            os.close(task_read)
            os.close(reply_write)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):  # models are long; a small pipe is slower and does as well
                fcntl.fcntl(self._task_write, fcntl.F_SETPIPE_SZ, 1 << 20)

    def ask(self, header: dict[str, Any], payload: bytes, timeout_s: float) -> dict[str, Any]:
        """Sends one message and waits for the answer. Raises ConverterLost and Stopped."""
        if self._process is None:
            self._start()
        os.ftruncate(self._log.fileno(), 0)
        try:
            return self._exchange(header, payload, timeout_s)
        except TimeoutError:
            self._end()
            raise ConverterLost(f"no answer from the converter within {timeout_s:g} s") from None
        except (EOFError, BrokenPipeError):
            raise ConverterLost(self._post_mortem()) from None
        except BaseException:
            self._end()  # its answer would be taken for that to the next message
            raise

    def _exchange(self, header: dict[str, Any], payload: bytes, timeout_s: float) -> dict[str, Any]:
        write_message(self._task_write, header, payload)
        deadline = time.monotonic() + timeout_s
        buffer = b""
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            if self._stop.is_set():
                raise Stopped
            if not select.select([self._reply_read], [], [], min(left, 0.2))[0]:
                continue
            piece = os.read(self._reply_read, 1 << 16)
            if not piece:
                raise EOFError
            buffer += piece
            if len(buffer) >= 4:
                size = int.from_bytes(buffer[:4], "little")
                if len(buffer) >= 4 + size:
                    return json.loads(buffer[4 : 4 + size])

    def _post_mortem(self) -> str:
        process = self._process
        assert process is not None
        try:
            code = process.wait(5)
        except subprocess.TimeoutExpired:
            code = 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        self._log.seek(0)
        said = telling_lines(self._log.read().lstrip(b"\0"))
        self._end()
        return f"the converter process {how}" + (f": {said}" if said else "")

    def _end(self) -> None:
        if self._process is None:
            return
        os.close(self._task_write)
        os.close(self._reply_read)
        try:
            self._process.wait(0.0 if self._stop.is_set() else 0.2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def close(self) -> None:
        self._end()
        self._log.close()


def _pipe() -> tuple[int, int]:
    """A pipe away from the numbers of standard streams, which the child gets anew, where this process has none."""
    ends = os.pipe()
    read, write = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 3) for end in ends)
    for end in ends:
        os.close(end)
    return read, write


# The first lines of the process: the package lies where the parent's does, whatever the parent was started as.
_BOOT = """
import runpy, sys
root, module, read, write = sys.argv[1:]
sys.path.insert(0, root)
sys.argv = [module, read, write]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
