"""Accuracy against whole models: bench/results/accuracy.json, docs/accuracy.md.

    python bench/run_accuracy.py [--sets GROUP …] [--models N] [--rounds N] [--seed N]

Per set: operators are converted and metered, whole models are measured in the same rounds as the operators (one drift
scale), predicted, and compared. The noise floor is the same statistic between the even and the odd rounds of the
measured models. Sets that were not run keep their last figures. Sets with an aged table keep the table of an earlier
call; where there is none, it is metered before everything else and judged after everything else.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from accuracy_page import page
from accuracy_sets import ModelSet, all_sets
from example_spaces import ROOT

from mmt._core.base import cpu_times
from mmt.meter import meter_ops
from mmt.predict import open_table
from mmt.predictor import latency_predictor
from mmt.validate import ValidationReport, validate

RESULTS = ROOT / "bench" / "results" / "accuracy.json"
#: Models that a calibration may see.
CALIBRATION = 8


def meter(one: ModelSet, folder: Path) -> Any:
    return meter_ops(folder, times=100, threads=one.threads, budget="60s", again=True)


def run_set(one: ModelSet, most: int, rounds: int, seed: int) -> dict[str, Any]:
    """Meters the operators of one set, where its table is not an aged one, and judges its models, `most` of them (0:
    all)."""
    start, before = time.monotonic(), cpu_times()
    folder = one.prepare()
    metered = None if one.aged else meter(one, folder)
    age_s = time.time() - (folder / "latency.jsonl").stat().st_mtime
    report = validate(
        folder,
        one.models[: most or None],
        one.inputs,
        dtype=one.dtype,
        rounds=rounds,
        split=False,
        with_ops=not one.aged,
        seed=seed,
    )
    after = cpu_times()
    result = report.to_dict() | {
        "group": one.group,
        "threads": one.threads,
        "table_age_s": age_s,
        "wall_s": time.monotonic() - start,
        "steal_pct": 100 * (after["steal"] - before["steal"]) / max(after["total"] - before["total"], 1),
        "engine_share": metered.engine_share if metered else None,
        "meter_s": metered.wall_s if metered else None,
        "l3_mib": open_table(folder).config["run"]["l3_bytes"] / 2**20,
        "made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    if one.calibrated and len(report.rows) > CALIBRATION:
        result["calibrated"] = calibrated(folder, report)
    print(f"== {one.name}: {result['wall_s']:.0f} s, steal {result['steal_pct']:.1f} %", flush=True)
    print(report.to_text(), flush=True)
    return result


def calibrated(folder: Path, report: ValidationReport) -> dict[str, float]:
    """Error on the other models after calibration on the first ones; predictions of the table as it was metered."""
    found = zip(report.table_predictions, report.rows, strict=True)
    pairs = [(prediction, row.true_us / 1e3) for prediction, row in found]
    predictor = latency_predictor.from_predictions(folder, pairs[:CALIBRATION])
    errors = [abs(predictor.correct(prediction)[0] / ms - 1) * 100 for prediction, ms in pairs[CALIBRATION:]]
    before = [abs(prediction.latency_ms / ms - 1) * 100 for prediction, ms in pairs[CALIBRATION:]]
    return {
        "models": len(errors),
        "mape_pct": statistics.fmean(errors),
        "max_pct": max(errors),
        "before_pct": statistics.fmean(before),
    }


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--sets", nargs="*", default=[], help="groups or names of sets; all by default")
    arguments.add_argument("--models", type=int, default=0, help="at most so many models per set")
    arguments.add_argument("--rounds", type=int, default=0, help="0: as each set says")
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    chosen = [one for one in all_sets(options.seed) if not options.sets or {one.name, one.group} & set(options.sets)]
    if not chosen:
        arguments.error("no such set; there are " + ", ".join(one.name for one in all_sets(options.seed)))
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    results = {name: result for name, result in results.items() if "group" in result}
    RESULTS.parent.mkdir(exist_ok=True)
    # Tables that are to be old when they are judged: first metered, judged last.
    aged = [one for one in chosen if one.aged]
    for one in aged:
        folder = one.prepare()
        if not (folder / "latency.jsonl").exists():
            meter(one, folder)
    for one in [*(one for one in chosen if not one.aged), *aged]:
        results[one.name] = run_set(one, options.models, options.rounds or one.rounds, options.seed)
        # After each set: an interrupted run keeps what it has.
        temporary = RESULTS.with_suffix(".part")
        temporary.write_text(json.dumps(results, indent=1), encoding="utf-8")
        os.replace(temporary, RESULTS)
        (ROOT / "docs" / "accuracy.md").write_text(page(results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
