"""What a space lacks of a model, and the lines that add it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import mmt.space
from mmt.cli.app import app
from mmt.cli.loading import load_model
from mmt.space.coverage import check_coverage

NETS = """
import torch

class Block(torch.nn.Module):
    def __init__(self, width, kernel=3):
        super().__init__()
        self.first = torch.nn.Conv2d(width, width, kernel, padding=kernel // 2)
        self.second = torch.nn.Conv2d(width, width, kernel, padding=kernel // 2)

    def forward(self, x):
        return x + self.second(self.first(x))

def net():
    return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 1), Block(8), Block(8, 5), Block(8), torch.nn.Flatten())
"""

LAYERS = """torch.nn:
  Conv2d:
    - {in_channels: 3, out_channels: 8, kernel_size: 1, input_shape: [[1, 3, 9, 9]]}
    - {in_channels: 8, out_channels: 8, kernel_size: 3, padding: 1, input_shape: [[1, 8, 9, 9]]}
    - {in_channels: 8, out_channels: 8, kernel_size: 5, padding: 2, input_shape: [[1, 8, 9, 9]]}
  Flatten: {no_params: true, input_shape: [[1, 8, 9, 9]]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "nets_to_check.py").write_text(NETS)
    (tmp_path / "ops.yaml").write_text("nets_to_check:\n  Block:\n    width: 8\n    kernel: 3\n"
                                       "    input_shape: [[1, 8, 9, 9]]\n")
    (tmp_path / "layers.yaml").write_text(LAYERS)
    return tmp_path


def test_check_says_what_to_add_and_then_nothing_is_lacking(folder: Path) -> None:
    arguments = ["--check", f"{folder}/nets_to_check.py:net", "--input", "1,3,9,9"]
    ops = folder / "ops.yaml"
    shown = CliRunner().invoke(app, ["space", str(ops), *arguments])
    assert shown.exit_code == 0, shown.output
    assert f"{ops} holds 1 of the 4 different operators" in shown.stdout
    added = shown.stdout.partition(f"add to {ops}:\n")[2]
    assert "width: [8]" in added
    assert "kernel: 5" in added
    more = folder / "more.yaml"
    more.write_text(added)
    found = json.loads(CliRunner().invoke(app, ["space", str(more), *arguments, "--json"]).stdout)
    assert found["covered"] == 3
    assert [item["occurs"] for item in found["lacking"]] == [2]
    assert "kernel" not in found["yaml"]
    assert "Block" in found["yaml"]
    wrong = CliRunner().invoke(app, ["space", str(ops), "--check", f"{folder}/nets_to_check.py:net"])
    assert wrong.exit_code == 2


def test_arguments_that_cannot_be_recovered_are_named(folder: Path) -> None:
    (folder / "hidden_nets.py").write_text(
        "import torch\nfrom nets_to_check import Block\n\nclass Hidden(Block):\n    def __init__(self, *widths):\n"
        "        super().__init__(widths[0])\n\ndef net():\n    return torch.nn.Sequential(Hidden(8), Hidden(8))\n")
    shown = CliRunner().invoke(app, ["space", str(folder / "ops.yaml"), "--check", f"{folder}/hidden_nets.py:net",
                                     "--input", "1,8,9,9"])
    assert shown.exit_code == 0, shown.output
    assert "lacks hidden_nets.Hidden" in shown.stdout
    assert "mmt scan captures it as it is" in shown.stdout
    assert "add to" not in shown.stdout


def test_a_space_of_layers_covers_the_same_model(folder: Path) -> None:
    resolved = mmt.space.resolve(mmt.space.load(folder / "layers.yaml"))
    found = check_coverage(resolved, load_model(f"{folder}/nets_to_check.py:net"), [1, 3, 9, 9])
    assert (found.level, found.covered, found.operators, found.share) == ("layer", 4, 4, 1.0)
    assert found.lacking == []
    assert found.yaml == ""
    assert found.functions >= 1
