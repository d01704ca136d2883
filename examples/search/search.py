"""An evolutionary search under a latency limit, and its Pareto front as a page.

    python examples/search/search.py --ops FOLDER [--limit-ms 2.0] [--page front.html]

FOLDER holds the measured operators of examples/mobilenetv3. The score is any function of configurations: here the work
of a network (MFLOP) stands for its accuracy; put the accuracy of a supernet or a predictor in its place.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmt.space_eval import LatencySpace

Score = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Found:
    """Rows of a space with latencies (microseconds) and scores; `front` are the indices of the Pareto front."""

    rows: np.ndarray
    latency_us: np.ndarray
    scores: np.ndarray
    front: np.ndarray


def evolve(
    space: LatencySpace,
    score: Score,
    limit_us: float,
    *,
    generations: int = 20,
    population: int = 200,
    mutation: float = 0.15,
    seed: int = 1,
) -> Found:
    """Keeps the better half of each generation, crosses and changes it; nothing slower than `limit_us` survives.

    `score`: rows (n, slots) -> values (n,), higher is better. Returns everything that was tried within the limit.
    """
    generator = np.random.default_rng(seed)
    sizes = np.array([len(choices) for choices in space.slots.values()])
    parents = np.asarray(space.sample(population, seed, budget_us=limit_us), dtype=np.int32)
    tried = parents
    for _ in range(generations):
        best = parents[np.argsort(-score(parents), kind="stable")[: max(2, len(parents) // 2)]]
        # Children take each slot from one of two parents, or draw it anew.
        mothers, fathers = (best[generator.integers(0, len(best), 4 * population)] for _ in range(2))
        children = np.where(generator.random(mothers.shape) < 0.5, mothers, fathers)
        fresh = generator.integers(0, sizes, children.shape, dtype=np.int32)
        children = np.where(generator.random(children.shape) < mutation, fresh, children).astype(np.int32)
        children = children[space.latency_us(children) <= limit_us][:population]
        parents = np.unique(np.concatenate([best, children]), axis=0)
        tried = np.unique(np.concatenate([tried, children]), axis=0)
    latency_us, scores = space.latency_us(tried), score(tried)
    return Found(tried, latency_us, scores, space.pareto(tried, scores))


def draw(found: Found, path: Path, score_name: str) -> None:
    """An HTML page with everything that was tried and the front; needs plotly."""
    import plotly.graph_objects as graph

    figure = graph.Figure()
    figure.add_scattergl(
        x=found.latency_us / 1000, y=found.scores, mode="markers", name="tried", marker={"size": 3, "opacity": 0.4}
    )
    figure.add_scatter(
        x=found.latency_us[found.front] / 1000, y=found.scores[found.front], mode="lines+markers", name="Pareto front"
    )
    figure.update_layout(xaxis_title="latency, ms", yaxis_title=score_name, title="Networks within the limit")
    figure.write_html(str(path), include_plotlyjs=True)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--ops", type=Path, required=True, help="folder of measured operators")
    arguments.add_argument("--limit-ms", type=float, help="by default halfway between the fastest and a typical one")
    arguments.add_argument("--page", type=Path, default=Path("front.html"))
    options = arguments.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "mobilenetv3"))
    from space import INPUT_SHAPE, SLOTS, build

    space = LatencySpace(build, SLOTS, INPUT_SHAPE, options.ops)
    typical = float(np.median(space.latency_us(space.sample(10_000))))
    limit_us = 1000 * options.limit_ms if options.limit_ms else (space.fastest(1).latency_us[0] + typical) / 2

    def work(rows: np.ndarray) -> np.ndarray:
        return space.sums(rows, ["mflops"])[:, 0]

    found = evolve(space, work, limit_us)
    draw(found, options.page, "MFLOP")
    best = found.front[-1]
    print(f"{len(found.rows)} networks of {space.size:.1e} tried within {limit_us / 1000:.3f} ms; the front has "
          f"{len(found.front)}: {options.page}")  # fmt: skip
    print(f"best score {found.scores[best]:.4g} at {found.latency_us[best] / 1000:.3f} ms: "
          f"{[tuple(choice) for choice in space.configuration(found.rows[best]).values()]}")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
