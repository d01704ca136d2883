"""The documentation: links lead somewhere, and every page can be reached from the README."""

from __future__ import annotations

import re
from pathlib import Path

LINK = re.compile(r"!?\[[^\]]*\]\(([^)#]+)(?:#[^)]*)?\)")


def local_links(page: Path) -> list[Path]:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [(page.parent / link).resolve() for link in LINK.findall(text) if "://" not in link]


def test_links_lead_somewhere(repository: Path):
    for page in [*repository.glob("*.md"), *(repository / "docs").glob("*.md")]:
        for target in local_links(page):
            assert target.exists(), f"{page.relative_to(repository)} links to {target}"


def test_every_page_can_be_reached(repository: Path):
    reached, todo = set(), [repository / "README.md"]
    while todo:
        page = todo.pop()
        if page in reached:
            continue
        reached.add(page)
        todo += [link for link in local_links(page) if link.suffix == ".md" and link.exists()]
    pages = {page.resolve() for page in (repository / "docs").glob("*.md")}
    assert {page.name for page in pages - reached} == set()
