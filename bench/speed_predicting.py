"""Predicting: one model, from small and large tables, of few and many blocks; whole search spaces."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import speed_tables as tables
import torch
from classic import predict as classic_way
from example_spaces import ROOT, SHAPE, example_space, random_models
from speed_lines import REPETITIONS, Lines, line, seconds

import mmt
from mmt.predict import LatencyTable, predict
from mmt.space_eval import LatencySpace

WORK = tables.WORK
EXAMPLES = {"mobilenetv3": "MobileNetV3-small", "resnet": "ResNet-18"}


def predicting() -> Lines:
    """One model at a time."""
    lines = []
    for name, title in EXAMPLES.items():
        folder = tables.example_folder(name)
        old_folder = tables.classic_folder(name, folder)
        models = random_models(name, 12, seed=5)
        with torch.device("meta"):  # these are never run: no memory for their weights
            warm_up = random_models(name, 60, seed=6)
        cold, fresh, seen, old = ([] for _ in range(4))
        for _ in range(REPETITIONS):
            times: dict[str, list[float]] = {"cold": [], "old": [], "fresh": [], "seen": []}
            for model in models:
                cold_time, old_time = _both(model, folder, old_folder)
                times["cold"].append(cold_time)
                times["old"].append(old_time)
            tables.forget()
            table = LatencyTable.open(str(folder))
            for model in warm_up:
                predict(model, table, SHAPE)
            times["fresh"] = [seconds(lambda m=model, t=table: predict(m, t, SHAPE)) for model in models]
            times["seen"] = [seconds(lambda m=model, t=table: predict(m, t, SHAPE)) for model in models]
            for target, key in ((cold, "cold"), (old, "old"), (fresh, "fresh"), (seen, "seen")):
                target.append(1e3 * statistics.median(times[key]))
        count = sum(1 for _ in old_folder.glob("*.class"))
        lines += [
            line(f"{title} not seen before, nothing remembered, table not open, {count} operators", cold, "ms",
                 target="5 ms", met=statistics.median(cold) <= 5, classic=old, least_ratio=15),
            line(f"{title}, a new combination of modules that were seen", fresh, "ms", target="1 ms",
                 met=statistics.median(fresh) <= 1, classic=old),
            line(f"{title} seen before", seen, "ms", target="1 ms", met=statistics.median(seen) <= 1, classic=old),
        ]
    lines.append(_unseen_by_both())
    lines += _with_large_tables()
    first = [_first_prediction(tables.example_folder("mobilenetv3")) for _ in range(REPETITIONS)]
    old = [_first_prediction(tables.classic_folder("mobilenetv3", tables.example_folder("mobilenetv3")), _FIRST_CLASSIC)
           for _ in range(REPETITIONS)]  # fmt: skip
    lines.append(line("first prediction in a process (PyTorch loaded; MMT's modules and table not)", first, "ms",
                      target="no more than classic", met=statistics.median(first) <= statistics.median(old),
                      classic=old, note="classic: the model's first run of all, its table not loaded"))
    return lines


def _both(model: torch.nn.Module, folder: Path, old_folder: Path) -> tuple[float, float]:
    """Seconds of a prediction from a path, of which nothing is remembered, and of a classic one."""
    tables.forget()
    ours = seconds(lambda: predict(model, str(folder), SHAPE))
    return ours, tables.classic_seconds(model, old_folder, SHAPE)


_UNSEEN = """
import sys
sys.path[:0] = sys.argv[2:]
import torch
import speed_tables as tables
from example_spaces import SHAPE, random_models
from speed_lines import seconds
from mmt.predict import predict
torch.set_num_threads(1)
for name, count in (("resnet", 2), ("mobilenetv3", 1)):
    folder = tables.example_folder(name)
    classic = tables.classic_folder(name, folder)
    for model in random_models(name, count, seed=int(sys.argv[1])):
        print(1e3 * seconds(lambda: predict(model, str(folder), SHAPE)),
              1e3 * tables.classic_seconds(model, classic, SHAPE))
