"""The frame of the command: finding subcommands, exit codes, one-line errors, loading models by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mmt.cli import output
from mmt.cli.app import _Group, app
from mmt.cli.loading import load_model, load_object
from mmt.errors import MmtError, mmt_error

runner = CliRunner()

MODELS = """
import torch
from widths import WIDTH

class Net(torch.nn.Sequential):
    def __init__(self, width=WIDTH):
        super().__init__(torch.nn.Linear(width, 2), torch.nn.Dropout())

class NeedsDepth(torch.nn.Module):
    def __init__(self, depth):
        super().__init__()

def net():
    from late import LATE
    return Net(LATE)

def broken():
    raise ValueError("no such width")

def text():
    return "text"

ready = Net()
number = 3
nets = {"a": net}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models_for_test.py").write_text(MODELS)
    (tmp_path / "widths.py").write_text("WIDTH = 4\n")
    (tmp_path / "late.py").write_text("LATE = 8\n")
    return tmp_path


def refusal(reference: str) -> str:
    with pytest.raises(MmtError) as caught:
        load_model(reference)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("name", "width"), [("Net", 4), ("net", 8), ("ready", 4)])
def test_a_model_is_a_class_a_function_or_itself(folder: Path, name: str, width: int) -> None:
    before = list(sys.path)
    model = load_model(f"{folder}/models_for_test.py:{name}")
    assert model[0].in_features == width
    assert not model.training
    assert sys.path == before


def test_models_of_importable_modules_and_of_the_working_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(load_model("torch.nn:Identity")).__name__ == "Identity"
    monkeypatch.chdir(folder)
    assert load_model("models_for_test:net")[0].in_features == 8
    assert load_model("models_for_test.py:net")[0].in_features == 8
    (folder / "pkg").mkdir()
    (folder / "pkg" / "__init__.py").touch()
    (folder / "pkg" / "nets.py").write_text("from .parts import Part\n")
    (folder / "pkg" / "parts.py").write_text("import torch\nclass Part(torch.nn.Identity):\n    pass\n")
    assert type(load_model("pkg/nets.py:Part")).__module__ == "pkg.parts"
    (folder / "odd-name.py").write_text("import torch\nclass Odd(torch.nn.Identity):\n    pass\n")
    assert type(load_model("odd-name.py:Odd")).__name__ == "Odd"


def test_references_that_name_nothing(folder: Path) -> None:
    file = folder / "models_for_test.py"
    assert "write file and name with a colon" in refusal("models.py")
    assert "there is no 'nett'; did you mean 'net'?" in refusal(f"{file}:nett")
    assert "it has Net, NeedsDepth, net, broken, text" in refusal(f"{file}:something_else")
    assert "there is no such file; did you mean" in refusal(f"{folder}/model_for_test.py:net")
    assert "there is no such file" in refusal(f"{folder}/nowhere/x.py:net")
    assert "there is no module 'surely_absent'" in refusal("surely_absent.sub:net")
    (folder / "torch.py").write_text("")
    assert "'torch' is the name of a library; rename the file" in refusal(f"{folder}/torch.py:net")
    (folder / "v1.2.py").write_text("")
    assert "rename the file" in refusal(f"{folder}/v1.2.py:net")


def test_references_that_are_no_model(folder: Path) -> None:
    file = folder / "models_for_test.py"
    assert "it needs depth; write a function" in refusal(f"{file}:NeedsDepth")
    assert "calling it fails at models_for_test.py:18, ValueError: no such width" in refusal(f"{file}:broken")
    assert "it returns a str" in refusal(f"{file}:text")
    assert "it is a int" in refusal(f"{file}:number")
    assert "no torch.nn.Module" in refusal("pathlib:Path")
    (folder / "fails.py").write_text("\nraise OSError('no disk')\n")
    assert "importing it fails at fails.py:2, OSError: no disk" in refusal(f"{folder}/fails.py:net")
    (folder / "lacks.py").write_text("import surely_absent\n")
    assert "install 'surely_absent'" in refusal(f"{folder}/lacks.py:net")
    assert load_object(f"{file}:number") == 3


def test_help_lists_commands_in_the_order_of_the_work() -> None:
    shown = runner.invoke(app, ["--help"])
    assert shown.exit_code == 0
    places = [shown.stdout.index(f" {name} ") for name in ("doctor", "space", "generate", "predict", "validate")]
    assert places == sorted(places)


def test_version_and_wrong_use() -> None:
    from mmt import __version__

    assert runner.invoke(app, ["--version"]).stdout == f"mmt {__version__}\n"
    assert runner.invoke(app, ["nonsense"]).exit_code == 2
    assert runner.invoke(app, ["space"]).exit_code == 2
    missing = runner.invoke(app, ["space", "/nowhere/ops.yaml"])
    assert missing.exit_code == 2
    assert missing.stderr.startswith("mmt: /nowhere/ops.yaml: no such file")
    assert "Traceback" not in missing.output


@pytest.fixture
def small_app() -> typer.Typer:
    small = typer.Typer(cls=_Group)

    @small.command()
    def fail(code: str) -> None:
        raise mmt_error(code, "what happened; what to do")

    @small.command()
    def stop() -> None:
        raise KeyboardInterrupt

    @small.command()
    def rows() -> None:
        typer.echo("quiet" if output.is_quiet() else "talkative")
        output.hint("a hint")
        raise typer.Exit(1)

    return small


def test_exit_codes(small_app: typer.Typer) -> None:
    failed = runner.invoke(small_app, ["fail", "engine"])
    assert (failed.exit_code, failed.stderr) == (2, "mmt: what happened; what to do\n")
    assert runner.invoke(small_app, ["fail", "interrupted"]).exit_code == 130
    stopped = runner.invoke(small_app, ["stop"])
    assert stopped.exit_code == 130
    assert "interrupted" in stopped.stderr
    assert runner.invoke(small_app, ["rows"]).exit_code == 1


def test_quiet_may_stand_anywhere(small_app: typer.Typer) -> None:
    for arguments in (["--quiet", "rows"], ["rows", "--quiet"]):
        quiet = runner.invoke(small_app, arguments)
        assert (quiet.stdout, quiet.stderr) == ("quiet\n", "")
    loud = runner.invoke(small_app, ["rows"])
    assert (loud.stdout, loud.stderr) == ("talkative\n", "a hint\n")


def test_a_command_without_standard_streams_does_its_work(tmp_path: Path) -> None:
    (tmp_path / "ops.yaml").write_text("torch.nn: {ReLU: {no_params: true, input_shape: [[1, 3]]}}")
    command = f"exec {sys.executable} -m mmt generate ops.yaml ops <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], cwd=tmp_path, check=False).returncode == 0
    assert len(list((tmp_path / "ops" / "models").iterdir())) == 1


def test_python_minus_m_is_the_command() -> None:
    shown = subprocess.run([sys.executable, "-m", "mmt", "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("mmt ")
    wrong = subprocess.run([sys.executable, "-m", "mmt", "space", "none.yaml"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr


def test_commands_start_without_loading_torch() -> None:
    code = "import sys; import mmt.cli.app; sys.exit('torch' in sys.modules or 'MNN' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
