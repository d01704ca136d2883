"""Predicting many models in forked processes: the same answers in the same order, and errors arrive."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_predict_remembered import SHAPE, write_table
from torch import nn

import mmt
from mmt.predict import open_table, predict

KERNELS = (1, 3, 5)


def build(kernels: tuple[int, ...]) -> nn.Module:
    return nn.Sequential(*(nn.Conv2d(8, 8, k, padding=k // 2) for k in kernels)).eval()


def refuse(kernels: tuple[int, ...]) -> nn.Module:
    class Odd(ValueError):
        """Cannot be pickled: it is local."""

    raise Odd(f"no model of {kernels}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_table(tmp_path / "ops", [(nn.Conv2d(8, 8, k, padding=k // 2), 10.0 * k) for k in KERNELS])


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_answers_are_those_of_single_predictions_in_order(folder: Path, workers: int):
    configs = [(a, b) for a in KERNELS for b in KERNELS]
    table = open_table(folder)
    singles = [predict(build(config), table, SHAPE, exact=False).latency_us for config in configs]
    assert len(set(singles)) > 3
    built = mmt.predict_many([build(config) for config in configs], table, SHAPE, workers=workers)
    assert [answer.latency_us for answer in built] == singles
    from_configs = mmt.predict_many(configs, str(folder), SHAPE, build=build, workers=workers)
    assert from_configs == built
    assert built[0].latency_ms == singles[0] / 1000
    assert {answer.how for answer in built} == {"composed"}
    # The table goes on working here, and in a second round.
    assert mmt.predict_many(configs, table, SHAPE, build=build, workers=workers) == built
    assert predict(build((3, 3)), table, SHAPE, exact=False).latency_us == singles[4]


def test_nothing_to_do(folder: Path):
    assert mmt.predict_many([], folder, SHAPE) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_arrive(folder: Path, workers: int):
    with pytest.raises((ValueError, RuntimeError), match="no model of"):
        mmt.predict_many([(1, 1), (3, 3)], folder, SHAPE, build=refuse, workers=workers)
