"""What whole models take: `python -m classic.truth ROUNDS MODEL.mnn...` prints the median of each, in milliseconds.

Rounds over all models in random order, with new input before each run, so that slow changes of the machine meet all
models alike.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

UNCOUNTED = 2
COUNTED = 3


def truth(paths: Sequence[Path], rounds: int = 8) -> list[float]:
    """Latency of each model in milliseconds, measured by a new process."""
    command = [sys.executable, __file__, str(rounds), *map(str, paths)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [float(text) for text in done.stdout.splitlines()[-1].split()]


def _measure(paths: Sequence[str], rounds: int) -> list[float]:
    import MNN
    import numpy as np

    generator = np.random.default_rng(0)
    models = []
    for path in paths:
        interpreter = MNN.Interpreter(path)
        session = interpreter.createSession({"backend": "CPU", "numThread": 1})
        inputs = []
        for tensor in interpreter.getSessionInputAll(session).values():
            shape = tensor.getShape()
            data = generator.standard_normal(shape).astype(np.float32)
            host = MNN.Tensor(shape, MNN.Halide_Type_Float, data, MNN.Tensor_DimensionType_Caffe)
            inputs.append((tensor, host))
        models.append((interpreter, session, inputs))
    times: list[list[float]] = [[] for _ in models]
    order = list(range(len(models)))
    shuffled = random.Random(1)
    for _ in range(rounds):
        shuffled.shuffle(order)
        for number in order:
            interpreter, session, inputs = models[number]
            for run in range(UNCOUNTED + COUNTED):
                for tensor, host in inputs:
                    tensor.copyFrom(host)
                start = time.perf_counter()
                interpreter.runSession(session)
                if run >= UNCOUNTED:
                    times[number].append(1e3 * (time.perf_counter() - start))
    return [statistics.median(one) for one in times]


if __name__ == "__main__":
    print(*_measure(sys.argv[2:], int(sys.argv[1])))
