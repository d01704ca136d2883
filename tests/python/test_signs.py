"""Operators that branch on signs are fed with signs as predictable as they are inside the model."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmt.manifest import read_manifest
from mmt.torch_side.scan import find_operators, scan
from mmt.torch_side.signs import SignChanges, values_for
from mmt.torch_side.structure import TensorSpec


def as_the_engine_fills(low, high, shared, count=1 << 18):
    """src/engine/input_values.h: 256 neighbours have a share of the range in common."""
    random = np.random.default_rng(0)
    offsets = np.repeat(random.random(count // 256), 256)
    return low + (high - low) * (shared * offsets + (1 - shared) * random.random(count))


@pytest.mark.parametrize("changes", [0.0, 0.02, 0.1, 0.166, 0.25, 0.4, 0.47, 0.49, 0.5])
def test_values_change_their_signs_as_often(changes):
    negative = as_the_engine_fills(*values_for(changes)) < 0
    assert np.mean(negative[1:] != negative[:-1]) == pytest.approx(changes, abs=0.015)


def test_noise_is_noise():
    assert values_for(0.5) == values_for(0.6) == (-1.0, 1.0, 0.0)
    lows = [values_for(changes / 100)[0] for changes in range(51)]
    assert lows == sorted(lows, reverse=True)
    shares = [values_for(changes / 200)[2] for changes in range(101)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 0.35


class OneSided(nn.Module):
    """Channels of the first ELU keep their signs, the second one's input is noise."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        with torch.no_grad():
            self.conv.bias.copy_(torch.tensor([9.0, -9.0] * 4))
        self.act = nn.ELU()
        self.slope = nn.PReLU()

    def forward(self, x):
        return self.act(self.conv(x)), F.elu(x), self.slope(self.conv(x)[:, :4])


def name_of(class_name):
    return class_name.rpartition(".")[2].lower()


def test_a_model_tells_how_often_signs_change():
    model = OneSided().train()
    signs = SignChanges.inside(model, [TensorSpec((1, 3, 16, 16), "float32")])
    assert signs.values("elu", (1, 8, 16, 16))[0] > -0.1
    assert signs.values("celu", (1, 3, 16, 16)) == (-1.0, 1.0, 0.0)
    assert signs.values("prelu", (1, 4, 16, 16))[0] > -0.1
    assert signs.values("elu", (1, 4, 16, 16)) is None
    assert signs.values("relu", (1, 8, 16, 16)) is None
    assert model.training
    assert model.act.training


@pytest.mark.parametrize("level", ["layer", "auto"])
def test_scanned_operators_get_these_signs(level):
    ranges = {(name_of(item.operator.class_name), item.operator.inputs[0].shape): item.operator.ranges
              for item in find_operators(OneSided(), (1, 3, 16, 16), level).found}
    assert ranges["elu", (1, 3, 16, 16)] == [(-1.0, 1.0, 0.0)]
    assert ranges["elu", (1, 8, 16, 16)][0][0] > -0.1
    assert ranges["prelu", (1, 4, 16, 16)][0][0] > -0.1
    assert all(value is None for (name, _), value in ranges.items() if name not in ("elu", "prelu"))


def test_the_folder_keeps_them(tmp_path):
    scan(OneSided(), (1, 3, 16, 16), tmp_path, complete=False)
    inputs = {(name_of(entry["class"]), tuple(entry["inputs"][0]["shape"])): entry["inputs"][0]
              for entry in read_manifest(tmp_path).entries.values()}
    assert inputs["elu", (1, 8, 16, 16)]["low"] > -0.1
    assert inputs["elu", (1, 8, 16, 16)]["shared"] == 0.35
    assert inputs["elu", (1, 3, 16, 16)]["low"] == -1
    assert inputs["elu", (1, 3, 16, 16)]["shared"] == 0


def test_a_model_that_does_not_run_on_noise_is_scanned_and_said_so(monkeypatch):
    def refuse(model, inputs):
        raise ValueError("zeros only")

    monkeypatch.setattr(SignChanges, "inside", refuse)
    report = find_operators(OneSided(), (1, 3, 16, 16))
    assert report.found
    assert "zeros only" in str(report)
    assert not any(item.operator.ranges for item in report.found)


def test_indices_stay_legal():
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(10, 8)

        def forward(self, words):
            return F.elu(self.table(words))

    assert SignChanges.inside(Words(), [TensorSpec((1, 5), "int64")]).values("elu", (1, 5, 8)) is not None
