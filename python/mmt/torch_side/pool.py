"""Worker processes that export and convert operators in parallel.

A worker that dies or hangs costs the operator that it was working on: that one gets an error with the reason, and a
new worker takes its place.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from mmt.torch_side.convert import ModelFile, remove_models
from mmt.torch_side.converter_process import WORKER_MODULE, ConverterLost, ConverterProcess, Stopped

__all__ = ["ConversionTask", "Converted", "ConverterPool", "Stopped"]

#: Seconds that one operator may take to export and convert.
DEFAULT_TIMEOUT_S = 300.0


@dataclass
class ConversionTask:
    """One operator for the pool.

    Either `recipe` (what a worker needs to build the module itself: `module`, `class`, `parameters`, `search_path`),
    or `onnx` (the ONNX bytes of the first context, made here) and `other`, which makes those of another context. That
    is called, in another thread, where the converter needs them.
    """

    fingerprint: str
    folder: str
    contexts: tuple[str, ...]
    inputs: list[tuple[tuple[int, ...], str]]
    onnx: bytes = b""
    other: Callable[[str], bytes] | None = None
    recipe: dict[str, Any] | None = None


@dataclass
class Converted:
    """What came of a task. `error`: "" or why there is no model. `exporter`: "mmt" or "torch"; `reason`: why not "mmt".
    `flops`: operations of one run, -1 where not known. `missing`: contexts whose ONNX the converter needs.
    """

    models: list[ModelFile] = field(default_factory=list)
    exporter: str = ""
    reason: str = ""
    error: str = ""
    flops: int = -1
    missing: list[str] = field(default_factory=list)


class ConverterPool:
    """`workers` processes (default: one per usable core). Use as a context manager; leaving it ends them.

    `submit` may be called from one thread at a time; it blocks while more than a few tasks per worker wait.
    """

    def __init__(self, workers: int | None = None, timeout_s: float = DEFAULT_TIMEOUT_S,
                 worker_module: str = WORKER_MODULE) -> None:
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
        process = ConverterProcess(self._stop, self._worker_module)  # started at once: loading takes a while
        try:
            while (item := self._tasks.get()) is not None:
                task, future = item
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    future.set_result(self._run(process, task))
                except BaseException as error:
                    future.set_exception(error)
        finally:
            process.close()

    def _run(self, process: ConverterProcess, task: ConversionTask) -> Converted:
        done = self._ask(process, task, task.contexts, task.onnx)
        with ExitStack() as half_done:
            half_done.callback(remove_models, task.folder, done.models)
            for context in done.missing:
                assert task.other is not None
                try:
                    onnx = task.other(context)
                except Exception as error:
                    return Converted(error=f"context {context}: export failed: {type(error).__name__}: {error}")
                more = self._ask(process, task, (context,), onnx)
                if more.error:
                    return more
                done.models += more.models
            half_done.pop_all()
        return done

    def _ask(self, process: ConverterProcess, task: ConversionTask, contexts: tuple[str, ...],
             onnx: bytes) -> Converted:
        header: dict[str, Any] = {"fingerprint": task.fingerprint, "folder": task.folder, "contexts": contexts,
                                  "inputs": task.inputs, "recipe": task.recipe}
        if task.recipe is not None:
            header["sys_path"] = sys.path
        try:
            reply = process.ask(header, onnx, self._timeout_s)
        except ConverterLost as error:
            return Converted(error=str(error))
        models = [ModelFile(**model) for model in reply.get("models", ())]
        return Converted(models, reply.get("exporter", ""), reply.get("reason", ""), reply.get("error", ""),
                         reply.get("flops", -1), reply.get("missing", []))
