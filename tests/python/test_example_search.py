"""The search example on a small space: the limit holds, the best is found, the front is one and is drawn."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from test_predict_remembered import SHAPE, write_table
from torch import nn

from mmt.space_eval import LatencySpace


def build(config):
    return nn.Sequential(*(nn.Conv2d(8, 8, k, padding=k // 2) for k in config.values())).eval()


def test_evolution_finds_the_best_network_within_the_limit(tmp_path, load_file):
    search = load_file("examples/search/search.py")
    kernels = [1, 3, 5]
    operators = [(nn.Conv2d(8, 8, k, padding=k // 2), 10.0 * k) for k in kernels]
    folder = write_table(tmp_path / "ops", operators)
    space = LatencySpace(build, {f"layer{i}": kernels for i in range(5)}, SHAPE, folder)
    worth = np.array([1.0, 2.0, 5.0, 3.0, 4.0])

    def score(rows):
        return (rows * worth).sum(axis=1)

    limit_us = float(np.median(space.latencies()))
    found = search.evolve(space, score, limit_us, generations=8, population=40)
    assert found.latency_us.max() <= limit_us
    everything = space.within(limit_us).rows
    assert found.scores.max() == score(everything).max()
    assert np.allclose(found.latency_us, space.latency_us(found.rows))
    front = list(zip(found.latency_us[found.front], found.scores[found.front], strict=True))
    assert front == sorted(front)
    assert all(a[1] < b[1] for a, b in itertools.pairwise(front))
    assert found.scores[found.front].max() == found.scores.max()
    pytest.importorskip("plotly")
    search.draw(found, tmp_path / "front.html", "worth")
    assert "Pareto front" in (tmp_path / "front.html").read_text()
