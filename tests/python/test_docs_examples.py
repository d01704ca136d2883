"""The Python of the documentation's pages runs as it stands there, block after block, in an empty folder."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = ["memory.md", "coming_from_other_tools.md"]


@pytest.mark.parametrize("page", PAGES)
def test_examples_run(page: str, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (repository / "docs" / page).read_text(encoding="utf-8")
    blocks = [(text[: match.start(1)].count("\n"), match.group(1)) for match in BLOCK.finditer(text)]
    assert blocks
    module = ModuleType("__main__")  # as a script or a notebook, whose classes no other process can import
    monkeypatch.setitem(sys.modules, "__main__", module)
    monkeypatch.chdir(tmp_path)
    source = repository / "docs" / page
    for line, block in blocks:
        exec(compile("\n" * line + block, str(source), "exec"), module.__dict__)
