"""The artefact: the wheel that was built from this tree, in a clean virtual environment, away from the tree."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest


def run(*command: object, cwd: Path) -> str:
    """Output of a command that must succeed, without anything of this process's Python environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(repository: Path) -> Path:
    """The wheel that `make package` built and installed."""
    built = sorted((repository / "build" / "dist").glob("mmt-*.whl"))
    assert len(built) == 1, f"one wheel expected in build/dist, found {built}: run `make package` first"
    return built[0]


@pytest.fixture(scope="module")
def clean_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel; its dependencies come, after it on the path, from the running one."""
    home = tmp_path_factory.mktemp("clean")
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel, cwd=home)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])", cwd=home).strip())
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return python


def test_wheel_holds_the_package_and_nothing_else(wheel: Path, repository: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    version = (repository / "VERSION").read_text().strip()
    assert wheel.name.startswith(f"mmt-{version}-cp3")
    package = repository / "python" / "mmt"
    sources = {f"mmt/{path.relative_to(package)}" for path in package.rglob("*.py")}
    assert sources <= names
    assert any(name.startswith("mmt/_core.") for name in names)
    assert "mmt/mmt_engine_mnn_wheel.so" in names
    assert f"mmt-{version}.dist-info/licenses/LICENSE" in names
    outside = [name for name in names if not name.startswith(("mmt/", f"mmt-{version}.dist-info/"))]
    assert outside == []
    assert [name for name in names if name.endswith((".a", ".h", ".cmake"))] == []


def test_installed_package_is_used(clean_python: Path, repository: Path, tmp_path: Path):
    script = "import mmt, mmt._core as core; print(mmt.__file__, core.__version__)"
    file, version = run(clean_python, "-c", script, cwd=tmp_path).split()
    assert Path(file).is_relative_to(clean_python.parents[1])
    assert version == (repository / "VERSION").read_text().strip()


def test_command_works(clean_python: Path, tmp_path: Path):
    help_text = run(clean_python.parent / "mmt", "--help", cwd=tmp_path)
    for command in ("doctor", "generate", "meter", "predict"):
        assert command in help_text


def test_it_needs_no_library_of_the_tree(clean_python: Path, tmp_path: Path):
    """yaml-cpp and SQLite come with the wheel."""
    script = (
        "import mmt._core, os\n"
        "maps = open('/proc/self/maps').read().split()\n"
        "print('\\n'.join(sorted({word for word in maps if 'yaml-cpp' in word})))"
    )
    libraries = run(clean_python, "-c", script, cwd=tmp_path).split()
    assert libraries
    assert all(Path(library).is_relative_to(clean_python.parents[1]) for library in libraries)