"""


def _unseen_by_both() -> dict[str, Any]:
    """In the lines above the classic way has run these layers before: PyTorch prepares each shape of a convolution once
    in a process. Here neither way has."""
    ours, old = [], []
    for repetition in range(REPETITIONS):
        times = []
        for seed in range(5):
            last = _last_line(_UNSEEN, str(10 * repetition + seed), str(ROOT / "bench"))
            times.append([float(time) for time in last.split()])
        ours.append(statistics.median(time for time, _ in times))
        old.append(statistics.median(time for _, time in times))
    return line("MobileNetV3-small that neither way has seen, in processes that have predicted two ResNets", ours, "ms",
                target="5 ms", met=statistics.median(ours) <= 5, classic=old, least_ratio=15)


def _with_large_tables() -> Lines:
    """The classic way grows with its table: both ways with as many operators."""
    lines = []
    folder = tables.example_folder("mobilenetv3")
    models = random_models("mobilenetv3", 5, seed=7)
    with torch.no_grad():
        forward = 1e3 * statistics.median(seconds(lambda: models[0](torch.ones(SHAPE))) for _ in range(7))
    for operators in (48, 960):
        large = folder if operators < 110 else tables.grown_to_operators(folder, operators)
        old_folder = tables.classic_folder("mobilenetv3", folder, operators)
        ours, old, reading = [], [], []
        for _ in range(REPETITIONS):
            times = [_both(model, large, old_folder) for model in models for _ in range(2)]
            ours.append(1e3 * statistics.median(time for time, _ in times))
            old.append(1e3 * statistics.median(time for _, time in times))
            reading.append(1e3 * statistics.median(seconds(lambda f=old_folder: classic_way.load(f)) for _ in range(5)))
        lines.append(line(f"MobileNetV3-small, nothing remembered, tables of {operators} operators", ours, "ms",
                          target="5 ms", met=statistics.median(ours) <= 5, classic=old, least_ratio=15,
                          note=f"classic: reading its table {statistics.median(reading):.1f} ms, a forward pass "
                               f"without hooks {forward:.1f} ms"
                               + ("; ours: 110 operators" if operators < 110 else "")))
    return lines


_FIRST_CLASSIC = """
import sys, time
sys.path[:0] = sys.argv[2:]
import torch
from mobilenetv3 import mobilenet_v3_small
from classic.predict import load, predict, short_names
torch.set_num_threads(1)
model = mobilenet_v3_small().eval()
with short_names(model, {row.kind for row in load(sys.argv[1])}):
    start = time.perf_counter()
    latency = predict(model, sys.argv[1], [1, 3, 224, 224])
    took = time.perf_counter() - start
