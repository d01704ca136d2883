"""The examples' ops.yaml: as many operators as promised, and every part of every model is among them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mmt import space as spaces
from mmt.space.resolve import resolve
from mmt.torch_side.fingerprint import fingerprint


def operators(path: Path) -> tuple[set[str], int]:
    """Fingerprints of the operators that can be built, and how many were refused."""
    found, refused = set(), 0
    for operator in resolve(spaces.load(path), path.parent).operators():
        try:
            module = operator.build().eval()
        except ValueError:
            refused += 1
            continue
        found.add(fingerprint(module, operator.input_shapes))
    return found, refused


def parts(model: torch.nn.Module, input_shape: list[int], containers: tuple[type, ...]) -> Iterator[str]:
    """Fingerprints of the outermost modules of a model that are no containers, with the inputs that they get."""
    seen: list[tuple[torch.nn.Module, list[list[int]]]] = []

    def visit(module: torch.nn.Module) -> None:
        for child in module.children():
            if isinstance(child, containers):
                visit(child)
            else:
                child.register_forward_pre_hook(lambda m, xs: seen.append((m, [list(x.shape) for x in xs])))

    visit(model.eval())
    with torch.inference_mode():
        model(torch.zeros(input_shape))
    for module, _ in seen:
        module._forward_pre_hooks.clear()
    for module, shapes in seen:
        yield fingerprint(module, shapes)


@pytest.mark.parametrize(
    ("example", "count", "refused"), [("resnet", 23, 75), ("mobilenetv3", 110, 0), ("torch_nn", 27, 0)]
)
def test_number_of_operators(repository: Path, example: str, count: int, refused: int):
    found, dropped = operators(repository / "examples" / example / "ops.yaml")
    assert (len(found), dropped) == (count, refused)


@pytest.mark.parametrize(("example", "choices"), [("resnet", 3), ("mobilenetv3", 12)])
def test_every_block_of_the_space_is_listed(repository: Path, load_file, example: str, choices: int):
    space = load_file(f"examples/{example}/space.py")
    found, _ = operators(repository / "examples" / example / "ops.yaml")
    for index in range(choices):
        model = space.build({slot: values[index] for slot, values in space.SLOTS.items()})
        assert set(parts(model, space.INPUT_SHAPE, (torch.nn.Sequential,))) <= found


def test_every_layer_of_the_plain_network_is_listed(repository: Path):
    from network import INPUT_SHAPE, network

    found, _ = operators(repository / "examples" / "torch_nn" / "ops.yaml")
    for stages in (1, 2, 3, 4, 5):
        assert set(parts(network(stages), INPUT_SHAPE, ())) <= found
