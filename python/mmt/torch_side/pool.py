"""Worker processes that export and convert operators in parallel.

A worker that dies or hangs costs the operator that it was working on: that one gets an error with the reason, and a
new worker takes its place.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mmt
from mmt.torch_side.convert import ModelFile, telling_lines
from mmt.torch_side.messages import write_message

__all__ = ["ConversionTask", "Converted", "ConverterPool", "Stopped"]

#: Seconds that one operator may take to export and convert.
DEFAULT_TIMEOUT_S = 300.0


class Stopped(Exception):
    """The pool was left while a task was under way."""


@dataclass
class ConversionTask:
    """One operator for the pool.

    Either `recipe` (what a worker needs to build the module itself: `module`, `class`, `parameters`, `search_path`),
    or `onnx` (the ONNX bytes per context, made here).
    """

    fingerprint: str
    folder: str
    contexts: tuple[str, ...]
    inputs: list[tuple[tuple[int, ...], str]]
    recipe: dict[str, Any] | None = None
    onnx: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Converted:
    """What came of a task. `error`: "" or why there is no model. `exporter`: "mmt" or "torch"; `reason`: why not "mmt".
    `flops`: operations of one run, -1 where not known.
    """

    models: list[ModelFile] = field(default_factory=list)
    exporter: str = ""
    reason: str = ""
    error: str = ""
    flops: int = -1


class ConverterPool:
    """`workers` processes (default: one per usable core). Use as a context manager; leaving it ends them.

    `submit` may be called from one thread at a time; it blocks while more than a few tasks per worker wait.
    """

    def __init__(self, workers: int | None = None, timeout_s: float = DEFAULT_TIMEOUT_S,
                 worker_module: str = "mmt.torch_side.convert_worker") -> None:
        self._count = workers or len(os.sched_getaffinity(0))
        self._timeout_s = timeout_s
        self._worker_module = worker_module
        self._tasks: queue.Queue[tuple[ConversionTask, Future[Converted]] | None] = queue.Queue(self._count * 4)
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()

    def __enter__(self) -> ConverterPool:
        for _ in range(self._count):
            thread = threading.Thread(target=self._serve, daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._stop.set()  # what waits is dropped, what runs is ended
            while True:
                try:
                    item = self._tasks.get_nowait()
                except queue.Empty:
                    break
                if item is not None:
                    item[1].cancel()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def submit(self, task: ConversionTask) -> Future[Converted]:
        future: Future[Converted] = Future()
        self._tasks.put((task, future))
        return future

    def _serve(self) -> None:
        worker = _Worker(self._worker_module, self._stop)  # started at once: loading PyTorch takes a while
        try:
            while (item := self._tasks.get()) is not None:
                task, future = item
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    future.set_result(worker.run(task, self._timeout_s))
                except BaseException as error:
                    future.set_exception(error)
        finally:
            worker.close()


class _Worker:
    """One worker process and the pipes to it."""

    def __init__(self, module: str, stop: threading.Event) -> None:
        self._module = module
        self._stop = stop
        self._process: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the worker)
        self._start()

    def _start(self) -> None:
        task_read, self._task_write = os.pipe()
        self._reply_read, reply_write = os.pipe()
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

    def run(self, task: ConversionTask, timeout_s: float) -> Converted:
        if self._process is None:
            self._start()
        assert self._process is not None
        os.ftruncate(self._log.fileno(), 0)
        header: dict[str, Any] = {
            "fingerprint": task.fingerprint, "folder": task.folder, "contexts": task.contexts, "inputs": task.inputs,
            "recipe": task.recipe, "sizes": {context: len(onnx) for context, onnx in task.onnx.items()},
            "sys_path": sys.path,
        }
        try:
            reply = exchange(self._task_write, self._reply_read, header, b"".join(task.onnx.values()),
                             timeout_s, self._stop.is_set)
        except TimeoutError:
            self._end()
            return Converted(error=f"no answer from the converter within {timeout_s:g} s")
        except Stopped:
            self._end()
            raise
        except (EOFError, BrokenPipeError):
            return Converted(error=self._post_mortem())
        models = [ModelFile(**model) for model in reply.get("models", ())]
        return Converted(models, reply.get("exporter", ""), reply.get("reason", ""), reply.get("error", ""),
                         reply.get("flops", -1))

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


# The worker's first lines: the package lies where the parent's does, whatever the parent was started as.
_BOOT = """
import runpy, sys
root, module, read, write = sys.argv[1:]
sys.path.insert(0, root)
sys.argv = [module, read, write]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def exchange(write_fd: int, read_fd: int, header: dict[str, Any], payload: bytes, timeout_s: float,
             stopped: Callable[[], bool]) -> dict[str, Any]:
    """Sends one message and waits for the answer. Raises TimeoutError, Stopped, EOFError, BrokenPipeError."""
    write_message(write_fd, header, payload)
    deadline = time.monotonic() + timeout_s
    buffer = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if stopped():
            raise Stopped
        if not select.select([read_fd], [], [], min(left, 0.2))[0]:
            continue
        piece = os.read(read_fd, 1 << 16)
        if not piece:
            raise EOFError
        buffer += piece
        if len(buffer) >= 4:
            size = int.from_bytes(buffer[:4], "little")
            if len(buffer) >= 4 + size:
                return json.loads(buffer[4 : 4 + size])
