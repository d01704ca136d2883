"""Models of many kinds, from a scan to a prediction, on the real engine: nothing is missing, kernels are its own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from small_models import KINDS, measured

from mmt.predict import Prediction, predict

#: Kinds whose composed kernels are not the engine's: how many more copies are composed than the engine makes.
KNOWN_EXTRA_COPIES = {"conv1d": -1}
#: Kinds whose composition doubts itself, and by how many kernels it is wrong; two elsewhere.
DOUBTED = {"conv1d, elu": 5}


def edges(prediction: Prediction) -> Counter[tuple[str, str]]:
    """How often a kernel of one type reads what one of another wrote."""
    kernels = prediction.kernels
    return Counter((kernels[read]["type"], kernel["type"]) for kernel in kernels for read in kernel["reads"])


@pytest.mark.parametrize("name", KINDS)
def test_scan_meter_predict(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    model = measured(kind, tmp_path)
    composed = predict(model, tmp_path, kind.shapes, dtype=kind.dtype, exact=False)
    exact = predict(model, tmp_path, kind.shapes, dtype=kind.dtype, exact=True)
    assert composed.missing == []
    assert composed.latency_us > 0
    # Weights decide a file's size and the session's memory; small models have as much around them.
    assert composed.parameters == exact.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert composed.flops == exact.flops > 0
    assert abs(composed.size_mb - exact.size_mb) < 0.005
    assert composed.memory["known"]
    assert composed.memory_mib == pytest.approx(exact.memory_mib, rel=0.1)
    ours, theirs = (Counter(kernel["type"] for kernel in p.kernels) for p in (composed, exact))
    different = (ours - theirs) + (theirs - ours)
    if composed.doubts:  # It says itself that kernels may differ; `exact="auto"` reads the schedule then.
        assert different.total() <= DOUBTED.get(name, 2)
        assert predict(model, tmp_path, kind.shapes, dtype=kind.dtype).how == "exact"
    else:
        assert ours["Raster"] - theirs["Raster"] == KNOWN_EXTRA_COPIES.get(name, 0)
        assert different.total() == abs(KNOWN_EXTRA_COPIES.get(name, 0))
        texts, others = (Counter(kernel["text"] for kernel in p.kernels) for p in (composed, exact))
        assert ((texts - others) + (others - texts)).total() == abs(KNOWN_EXTRA_COPIES.get(name, 0))
    if not different and edges(exact):
        assert edges(composed) == edges(exact)