assert latency > 0
print(1e3 * took)
"""

_FIRST = """
import sys, time
sys.path[:0] = sys.argv[2:]
import torch
from mobilenetv3 import mobilenet_v3_small
torch.set_num_threads(1)
model = mobilenet_v3_small().eval()
start = time.perf_counter()
from mmt.predict import predict
predict(model, sys.argv[1], [1, 3, 224, 224])
print(1e3 * (time.perf_counter() - start))
"""


def _first_prediction(table: Path, script: str = _FIRST) -> float:
    where = (str(table), str(ROOT / "examples" / "mobilenetv3"), str(ROOT / "bench"))
    times = [float(_last_line(script, *where)) for _ in range(4)]
    return statistics.median(times[1:])


def _last_line(script: str, *arguments: str) -> str:
    """What a process of its own prints last."""
    # Compiled Python files are kept, as after an installation; the first process may have to make them.
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(WORK / "pycache")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return done.stdout.splitlines()[-1]


def table_size() -> Lines:
    """The same models from tables of 1,000 to 1,000,000 kernel rows."""
    folder = tables.example_folder("mobilenetv3")
    sizes = (1_000, 10_000, 100_000, 1_000_000)
    folders = {size: tables.grown_table(folder, size) for size in sizes}
    models = random_models("mobilenetv3", 16, seed=8)
    for path in folders.values():
        tables.into_memory(path)
    cold = _from_each(folders, models)
    warm: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(REPETITIONS):
        opened = {size: LatencyTable.open(str(path)) for size, path in folders.items()}
        again: dict[int, list[float]] = {size: [] for size in sizes}
        for table in opened.values():
            for model in models:
                predict(model, table, SHAPE)
        for number, model in enumerate(models):
            for size in sizes[number % 4 :] + sizes[: number % 4]:
                mmt.predict._results.clear()
                again[size].append(seconds(lambda m=model, t=opened[size]: predict(m, t, SHAPE)))
        for size in sizes:
            warm[size].append(1e3 * statistics.median(again[size]))
    lines = _growth("nothing remembered", cold) + _growth("modules seen", warm)
    spread = {size: tables.grown_table(folder, size, spread=size > sizes[0]) for size in sizes}
    for path in spread.values():
        tables.into_memory(path)
    lines += _growth("nothing remembered, its operators lying anywhere in the table", _from_each(spread, models))
    from_disk = _from_each(folders, models[:8], tables.out_of_memory)
    lines += _growth("nothing remembered, the file not in memory", from_disk, target="")
    large = folders[sizes[-1]]
    opening = [1e3 * statistics.median(seconds(lambda: LatencyTable.open(str(large))) for _ in range(20))
               for _ in range(REPETITIONS)]  # fmt: skip
    lines.append(line("opening the table of 100,000 operators and 1,000,000 kernels", opening, "ms", target="50 ms",
                      met=max(opening) <= 50))
    command = [sys.executable, "-c", _MEMORY, str(large)]
    grown = [float(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(2)]
    lines.append(line("memory that all rows of 1,000,000 take when each was asked for once", grown, "MiB",
                      target="300 MiB", met=max(grown) <= 300))
    return lines


def _from_each(folders: dict[int, Path], models: list[torch.nn.Module],
               prepare: Callable[[Path], None] | None = None) -> dict[int, list[float]]:
    """Milliseconds of predictions of which nothing is remembered, from tables that were just opened."""
    found: dict[int, list[float]] = {size: [] for size in folders}
    sizes = tuple(folders)
    for _ in range(REPETITIONS):
        times: dict[int, list[float]] = {size: [] for size in sizes}
        for number, model in enumerate(models):
            first = number % len(sizes)
            for size in sizes[first:] + sizes[:first]:
                tables.forget()
                if prepare:
                    prepare(folders[size])
                fresh = LatencyTable.open(str(folders[size]))
                times[size].append(seconds(lambda m=model, t=fresh: predict(m, t, SHAPE)))
        for size in sizes:
            found[size].append(1e3 * statistics.median(times[size]))
    return found


def _growth(kind: str, found: dict[int, list[float]], target: str = "within 10 % of 1,000 rows") -> Lines:
    """Lines of times by the number of kernel rows, the smallest number first."""
    lines: Lines = []
    base = 0.0
    for size, times in found.items():
        judged = target if base else ""
        base = base or statistics.median(times)
        growth = statistics.median(times) / base
        lines.append(line(f"MobileNetV3-small, {kind}, {size:,} kernel rows", times, "ms", target=judged,
                          met=growth <= 1.1 if judged else None, note=f"{growth:.2f} of the time with 1,000 rows"))
    return lines


_MEMORY = """
import sqlite3, sys
from mmt.predict import LatencyTable
def resident():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmRSS")).split()[1]) / 1024
database = sqlite3.connect(f"file:{sys.argv[1]}/latency.db?immutable=1", uri=True)
keys = database.execute("SELECT lower(hex(key)) FROM kernel")
before = resident()
table = LatencyTable.open(sys.argv[1])
for (key,) in keys:
    table.find_kernel(key)
