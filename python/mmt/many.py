"""Predicting many models over the cores, with one table for all.

    predict_many(configs, "ops/", [1, 3, 224, 224], build=build)

Walking a model is Python's work, so that processes share it: forks of this one, which read the same table file through
the system's page cache and inherit the rows that were looked up already. Nothing of the table is copied or sent. For
millions of models of one search space see LatencySpace.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mmt.predict import Prediction, open_table, predict

__all__ = ["ModelLatency", "predict_many"]


@dataclass(frozen=True)
class ModelLatency:
    """The answer for one model. Times in microseconds; `missing`: parts that the table lacks (estimated)."""

    latency_us: float
    interval_us: tuple[float, float]
    how: str
    flags: tuple[str, ...]
    missing: int

    @property
    def latency_ms(self) -> float:
        return self.latency_us / 1000.0


def predict_many(
    models: Sequence[Any],
    table: Any,
    inputs: Any,
    *,
    build: Callable[[Any], Any] | None = None,
    dtype: str | Sequence[str] = "float32",
    exact: bool | str = False,
    workers: int | None = None,
) -> list[ModelLatency]:
    """Predictions of `models`, in their order.

    `models`: torch modules; with `build`, what `build` makes them of, one at a time in the worker (a list of
    configurations takes less memory than a list of networks). `exact`: as for `predict`; what needs the engine's
    schedule is done by this process. `workers`: processes, by default one per core; 1 where the system has no fork.
    Raises what `predict` or `build` raise for any of the models.
    """
    table = open_table(table)
    models = list(models)
    count = min(workers or len(os.sched_getaffinity(0)), len(models))

    def one(item: Any, how: bool | str) -> Prediction:
        return predict(item if build is None else build(item), table, inputs, dtype=dtype, exact=how)

    if count <= 1 or exact is True or "fork" not in multiprocessing.get_all_start_methods():
        return [_short(one(item, exact)) for item in models]

    def unsure(item: Any) -> ModelLatency | None:
        prediction = one(item, False)
        return None if exact == "auto" and (prediction.doubts or prediction.missing) else _short(prediction)

    answers: list[ModelLatency | None] = [None] * len(models)
    context = multiprocessing.get_context("fork")
    running = []
    try:
        for worker in range(count):
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(unsure, models[worker::count], sender), daemon=True)
            process.start()
            sender.close()
            running.append((worker, process, receiver))
        for worker, process, receiver in running:
            try:
                done = receiver.recv()
            except EOFError:
                process.join()
                raise RuntimeError(f"a process that predicted models ended with exit code {process.exitcode}") from None
            if isinstance(done, BaseException):
                raise done
            answers[worker::count] = done
            process.join()
    finally:
        for _, process, receiver in running:
            receiver.close()
            if process.is_alive():
                process.terminate()
                process.join()
    pairs = zip(models, answers, strict=True)
    return [_short(one(item, exact)) if answer is None else answer for item, answer in pairs]


def _short(prediction: Prediction) -> ModelLatency:
    return ModelLatency(
        prediction.latency_us, prediction.interval_us, prediction.how, prediction.flags, len(prediction.missing)
    )


def _work(unsure: Callable[[Any], ModelLatency | None], items: list[Any], sender: Any) -> None:
    """One worker: its share of the models, and the answers, or the error, in one message."""
    import torch

    torch.set_num_threads(1)  # the threads of the process that this is a fork of are not here
    try:
        answer: Any = [unsure(item) for item in items]
    except BaseException as error:
        answer = _sendable(error)
    sender.send(answer)
    sender.close()


def _sendable(error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # an error that cannot travel is told by its text
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
