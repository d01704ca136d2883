"""The scripts that guard the house do find what they are there to find."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

TABLE = """# Design
<!-- rooms: read by scripts/check_includes.py -->
| room | what | public headers (`include/mmt/`) | uses | third-party headers |
|---|---|---|---|---|
| `src/base` | errors | error | | |
| `src/table` | rows | table | base | sqlite3 |
| `src/plan` | plans | plan | base, table | |
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    for file, text in {
        "docs/design.md": TABLE,
        "include/mmt/error.h": "#include <string>\n",
        "include/mmt/table.h": '#include "mmt/error.h"\n',
        "include/mmt/plan.h": '#include "mmt/table.h"\n',
        "src/base/error.cpp": '#include "mmt/error.h"\n#include <unistd.h>\n#include <sys/wait.h>\n',
        "src/table/table.cpp": '#include "mmt/table.h"\n#include <sqlite3.h>\n#include "rows.h"\n',
        "src/table/rows.h": "#include <vector>\n",
        "src/plan/plan.cpp": '#include "mmt/plan.h"\n#include "table/rows.h"\n',
    }.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    return tmp_path


@pytest.fixture
def check(load_file):
    return load_file("scripts/check_includes.py").check


def test_a_house_in_order(house: Path, check):
    assert check(house) == []


@pytest.mark.parametrize(
    ("file", "line", "problem"),
    [
        ("src/base/error.cpp", '#include "mmt/table.h"', "src/base/error.cpp:4: src/base may not use table"),
        ("src/base/error.cpp", '#include "table/rows.h"', "src/base/error.cpp:4: src/base may not use table"),
        ("src/plan/plan.cpp", "#include <sqlite3.h>", "src/plan/plan.cpp:3: sqlite3.h (sqlite3) is not among"),
        ("src/plan/plan.cpp", "#include <MNN/Tensor.hpp>", "src/plan/plan.cpp:3: MNN/Tensor.hpp (MNN) is not among"),
        ("src/plan/plan.cpp", "#include <boost/any.hpp>", "src/plan/plan.cpp:3: boost/any.hpp (boost) is not among"),
        ("include/mmt/table.h", "#include <sqlite3.h>", "include/mmt/table.h:2: a public header includes sqlite3.h"),
        ("include/mmt/table.h", '#include "table/rows.h"', "include/mmt/table.h:2: a public header includes"),
        ("include/mmt/error.h", '  #  include "mmt/plan.h"', "include/mmt/error.h:2: src/base may not use plan"),
        ("include/mmt/new.h", "#include <string>", "include/mmt/new.h: belongs to no room"),
        ("src/attic/old.cpp", "#include <string>", "src/attic: not in the table"),
    ],
)
def test_what_breaks_the_order_is_named(house: Path, check, file: str, line: str, problem: str):
    path = house / file
    path.parent.mkdir(exist_ok=True)
    path.write_text((path.read_text() if path.exists() else "") + line + "\n")
    problems = check(house)
    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_a_room_may_not_use_one_below_it(house: Path, load_file):
    module = load_file("scripts/check_includes.py")
    (house / "docs" / "design.md").write_text(TABLE.replace("| errors | error | |", "| errors | error | table |"))
    with pytest.raises(module.TableError, match="src/base uses table"):
        module.check(house)


JUNIT = '<testsuites><testsuite name="s"><testcase classname="c" name="good" status="run"/>{}</testsuite></testsuites>'


@pytest.mark.parametrize(
    ("case", "closing", "code"),
    [
        ("", "1 passed, 0 failed, 0 skipped", 0),
        ('<testcase name="b" status="fail"><failure/></testcase>', "1 passed, 1 failed, 0 skipped", 1),
        ('<testcase name="b"><error/></testcase>', "1 passed, 1 failed, 0 skipped", 1),
        ('<testcase name="b"><skipped message="no SDK"/></testcase>', "1 passed, 0 failed, 1 skipped", 0),
        ('<testcase name="b" status="notrun"><skipped message="off"/></testcase>', "1 passed, 0 failed, 1 skipped", 0),
        (
            '<testcase name="b" status="notrun"><skipped message="X"/><system-out>a.cpp:3: Skipped\nno engine here\n'
            "</system-out></testcase>",
            "1 passed, 0 failed, 1 skipped",
            0,
        ),
    ],
)
def test_summary_counts(tmp_path: Path, load_file, capsys, case: str, closing: str, code: int):
    report = tmp_path / "report.xml"
    report.write_text(JUNIT.format(case))
    assert load_file("scripts/test_summary.py").main([str(report)]) == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == closing
    if "skipped" in case:
        assert lines[0] in ("skipped, 1: no SDK", "skipped, 1: off", "skipped, 1: no engine here")


def test_summary_fails_where_a_report_is_missing_or_empty(tmp_path: Path, load_file):
    empty = tmp_path / "empty.xml"
    empty.write_text("<testsuites/>")
    summary = load_file("scripts/test_summary.py")
    assert summary.main([str(tmp_path / "absent.xml")]) == 1
    assert summary.main([str(empty)]) == 1


def test_the_pinned_environment_is_one_that_the_package_accepts(repository: Path):
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    lines = (repository / "scripts" / "requirements.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line)
    for requirement in map(Requirement, project["dependencies"]):
        assert requirement.specifier.contains(pinned[requirement.name]), requirement
    torch_version = re.search(r"^TORCH_VERSION=(\S+)$", (repository / "scripts" / "setup.sh").read_text(), re.MULTILINE)
    assert torch_version is not None
    assert f"torch=={torch_version[1]}" in project["optional-dependencies"]["torch"]
