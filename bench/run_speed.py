"""Speed against the classic way of making tables (bench/classic): bench/results/speed.json, docs/performance.md.

    python bench/run_speed.py [--only predict table space generate meter cpp] [--cpp FOLDER]

Both sides run in one process on one core, in turns, twice; a line gives the median of both and how far the two
repetitions are apart. Sections that are not run keep the figures that they had.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
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
from classic.generate import generate as classic_generate
from classic.meter import meter as classic_meter
from classic.predict import predict as classic_predict
from speed_page import page

import mmt
from mmt.converter import generate_ops_list
from mmt.meter import meter_ops
from mmt.predict import LatencyTable, predict
from mmt.space_eval import LatencySpace
from mmt.torch_side.convert import contexts_for, onnx_to_mnn
from mmt.torch_side.export import onnx_of_contexts
from mmt.torch_side.structure import TensorSpec

ROOT, WORK, SHAPE = tables.ROOT, tables.WORK, tables.SHAPE
REPETITIONS = 2
EXAMPLES = {"mobilenetv3": "MobileNetV3-small", "resnet": "ResNet-18"}

Lines = list[dict[str, Any]]


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def line(what: str, values: list[float], unit: str, *, target: str = "", met: bool | None = None,
         classic: list[float] | None = None, least_ratio: float = 0, note: str = "") -> dict[str, Any]:
    """One line of the report. `values`, `classic`: one per repetition, the same unit."""
    value = statistics.median(values)
    spread = 100 * (max(values) - min(values)) / value if value else 0.0
    row: dict[str, Any] = {"what": what, "value": value, "unit": unit, "spread_pct": spread, "target": target}
    if classic:
        row["classic"] = statistics.median(classic)
        row["ratio"] = row["classic"] / value
        if least_ratio:
            row["target"] = f"{target}, {least_ratio:g} x classic".lstrip(", ")
            met = (met is not False) and row["ratio"] >= least_ratio
    row["met"] = met
    row["note"] = note
    print(f"  {what}: {value:.4g} {unit} (±{spread:.0f} %)"
          + (f", classic {row['classic']:.4g}, {row['ratio']:.1f} x" if classic else "")
          + ("" if met is None else ", met" if met else ", MISSED"), flush=True)
    return row


def predicting() -> Lines:
    """One model at a time."""
    lines = []
    for name, title in EXAMPLES.items():
        folder = tables.example_folder(name)
        classic = tables.classic_table(name, folder)
        models = tables.random_models(name, 12, seed=5)
        with torch.device("meta"):  # these are never run: no memory for their weights
            warm_up = tables.random_models(name, 60, seed=6)
        cold, fresh, seen, old = ([] for _ in range(4))
        for _ in range(REPETITIONS):
            times: dict[str, list[float]] = {"cold": [], "old": [], "fresh": [], "seen": []}
            for model in models:
                tables.forget()
                table = LatencyTable.open(str(folder))
                times["cold"].append(seconds(lambda model=model, table=table: predict(model, table, SHAPE)))
                times["old"].append(seconds(lambda model=model, rows=classic: classic_predict(model, rows, SHAPE)))
            tables.forget()
            for model in warm_up:
                predict(model, table, SHAPE)
            times["fresh"] = [seconds(lambda m=model, t=table: predict(m, t, SHAPE)) for model in models]
            times["seen"] = [seconds(lambda m=model, t=table: predict(m, t, SHAPE)) for model in models]
            for target, key in ((cold, "cold"), (old, "old"), (fresh, "fresh"), (seen, "seen")):
                target.append(1e3 * statistics.median(times[key]))
        lines += [
            line(f"{title} not seen before, nothing remembered, table just opened", cold, "ms", target="5 ms",
                 met=statistics.median(cold) <= 5, classic=old, least_ratio=15),
            line(f"{title}, a new combination of modules that were seen", fresh, "ms", target="1 ms",
                 met=statistics.median(fresh) <= 1, classic=old),
            line(f"{title} seen before", seen, "ms", target="1 ms", met=statistics.median(seen) <= 1, classic=old),
        ]
    folder = tables.example_folder("mobilenetv3")
    model = tables.random_models("mobilenetv3", 1, seed=7)[0]
    for rows in (110, 960):
        classic = tables.classic_table("mobilenetv3", folder, rows)
        old = [
            1e3 * statistics.median(seconds(lambda t=classic: classic_predict(model, t, SHAPE)) for _ in range(5))
            for _ in range(REPETITIONS)
        ]
        lines.append(line(f"the classic way with {rows} operators in its table", old, "ms"))
    first = [_first_prediction(folder) for _ in range(REPETITIONS)]
    lines.append(line("first prediction in a process (PyTorch loaded; MMT's modules and table not)", first, "ms"))
    return lines


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


def _first_prediction(folder: Path) -> float:
    command = [sys.executable, "-c", _FIRST, str(folder), str(ROOT / "examples" / "mobilenetv3")]
    return statistics.median(
        float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]) for _ in range(3)
    )


def table_size() -> Lines:
    """The same models from tables of 1,000 to 1,000,000 kernel rows."""
    folder = tables.example_folder("mobilenetv3")
    sizes = (1_000, 10_000, 100_000, 1_000_000)
    folders = {size: tables.grown_table(folder, size) for size in sizes}
    models = tables.random_models("mobilenetv3", 16, seed=8)
    cold: dict[int, list[float]] = {size: [] for size in sizes}
    warm: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(REPETITIONS):
        times: dict[int, list[float]] = {size: [] for size in sizes}
        opened = {size: LatencyTable.open(str(path)) for size, path in folders.items()}
        for number, model in enumerate(models):
            for size in sizes[number % 4 :] + sizes[: number % 4]:
                path = folders[size]
                tables.forget()
                fresh = LatencyTable.open(str(path))
                times[size].append(seconds(lambda m=model, t=fresh: predict(m, t, SHAPE)))
        for size in sizes:
            cold[size].append(1e3 * statistics.median(times[size]))
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
    lines = []
    for kind, found in (("nothing remembered", cold), ("modules seen", warm)):
        for size in sizes:
            growth = statistics.median(found[size]) / statistics.median(found[sizes[0]])
            lines.append(line(f"MobileNetV3-small, {kind}, {size:,} kernel rows", found[size], "ms",
                              target="" if size == sizes[0] else "within 10 % of 1,000 rows",
                              met=None if size == sizes[0] else growth <= 1.1,
                              note=f"{growth:.2f} of the time with 1,000 rows"))
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


def spaces() -> Lines:
    """Search spaces as arrays."""
    lines = []
    resnet, mobile = tables.example_space("resnet"), tables.example_space("mobilenetv3")
    folders = {name: tables.example_folder(name) for name in EXAMPLES}
    classic = tables.classic_table("resnet", folders["resnet"])
    model = tables.random_models("resnet", 1, seed=1)[0]
    one = [seconds(lambda: classic_predict(model, classic, SHAPE)) for _ in range(3)]
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


_PLAIN = """torch.nn:
  Conv2d:
    in_channels: [16, 24, 32, 48, 64, 96]
    input_shape: [[1, 16, 28, 28], [1, 24, 28, 28], [1, 32, 28, 28], [1, 48, 28, 28], [1, 64, 28, 28], [1, 96, 28, 28]]
    out_channels: [16, 32, 64]
    kernel_size: [1, 3, 5]
    padding: 2
  BatchNorm2d:
    num_features: [16, 24, 32, 48, 64, 96]
    input_shape: [[1, 16, 28, 28], [1, 24, 28, 28], [1, 32, 28, 28], [1, 48, 28, 28], [1, 64, 28, 28], [1, 96, 28, 28]]
  Linear:
    in_features: [64, 128, 256, 512]
    input_shape: [[1, 64], [1, 128], [1, 256], [1, 512]]
    out_features: [10, 100, 200, 400, 600, 800, 1000]
  ReLU:
    no_params: true
    input_shape: [[1, 16, 28, 28], [1, 24, 28, 28], [1, 32, 28, 28], [1, 48, 28, 28], [1, 64, 28, 28], [1, 96, 28, 28]]
  MaxPool2d:
    kernel_size: [2, 2, 2, 2, 2, 2]
    input_shape: [[1, 16, 28, 28], [1, 24, 28, 28], [1, 32, 28, 28], [1, 48, 28, 28], [1, 64, 28, 28], [1, 96, 28, 28]]
