"""One process per operator, a fixed number of runs: `python -m classic.meter MODEL.mnn RUNS` prints the mean in ms."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

WARM_UP = 10


def meter(path: Path, runs: int = 100) -> float:
    """Mean latency in milliseconds, measured by a new process."""
    done = subprocess.run([sys.executable, __file__, str(path), str(runs)], check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def _measure(path: str, runs: int) -> float:
    import MNN
    import numpy as np

    interpreter = MNN.Interpreter(path)
    session = interpreter.createSession({"backend": "CPU", "numThread": 1})
    for tensor in interpreter.getSessionInputAll(session).values():
        shape = tensor.getShape()
        data = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        host = MNN.Tensor(shape, MNN.Halide_Type_Float, data, MNN.Tensor_DimensionType_Caffe)
        tensor.copyFrom(host)
    for _ in range(WARM_UP):
        interpreter.runSession(session)
    start = time.perf_counter()
    for _ in range(runs):
        interpreter.runSession(session)
    return 1000 * (time.perf_counter() - start) / runs


if __name__ == "__main__":
    print(_measure(sys.argv[1], int(sys.argv[2])))
