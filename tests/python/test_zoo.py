"""The zoo: every variant of every family builds, runs, and is the same model each time."""

from __future__ import annotations

import pytest
import torch
from zoo import Variant, families

VARIANTS = [
    pytest.param(variant, id=f"{family}/{variant.name}")
    for family, variants in families().items()
    for variant in variants
]


def test_there_are_enough_families_and_variants():
    assert len(families()) >= 12
    for family, variants in families().items():
        assert 3 <= len(variants) <= 7, family
        assert len({variant.name for variant in variants}) == len(variants), family


@pytest.mark.parametrize("variant", VARIANTS)
def test_forward(variant: Variant):
    with torch.inference_mode():
        outputs = variant.build()(*variant.example_inputs())
    for output in outputs if isinstance(outputs, tuple) else (outputs,):
        assert output.shape[0] == variant.inputs[0].shape[0]
        assert torch.isfinite(output).all()


def test_build_is_repeatable_and_leaves_the_generator_alone():
    variant = families()["residual"][2]
    before = torch.random.get_rng_state()
    first, second = variant.build().state_dict(), variant.build().state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