"""


def generating() -> Lines:
    """Operators to .mnn files; each of ours in both contexts, the classic ones in one."""
    lines = []
    WORK.mkdir(parents=True, exist_ok=True)
    plain = WORK / "plain.yaml"
    plain.write_text(_PLAIN, encoding="utf-8")
    for title, path, sample, target in (
        ("plain layers", plain, 12, 100), ("MobileNetV3 blocks", ROOT / "examples/mobilenetv3/ops.yaml", 6, 0),
    ):  # fmt: skip
        listed = list(mmt.space.resolve(mmt.space.load(path), path.parent).operators())
        step = max(1, len(listed) // sample)
        ours, here, old = [], [], []
        report = None
        for repetition in range(REPETITIONS):
            folder = WORK / f"generated_{repetition}"
            shutil.rmtree(folder, ignore_errors=True)
            report = generate_ops_list(path, folder, workers=1)
            ours.append(1e3 * report.seconds / max(1, report.new))
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            chosen = [(operator.build(), operator.input_shapes) for operator in listed[::step]]
            start = time.perf_counter()
            for number, (module, shapes) in enumerate(chosen):
                classic_generate(module, shapes, folder / f"{number}.mnn")
            old.append(1e3 * (time.perf_counter() - start) / len(chosen))
            start = time.perf_counter()
            for number, (module, shapes) in enumerate(chosen):
                specs = [TensorSpec(tuple(shape)) for shape in shapes]
                contexts = contexts_for([(spec.shape, spec.dtype) for spec in specs])
                for context, result in onnx_of_contexts(module.eval(), specs, contexts).items():
                    onnx_to_mnn(result.onnx_bytes, str(folder / f"{number}.{context}.mnn"))
            here.append(1e3 * (time.perf_counter() - start) / len(chosen))
            module, shapes = chosen[0]
            process = 1e3 * seconds(lambda m=module, s=shapes, f=folder: classic_generate(m, s, f / "p.mnn", True))
        assert report is not None
        rate = 1000 / statistics.median(here)
        lines.append(line(
            f"{title}: export and conversion in both contexts, per operator", here, "ms",
            target=f"{target} operators/s" if target else "", met=rate >= target if target else None, classic=old,
            least_ratio=10 if target else 0, note=f"{rate:.0f} operators/s"))
        lines.append(line(
            f"{title}: `mmt generate` of {report.new}, one worker and its start included, per operator", ours, "ms",
            classic=old,
            note=f"{1000 / statistics.median(ours):.0f} operators/s; {len(report.fallbacks)} of {report.new} through "
                 f"PyTorch's exporter; the classic way with a converter process: {process:.0f} ms"))
    return lines


def metering() -> Lines:
    """The MobileNetV3 operators, one thread."""
    source = tables.example_folder("mobilenetv3")
    folder = WORK / "metered"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("latency.*"))
    files = sorted(path for path in (folder / "models").glob("*.mnn") if ".packed" not in path.name)
    chosen = files[:: max(1, len(files) // 8)]
    old = [seconds(lambda path=path: classic_meter(path)) for path in chosen]
    one_by_one = statistics.mean(old) * len(files)
    report = meter_ops(folder, budget="60s")
    models = tables.random_models("mobilenetv3", 20, seed=11)
    full = [predict(model, str(folder), SHAPE).latency_us for model in models]
    lines = [
        line(f"{report.measured} models of 110 operators, at most 100 samples each, --budget 60s", [report.wall_s], "s",
             target="60 s", met=report.wall_s <= 61, classic=[one_by_one], least_ratio=3,
             note=f"{report.rounds} rounds; classic: 100 runs of each operator in a process of its own, plain context "
                  f"only, extrapolated from {len(chosen)} operators" + ("; the budget ended the run" if
                                                                          report.budget_ended else "")),
        line("share of that time inside the engine", [100 * report.engine_share], "%", target="85 %",
             met=report.engine_share >= 0.85),
        line("kernels that were measured already as part of another operator",
             [100 * report.kernels_shared / max(1, report.kernels_total)], "%",
             note=f"{report.kernels_shared} of {report.kernels_total}"),
    ]
    for name in ("latency.jsonl", "latency.db"):
        (folder / name).unlink(missing_ok=True)
    short = meter_ops(folder, budget="30s")
    quick = [predict(model, str(folder), SHAPE).latency_us for model in models]
    away = 100 * float(np.mean(np.abs(np.array(quick) / np.array(full) - 1)))
    lines.append(line("--budget 30s: mean difference of 20 predictions from those of the 60 s table", [away], "%",
                      note=f"took {short.wall_s:.1f} s; differences of the machine's speed between the runs included"))
    return lines


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


def main() -> int:
    sections: dict[str, Callable[[], Lines]] = {
        "predict": predicting, "table": table_size, "space": spaces, "generate": generating, "meter": metering,
        "cpp": lambda: cpp(options.cpp),
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
        lines = sections[name]()
        results[name] = {
            "lines": lines, "seconds": round(time.perf_counter() - start, 1), "torch": torch.__version__,
            "mmt": mmt.__version__, "cores": os.cpu_count(), "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }  # fmt: skip
        target.write_text(json.dumps(results, indent=1), encoding="utf-8")
        (ROOT / "docs" / "performance.md").write_text(page(results), encoding="utf-8")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
