"""The array evaluator of search spaces and the Gaussian process, as Python sees them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mmt import _core
from mmt._core.space_table import SpaceTable, pareto_front

FEATURES = ["hot_us", "cold_extra_us", "kernels", "footprint_bytes", "weight_bytes"]
SIZES = [3, 2, 4, 3]


def cold_share(footprint_bytes: float) -> float:
    return min(1.0, footprint_bytes / 1e6)


@pytest.fixture
def space() -> tuple[SpaceTable, np.ndarray, np.ndarray]:
    """A compiled space, all its configurations, and their latencies by the definition."""
    rng = np.random.default_rng(5)
    base = np.array([100.0, 10.0, 5.0, 1e5, 1e4])
    table = SpaceTable(SIZES, FEATURES, base)
    scale = np.array([50.0, 20.0, 3.0, 3e5, 1e4])
    deltas = [rng.uniform(0, 1, (size, len(FEATURES))) * scale for size in SIZES]
    for slot, values in enumerate(deltas):
        for choice, delta in enumerate(values):
            table.set_choice(slot, choice, delta)
    pair = rng.uniform(-1, 1, len(FEATURES)) * scale * 0.1
    table.set_pair(1, 1, 2, 3, pair)
    table.compile(run_overhead_us=7.0, kernel_overhead_us=0.5, cold_share=cold_share)
    rows = np.array(list(itertools.product(*(range(size) for size in SIZES))))
    paired = (rows[:, 1] == 1) & (rows[:, 2] == 3)
    sums = base + sum(deltas[slot][rows[:, slot]] for slot in range(len(SIZES))) + np.outer(paired, pair)
    share = np.minimum(1.0, sums[:, 3] / 1e6)
    return table, rows, 7.0 + sums[:, 0] + 0.5 * sums[:, 2] + share * sums[:, 1]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64", "uint32"])
def test_latency_for_every_integer_type(space, dtype) -> None:
    table, rows, expected = space
    np.testing.assert_allclose(table.latency_us(rows.astype(dtype)), expected, rtol=1e-5)
    assert table.configurations == len(rows)


def test_rows_that_are_not_contiguous_and_lists(space) -> None:
    table, rows, expected = space
    np.testing.assert_allclose(table.latency_us(np.asfortranarray(rows)[::2]), expected[::2], rtol=1e-5)
    np.testing.assert_allclose(table.latency_us(rows.tolist()), expected, rtol=1e-5)
    assert table.latency_us(rows[:0]).shape == (0,)


def test_wrong_rows_are_errors(space) -> None:
    table, rows, _ = space
    for wrong in (rows[:, :3], rows.astype(float), rows + 4, -1 - rows, rows[0]):
        with pytest.raises(_core.MmtError) as caught:
            table.latency_us(wrong)
        assert caught.value.code == "invalid_argument"


def test_enumeration_and_features(space) -> None:
    table, rows, expected = space
    np.testing.assert_array_equal(table.enumerate(0, len(rows)), rows)
    np.testing.assert_allclose(table.enumerate_latency_us(3, 10), expected[3:13], rtol=1e-5)
    sums = table.feature_sums(rows, ["weight_bytes", "kernels"])
    assert sums.shape == (len(rows), 2)
    assert sums[0, 1] < 20 < sums[0, 0]
    with pytest.raises(_core.MmtError):
        table.feature_sums(rows, ["colour"])


def test_searches_equal_trying_everything(space) -> None:
    table, rows, expected = space
    order = np.sort(expected)
    found, latency, complete = table.fastest(10)
    assert complete
    np.testing.assert_allclose(latency, order[:10], rtol=1e-6)
    np.testing.assert_allclose(table.latency_us(found), latency, rtol=1e-5)

    budget = float(order[20]) * (1 + 1e-6)
    found, latency, complete = table.within(budget)
    assert complete
    assert len(found) == 21

    found, latency, complete = table.sample_within(budget, 500, seed=3)
    assert complete
    assert latency.max() <= budget
    assert len(np.unique(found, axis=0)) == 21

    weights = table.feature_sums(rows, ["weight_bytes"])[:, 0]
    most = float(np.median(weights))
    _, latency, _ = table.fastest(1, limits={"weight_bytes": most})
    np.testing.assert_allclose(latency[0], expected[weights <= most].min(), rtol=1e-6)


def test_pareto_front() -> None:
    np.testing.assert_array_equal(pareto_front([3.0, 1.0, 2.0, 2.0], [5.0, 1.0, 4.0, 9.0]), [1, 3])
