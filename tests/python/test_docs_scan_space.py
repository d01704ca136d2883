"""docs/scan.md and docs/space.md: their commands, files and Python are run as they stand there."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import mmt
from mmt.cli.app import app

SMALLER = {"32": "2"}  # samples


def blocks(repository: Path, page: str, language: str) -> list[str]:
    text = (repository / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.fixture
def place(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the modules that the pages name."""
    for name in ("resnet18.py", "space.py"):
        shutil.copy(repository / "examples/resnet" / name, tmp_path)
    (tmp_path / "models.py").write_text("from resnet18 import *\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("models", "resnet18", "space"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def run(arguments: list[str]) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_scanning(place: Path, repository: Path) -> None:
    from resnet18 import resnet18

    commands = [shlex.split(line, comments=True) for line in blocks(repository, "scan.md", "")[0].splitlines()]
    assert [command[:2] for command in commands] == [["mmt", "scan"]] * 3
    run([SMALLER.get(word, word) for word in commands[0][1:]])
    written = (place / "ops.yaml").read_text()
    # The page shows the first lines of what was written.
    for line in blocks(repository, "scan.md", "yaml")[0].splitlines():
        assert line in written.splitlines()
    run([SMALLER.get(word, word) for word in commands[2][1:]])
    names = {"mmt": mmt, "model": resnet18()}
    exec(blocks(repository, "scan.md", "python")[0], names)
    assert (place / "ops/ops.json").exists()


def test_spaces(place: Path, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "ops.yaml").write_text(blocks(repository, "space.md", "yaml")[0])
    assert "blocks" not in run(["space", "ops.yaml", "--no-build"])
    output = run(["space", "ops.yaml", "--show-dropped"])
    assert "24" in output
    assert "metering takes about" in output
    exec(blocks(repository, "space.md", "python")[0], {"__name__": "page"})
    assert "ResNetBasicBlock" in capsys.readouterr().out
    covered = run(["space", "ops.yaml", "--check", "models.py:resnet18", "--input", "1,3,224,224"])
    assert "different operators of models.py:resnet18" in covered
