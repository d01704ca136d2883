"""Speed against the classic way of making tables (bench/classic): bench/results/speed.json, docs/performance.md.

    python bench/run_speed.py [--only predict model table space generate meter cpp] [--cpp FOLDER]

Both sides run in one process on one core, in turns, twice; a line gives the median of both and how far the two
repetitions are apart. Sections that are not run keep the figures that they had.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from example_spaces import ROOT
from speed_lines import Lines, line
from speed_making import generating, metering, metering_growth
from speed_page import page
from speed_predicting import model_size, predicting, spaces, table_size

import mmt
from mmt._core import base


def cpp(folder: Path) -> Lines:
    """Google Benchmark's programs."""
    lines = []
    for program in sorted(folder.glob("*_bench")):
        done = subprocess.run(
            [str(program), "--benchmark_format=json", "--benchmark_min_time=0.1"], check=True, capture_output=True,
            text=True)  # fmt: skip
        for row in json.loads(done.stdout)["benchmarks"]:
            note = f"grew by {row['grown_mib']:.0f} MiB" if "grown_mib" in row else ""
            lines.append(line(f"{program.name}: {row['name']}", [row["real_time"]], row["time_unit"], note=note))
    return lines


def machine() -> str:
    """The processor, and how fast it is just now for what is mostly Python, so that runs can be compared."""
    processor = base.host_facts()["cpu_model"] or platform.machine()
    speeds = sorted(_count(2_000_000) for _ in range(9))
    return (f"{processor}, {os.cpu_count()} cores: a loop in Python counts "
            f"{speeds[1]:.0f} to {speeds[-2]:.0f} million a second")


def _count(to: int) -> float:
    start = time.perf_counter()
    number = 0
    while number < to:
        number += 1
    return to / (time.perf_counter() - start) / 1e6


def main() -> int:
    sections: dict[str, Callable[[], Lines]] = {
        "predict": predicting, "model": model_size, "table": table_size, "space": spaces, "generate": generating,
        "meter": lambda: [*metering(), *metering_growth()], "cpp": lambda: cpp(options.cpp),
    }  # fmt: skip
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--only", nargs="+", choices=list(sections), default=list(sections))
    arguments.add_argument("--cpp", type=Path, default=ROOT / "build/package/bench", help="folder of the C++ programs")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    target = ROOT / "bench" / "results" / "speed.json"
    target.parent.mkdir(exist_ok=True)
    results = json.loads(target.read_text(encoding="utf-8")) if target.exists() else {}
    for name in options.only:
        print(f"== {name}", flush=True)
        start = time.perf_counter()
        where = machine()
        lines = sections[name]()
        results[name] = {
            "lines": lines, "machine": where, "seconds": round(time.perf_counter() - start, 1),
            "torch": torch.__version__, "mmt": mmt.__version__, "cores": os.cpu_count(),
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }  # fmt: skip
        target.write_text(json.dumps(results, indent=1), encoding="utf-8")
        (ROOT / "docs" / "performance.md").write_text(page(results), encoding="utf-8")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
