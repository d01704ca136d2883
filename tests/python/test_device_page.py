"""docs/device.md: its commands are run, by mmt-meter on an SDK build where there is one, else by `mmt meter`."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# What belongs to the device program alone.
ONLY_ON_DEVICES = ("--describe", "--selftest")


def commands(repository: Path) -> list[list[str]]:
    """The lines of the page's `bash` blocks, as arguments without the program."""
    page = (repository / "docs" / "device.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", page, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    assert all(line.startswith("mmt-meter ") for line in lines)
    return [shlex.split(line)[1:] for line in lines]


def meter_program(repository: Path) -> Path | None:
    """The built mmt-meter: MMT_TEST_METER, or the newest in a build folder; None where there is none."""
    given = os.environ.get("MMT_TEST_METER")
    if given:
        return Path(given)
    built = sorted((repository / "build").glob("*/apps/meter/mmt-meter"), key=lambda path: path.stat().st_mtime)
    return built[-1] if built else None


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `ops/` and `nets/`, as the page supposes."""
    from mmt.converter import generate_ops_list

    folder = tmp_path_factory.mktemp("device")
    (folder / "ops.yaml").write_text(
        "torch.nn:\n  Conv2d:\n"
        "    - {in_channels: 3, out_channels: [4, 8], kernel_size: 3, input_shape: [[1, 3, 8, 8]]}\n"
    )
    generate_ops_list(str(folder / "ops.yaml"), str(folder / "ops"))
    (folder / "nets").mkdir()
    shutil.copy(next((folder / "ops" / "models").glob("*.mnn")), folder / "nets" / "net.mnn")
    return folder


def run(command: list[str], place: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=place, env={**os.environ, **environment}, capture_output=True, text=True, timeout=600
    )


def test_the_page_has_its_commands(repository: Path):
    assert len(commands(repository)) == 5


@pytest.mark.parametrize("index", range(5))
def test_commands_of_the_page_on_an_sdk_build(index: int, repository: Path, place: Path):
    plugin = os.environ.get("MMT_TEST_SDK_PLUGIN")
    if not plugin:
        pytest.skip("MMT_TEST_SDK_PLUGIN does not name an engine plugin built with -DMNN_ROOT=…")
    program = meter_program(repository)
    if program is None:
        pytest.skip("mmt-meter was not built (MMT_TEST_METER names it)")
    done = run([str(program), *commands(repository)[index]], place, MMT_ENGINE_PLUGIN=plugin)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("index", range(5))
def test_commands_of_the_page_on_the_wheel(index: int, repository: Path, place: Path):
    arguments = commands(repository)[index]
    if any(option in arguments for option in ONLY_ON_DEVICES):
        program = meter_program(repository)
        if program is None:
            pytest.skip("mmt-meter was not built (MMT_TEST_METER names it)")
        # No plugin for it here: it still describes the device, and says what it lacks.
        done = run([str(program), *arguments, "--plugin", "nowhere.so"], place)
        assert done.returncode == (0 if "--describe" in arguments else 2), done.stderr
        assert "nowhere.so: there is no such file" in done.stdout + done.stderr
        return
    done = run([sys.executable, "-m", "mmt", "meter", *arguments], place)
    assert done.returncode == 0, done.stdout + done.stderr
    written = place / (arguments[0] if arguments[0] != "--models" else arguments[1]) / "latency.jsonl"
    assert '"status":"failed"' not in written.read_text()
