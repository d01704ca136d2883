"""docs/accuracy.md from the figures of bench/results/accuracy.json."""

from __future__ import annotations

import math
from typing import Any

#: group -> what it is, and its targets: MAPE %, largest error %, share within 5 %.
GROUPS: dict[str, tuple[str, tuple[float, float, float]]] = {
    "spaces": ("Random variants of two search spaces, operators from the spaces' own ops.yaml", (1.0, 3.0, 1.0)),
    "levels": ("The same two, operators from `mmt.scan` as blocks, fused groups and layers", (2.0, 5.0, 0.98)),
    "zoo": ("Families of `bench/zoo`, operators from `mmt.scan` (mean over families: 2 %)", (4.0, 6.0, 0.97)),
    "sizes": ("One model at several input sizes and batches", (2.0, 5.0, 0.98)),
    "threads": ("Two threads", (1.0, 3.0, 1.0)),
    "aged": ("A table from an earlier process; only operators of 40 kernels stand in the models' rounds",
             (2.0, math.inf, 0.0)),
}  # fmt: skip
#: A figure under this times the noise floor of its run counts as met.
FLOORS = 1.2


_HEAD = """# Accuracy

Made by `make bench-accuracy`, set by set; each figure is that of the set's last run. Nothing in a table was fitted to a
whole model: times, overheads and the cache's pressure come from operators alone. The few constants of the cache model,
the same for all tables, were chosen while looking at models of `bench/zoo` and at variants of the two spaces. How the
figures were chosen and how much runs differ: [design](design.md#how-accuracy-is-shown).

All figures are errors in per cent. *Fresh*: predictions from operators that stand in the same rounds as the models.
*Now*: predictions from the table's own times in the machine's state of now: times one factor for its speed (*scale*:
the median ratio of the operators' hot times against the table's), with how cold chains of operators say that models
run. *Raw*: the table as it was metered, before the models. *Floor*: the same statistics between the even and the odd
rounds of the measured models. *Inside*: share of the models in the 95 % interval of *now*. A target counts as *met*
where the figure is under it or under 1.2 times the floor of its run: by fresh / by now. *Measured*: the day, and the
machine's last cache where the version of that day told it.
"""


def is_met(result: dict[str, Any], metrics: dict[str, Any]) -> bool:
    floor = result["noise_floor"]
    mape, largest, within = GROUPS[result["group"]][1]
    return (
        metrics["mape_pct"] <= max(mape, FLOORS * floor["mape_pct"])
        and metrics["max_pct"] <= max(largest, FLOORS * floor["max_pct"])
        and metrics["within_5pct"] >= min(within, floor["within_5pct"])
    )


def row(name: str, result: dict[str, Any]) -> str:
    fresh, now, floor = result["metrics"], result["scaled_metrics"], result["noise_floor"]
    aged = result["group"] == "aged"  # Its operators are not in the rounds.
    judged = [now] if aged else [fresh, now]
    cells = [
        name,
        str(now["count"]),
        "" if aged else f"**{fresh['mape_pct']:.2f}**",
        "" if aged else f"{fresh['bias_pct']:+.2f}",
        "" if aged else f"{fresh['max_pct']:.2f}",
        f"**{now['mape_pct']:.2f}**",
        f"{now['bias_pct']:+.2f}",
        f"{now['max_pct']:.2f}",
        f"{result['table_metrics']['mape_pct']:.2f}",
        f"{floor['mape_pct']:.2f} / {floor['max_pct']:.2f}",
        f"{result['reference_scale']:.3f}",
        f"{100 * inside(result) / len(result['models']):.0f} %",
        f"{now['spearman']:.3f}",
        " / ".join("yes" if is_met(result, metrics) else "no" for metrics in judged),
        measured(result),
    ]
    return "| " + " | ".join(cells) + " |"


def within_5(result: dict[str, Any], kind: str) -> int:
    """Models that a kind of prediction meets within 5 %."""
    return round(result[kind]["within_5pct"] * result[kind]["count"])


def measured(result: dict[str, Any]) -> str:
    """Day and machine of a row; rows of earlier versions know only the day."""
    day = str(result.get("made_at", ""))[:10]
    return day + (f", L3 {result['l3_mib']:.0f} MiB" if "l3_mib" in result else "")


