"""`mmt space`: counts, drops, chains, schema, sizes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import mmt.space
from mmt.cli.app import app

runner = CliRunner()

OPS = """torch.nn:
  Conv2d:
    in_channels: [8, 8]
    out_channels: [8, 6]
    kernel_size: 1
    groups: [1, 4]
    input_shape: [[1, 8, 4, 4], [1, 16, 4, 4]]
  ReLU:
    no_params: true
    input_shape: [[1, 8, 4, 4], [1, 8, 4, 4]]
"""


@pytest.fixture
def ops(tmp_path: Path) -> str:
    path = tmp_path / "ops.yaml"
    path.write_text(OPS)
    return str(path)


def test_counts_drops_duplicates_and_chains(ops: str) -> None:
    shown = runner.invoke(app, ["space", ops])
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    [conv] = [line for line in lines if "torch.nn.Conv2d" in line and "in_channels 2" in line]
    assert conv.split("│")[2].strip() == "8"
    assert "4 different operators can be built, 1 are equal to another one" in lines
    assert "5 combinations dropped (--show-dropped lists them)" in lines
    for start in ("  2 × torch.nn.Conv2d: constructor: ValueError: out_channels must be divisible by groups",
                  "shape [1, 6, 4, 4]: made by torch.nn.Conv2d but taken by no operator", "metering takes about "):
        assert any(line.startswith(start) for line in lines), shown.stdout
    listed = runner.invoke(app, ["space", ops, "--show-dropped"]).stdout
    assert listed.count(f"{ops}:2:3: torch.nn.Conv2d(") == 5


def test_json(ops: str) -> None:
    found = json.loads(runner.invoke(app, ["space", ops, "--json"]).stdout)
    assert found["operators"] == 10
    assert found["examination"]["usable"] == 4
    assert found["examination"]["drops"]["count"] == 5
    assert json.loads(runner.invoke(app, ["space", ops, "--json", "--no-build"]).stdout)["examination"] is None


def test_no_build_needs_no_module(tmp_path: Path) -> None:
    path = tmp_path / "ops.yaml"
    path.write_text("not_here:\n  Block: {a: [1, 2], input_shape: [[1], [2]]}\n")
    counted = runner.invoke(app, ["space", str(path), "--no-build"])
    assert counted.exit_code == 0
    assert "not_here.Block" in counted.stdout
    refused = runner.invoke(app, ["space", str(path)])
    assert refused.exit_code == 2
    assert f"mmt: {path}:1:1: key 'not_here': no such module" in refused.stderr


def test_large_spaces_ask(tmp_path: Path) -> None:
    path = tmp_path / "ops.yaml"
    path.write_text("torch.nn:\n  Conv2d:\n    in_channels: 1\n    input_shape: [[1, 1, 4, 4]]\n"
                    + "".join(f"    p{i}: {list(range(10))}\n" for i in range(6)))
    asked = runner.invoke(app, ["space", str(path)])
    assert asked.exit_code == 2
    assert "1,000,000 operators" in asked.stderr
    assert "--yes" in asked.stderr
    assert "1,000,000" in runner.invoke(app, ["space", str(path), "--no-build"]).stdout


def test_schema() -> None:
    assert runner.invoke(app, ["space", "--schema"]).stdout == mmt.space.schema_json()