print(resident() - before)
"""


def model_size() -> Lines:
    """ResNets of few and many blocks."""
    folder = tables.example_folder("resnet")
    classic = tables.classic_folder("resnet", folder)
    lines: Lines = []
    first = 0.0
    for blocks in (4, 16, 64):
        model = tables.deep_resnet(blocks)
        cold, old = [], []
        for _ in range(REPETITIONS):
            times = []
            for _ in range(7):
                tables.forget()
                table = LatencyTable.open(str(folder))
                times.append(seconds(lambda m=model, t=table: predict(m, t, SHAPE)))
            cold.append(1e3 * statistics.median(times))
            old.append(1e3 * min(tables.classic_seconds(model, classic, SHAPE) for _ in range(2)))
        each = statistics.median(cold) / blocks
        first = first or each
        lines.append(line(f"ResNet of {blocks} blocks, nothing remembered, table just opened", cold, "ms", classic=old,
                          note=f"{each:.2f} ms per block, {each / first:.2f} of that with 4 blocks"))
    return lines


def spaces() -> Lines:
    """Search spaces as arrays."""
    lines = []
    resnet, mobile = example_space("resnet"), example_space("mobilenetv3")
    folders = {name: tables.example_folder(name) for name in EXAMPLES}
    classic = tables.classic_folder("resnet", folders["resnet"])
    model = random_models("resnet", 1, seed=1)[0]
    one = [tables.classic_seconds(model, classic, SHAPE) for _ in range(3)]
    compiled = []
    for _ in range(REPETITIONS):
        tables.forget()
        compiled.append(seconds(lambda: LatencySpace(resnet.build, resnet.SLOTS, SHAPE, folders["resnet"])))
    small = LatencySpace(resnet.build, resnet.SLOTS, SHAPE, folders["resnet"])
    lines.append(line(f"compiling the ResNet space ({small.models_predicted} models are built and predicted)", compiled,
                      "s"))
    every = [1e3 * statistics.median(seconds(small.latencies) for _ in range(20)) for _ in range(REPETITIONS)]
    lines.append(line("all 6,561 ResNets", every, "ms", target="10 ms", met=max(every) <= 10,
                      classic=[1e3 * small.size * statistics.median(one)],
                      note="classic: one forward each, extrapolated from one model"))
    start = time.perf_counter()
    large = LatencySpace(mobile.build, mobile.SLOTS, SHAPE, folders["mobilenetv3"])
    lines.append(line(f"compiling the MobileNetV3 space ({large.models_predicted} models)",
                      [time.perf_counter() - start], "s"))
    rows = large.sample(10_000_000, seed=2)
    many = [statistics.median(seconds(lambda: large.latency_us(rows)) for _ in range(3)) for _ in range(REPETITIONS)]
    lines.append(line("10,000,000 random MobileNetV3 configurations, one core", many, "s", target="1 s",
                      met=max(many) <= 1))
    for title, space, name in (("ResNet-18", small, "resnet"), ("MobileNetV3", large, "mobilenetv3")):
        some = space.sample(24, seed=3)
        table = space.table
        build = (resnet if name == "resnet" else mobile).build
        built = (build(space.configuration(row)).eval() for row in some)
        singles = [predict(model, table, SHAPE, exact=False).latency_us for model in built]
        worst = 100 * float(np.max(np.abs(space.latency_us(some) / np.array(singles) - 1)))
        lines.append(line(f"{title}: largest difference from single predictions, 24 random ones", [worst], "%",
                          target="0.1 %", met=worst <= 0.1))
    budget = float(np.quantile(large.latency_us(rows[:10_000]), 0.01))
    scores = np.random.default_rng(1).random(1_000_000)
    for what, work in (
        ("the 100 fastest of 12^11 networks", lambda: large.fastest(100)),
        ("all 6,561 ResNets within a budget, sorted", lambda: small.within(1e9)),
        ("10,000 uniform draws from the fastest 1 %", lambda: large.sample(10_000, budget_us=budget)),
        ("the Pareto front of 1,000,000 networks", lambda: large.pareto(rows[:1_000_000], scores)),
    ):
        lines.append(line(what, [1e3 * statistics.median(seconds(work) for _ in range(3)) for _ in range(REPETITIONS)],
                          "ms"))
    configs = [small.configuration(row) for row in small.sample(40, seed=9)]
    cores = len(os.sched_getaffinity(0))
    single, several = [], []
    for _ in range(REPETITIONS):
        for found, workers in ((single, 1), (several, cores)):
            tables.forget()
            found.append(seconds(lambda workers=workers: mmt.predict_many(
                configs, small.table, SHAPE, build=resnet.build, workers=workers)) / len(configs) * 1e3)
    lines.append(line(f"predict_many, building included, {cores} processes, per model", several, "ms"))
    lines.append(line("the same in one process", single, "ms",
                      note=f"{statistics.median(single) / statistics.median(several):.2f} x the time"))
    return lines
