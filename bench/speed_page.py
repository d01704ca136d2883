"""docs/performance.md from the figures of bench/results/speed.json."""

from __future__ import annotations

from typing import Any

TITLES = {
    "predict": "Predicting one model",
    "model": "Size of the model",
    "table": "Size of the table",
    "space": "Search spaces",
    "generate": "Generating",
    "meter": "Metering",
    "cpp": "The C++ parts alone",
}

_HEAD = """# Performance

Made by `make bench`; the figures of each part are those of its last run, one core unless a line says otherwise. The
classic way ([bench/classic](../bench/classic/__init__.py)) is a small reconstruction of how such tools work: PyTorch's
exporter and a converter process for each operator, a process with 100 runs for each operator; and for each prediction
reading the table (a file that lists the operators, and a small file with the class of each), a full forward pass, and a
look-up by class, shape and printed text, row after row. The public tool that works so
([makerlin1/MMT](https://github.com/makerlin1/MMT) 2.2.8, without its calls for a GPU) took 5.9, 6.2 and 14.4 ms on the
AVX-512 server to predict MobileNetV3-small from tables of 48, 110 and 960 operators. Both sides run in turns
in one process; "±" is how far two repetitions are apart (empty where there was one). A missed target is marked.

Ratios to the classic prediction differ because its forward pass does: a ResNet-18 of large kernels takes 60 ms, a
MobileNetV3-small 5 ms, what is read of the table 15 us per operator. What MMT takes depends on how many modules a model
has, whatever they compute. So MobileNetV3-small, many small modules that are computed quickly, is its worst case.
On the slower machine that made and metered operators for the figures below, a MobileNetV3-small that was not seen
before took 7.6 ms against 25.1 (3.3 x), a ResNet-18 6.5 against 202 (31 x), new mixes of seen modules 2.4 and 1.3 ms,
the first prediction in a process 32 against 29.

A prediction reads the rows that it names, whatever else the table holds. What is known of a model is remembered by its
structure (attributes, children, shapes, code of its classes), so that a model that was seen is looked at but not walked
again; changed attributes and code are noticed. Many models: `mmt.predict_many` (forked processes that share one table
file). Millions of them: `LatencySpace`, as in [the search example](../examples/search/search.py).
"""


def page(results: dict[str, Any]) -> str:
    """The whole page."""
    parts = [_HEAD]
    for name, title in TITLES.items():
        if name not in results:
            continue
        section = results[name]
        run = (f"Run at {section['when']}, {section['seconds']:.0f} s, PyTorch {section['torch']}, on "
               f"{section['machine']}.")
        parts.append(f"\n## {title}\n\n{run}\n")
        parts.append("| what | figure | ± | classic | ratio | target | met | |\n|---|---|---|---|---|---|---|---|")
        parts += [_row(line) for line in section["lines"]]
    return "\n".join(parts).rstrip() + "\n"


def _row(line: dict[str, Any]) -> str:
    classic = f"{_number(line['classic'])} {line['unit']}" if "classic" in line else ""
    ratio = f"{_number(line['ratio'])} x" if "ratio" in line else ""
    met = {None: "", True: "yes", False: "**missed**"}[line["met"]]
    spread = f"{line['spread_pct']:.0f} %" if line["spread_pct"] else ""  # measured once
    cells = (line["what"], f"{_number(line['value'])} {line['unit']}", spread, classic, ratio,
             line["target"], met, line["note"])  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