def inside(result: dict[str, Any]) -> int:
    """Models whose truth lies in the table's 95 % interval on the scale of the run."""
    count = 0
    for model in result["models"]:
        # The rows hold the interval of the prediction with fresh operators; its relative width is the table's.
        below, above = model["low_us"] / model["predicted_us"], model["high_us"] / model["predicted_us"]
        middle = model.get("now_us") or result["reference_scale"] * model["table_us"]
        count += below * middle <= model["true_us"] <= above * middle
    return count


def page(results: dict[str, dict[str, Any]]) -> str:
    """docs/accuracy.md."""
    lines = [_HEAD]
    for group, (what, (mape, largest, within)) in GROUPS.items():
        mine = {name: result for name, result in results.items() if result["group"] == group}
        if not mine:
            continue
        target = f"MAPE {mape} %" + (f", max {largest} %, {100 * within:.0f} % within 5 %" if within else "")
        lines += [
            f"## {what}",
            "",
            f"Target per set: {target}.",
            "",
            "| set | models | fresh MAPE | bias | max | now MAPE | bias | max | raw MAPE | floor (MAPE / max) "
            "| scale | inside | Spearman | met | measured |",
            "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
            *(row(name, result) for name, result in mine.items()),
            "",
        ]
        if group == "aged":
            ages = ", ".join(f"{result['table_age_s'] / 60:.0f} min ({name})" for name, result in mine.items())
            lines += [f"Between the metering of the table and its judging: {ages}.", ""]
        if len(mine) > 2:
            kinds = ("metrics", "scaled_metrics", "table_metrics")
            means = [sum(result[kind]["mape_pct"] for result in mine.values()) / len(mine) for kind in kinds]
            shown = " / ".join(f"{mean:.2f}" for mean in means)
            models = sum(len(result["models"]) for result in mine.values())
            near = " / ".join(
                f"{100 * sum(within_5(result, kind) for result in mine.values()) / models:.1f}" for kind in kinds
            )
            lines += [
                f"Mean MAPE over the {len(mine)} sets: {shown} % (fresh / now / raw); of all their {models} models "
                f"{near} % within 5 %.",
                "",
            ]
    lines += after_calibration(results) + sizes(results) + coverage(results)
    return "\n".join(lines)


def after_calibration(results: dict[str, dict[str, Any]]) -> list[str]:
    mine = {name: result["calibrated"] for name, result in results.items() if "calibrated" in result}
    if not mine:
        return []
    lines = [
        "## After calibration on 8 measured models",
        "",
        "`mmt calibrate`, `latency_predictor`; the table's own predictions, the other models of "
        "the set. Target: 0.7 %.",
        "",
        "| set | models | MAPE before | MAPE after | max after | floor | met |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in mine.items():
        floor = results[name]["noise_floor"]["mape_pct"]
        met = "yes" if found["mape_pct"] <= max(0.7, FLOORS * floor) else "no"
        lines.append(
            f"| {name} | {found['models']} | {found['before_pct']:.2f} | **{found['mape_pct']:.2f}** | "
            f"{found['max_pct']:.2f} | {floor:.2f} | {met} |"
        )
    return [*lines, ""]


def sizes(results: dict[str, dict[str, Any]]) -> list[str]:
    lines = [
        "## Memory and file size",
        "",
        "Predicted from operators, composed predictions only. Targets: memory 5 % of the engine's "
        "own figure, file size 1 %.",
        "",
        "| set | models | memory MAPE | memory max | size MAPE | size max |",
        "|---|---|---|---|---|---|",
    ]
    for name, result in results.items():
        found = result.get("sizes", {})
        memory, size = found.get("memory", {}), found.get("size", {})
        if not memory.get("count") or not size.get("count"):
            continue
        lines.append(
            f"| {name} | {memory['count']} | {memory['mape_pct']:.2f} % | {memory['max_pct']:.2f} % | "
            f"{size['mape_pct']:.3f} % | {size['max_pct']:.3f} % |"
        )
    return [*lines, ""]


def coverage(results: dict[str, dict[str, Any]]) -> list[str]:
    models = sum(len(result["models"]) for result in results.values())
    right = sum(inside(result) for result in results.values())
    fresh = [model for result in results.values() if result["group"] != "aged" for model in result["models"]]
    fresh_share = sum(model["inside"] for model in fresh) / max(len(fresh), 1)
    return [
        "## Intervals",
        "",
        f"Of all {models} models above, {100 * right / models:.1f} % lie inside their 95 % interval in the state of "
        f"now, {100 * fresh_share:.1f} % of {len(fresh)} inside that of fresh operators (target: 91 to 99).",
        "",
    ]
