"""From a YAML file to the latency of 6,561 networks: generate, meter, predict; then 8 of them are measured to check.

    python examples/resnet/demo.py [--ops FOLDER] [--times N] [--threads N] [--seed N]

A second run with the same folder goes on where the first one stopped: what is converted and measured is kept.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mmt.converter import generate_ops_list
from mmt.meter import meter_ops
from mmt.space_eval import LatencySpace
from mmt.validate import validate
from space import INPUT_SHAPE, SLOTS, build, configurations

HERE = Path(__file__).resolve().parent
CHECKED = 8
BUDGET = "120s"

steps: list[tuple[str, float]] = []


@contextmanager
def step(name: str) -> Iterator[None]:
    """Times one step of the demo."""
    print(f"\n== {name}", flush=True)
    start = time.perf_counter()
    yield
    steps.append((name, time.perf_counter() - start))


def model_name(config: dict[str, int]) -> str:
    return "kernels " + " ".join(str(kernel) for kernel in config.values())


def main() -> int:
    ops = HERE.parents[1] / "build" / "demo" / "resnet"
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--ops", default=ops, type=Path, help="operator folder")
    arguments.add_argument("--times", default=100, type=int, help="at most this many samples of each operator")
    arguments.add_argument("--threads", default=1, type=int)
    arguments.add_argument("--seed", default=0, type=int, help="chooses the networks that are measured")
    options = arguments.parse_args()

    with step("generate the operators of ops.yaml"):
        generate_ops_list(HERE / "ops.yaml", options.ops)
    with step("meter them"):
        metered = meter_ops(options.ops, times=options.times, threads=options.threads, budget=BUDGET)
        print(
            f"{metered.measured} models of operators in {metered.rounds} rounds, "
            f"{100 * metered.engine_share:.0f} % of the time inside the engine; "
            f"{metered.kernels_shared} of {metered.kernels_total} kernels were measured already as part "
            f"of another operator"
        )
    with step("predict all variants"):
        space = LatencySpace(build, SLOTS, INPUT_SHAPE, options.ops)
        configs = list(configurations())
        latency_ms = space.latency_us(np.array([space.row(config) for config in configs])) / 1000
        order = np.argsort(latency_ms)
        print(f"{len(configs)} networks, {latency_ms[order[0]]:.2f} to {latency_ms[order[-1]]:.2f} ms")
        for name, index in (("fastest", order[0]), ("median", order[len(order) // 2]), ("slowest", order[-1])):
            print(f"  {name:8} {latency_ms[index]:7.2f} ms  {model_name(configs[index])}")
    with step(f"measure {CHECKED} of them, in the same rounds as the operators"):
        chosen = np.random.default_rng(options.seed).choice(len(configs), CHECKED, replace=False)
        models = [(model_name(configs[index]), build(configs[index])) for index in sorted(chosen)]
        report = validate(
            options.ops, models, INPUT_SHAPE, threads=options.threads, rounds=12, runs=5, split=False, with_ops=True
        )
        print(report.to_text())

    print("\n== time of each step")
    for name, seconds in steps:
        print(f"  {seconds:7.1f} s  {name}")
    print(f"  {sum(seconds for _, seconds in steps):7.1f} s  in all")
    return 1 if report.failed or space.missing else 0


if __name__ == "__main__":
    sys.exit(main())
