"""Holds every #include of the C++ rooms against the table in docs/design.md; prints what breaks it.

Usage: check_includes.py [repository]. Exit code 0 where all is in order, 1 where not, 2 where the table is unusable.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

MARKER = "<!-- rooms: read by scripts/check_includes.py -->"
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
STD = re.compile(r"^[a-z0-9_]+$")  # <vector>
POSIX = re.compile(r"^(sys|linux|arpa|netinet)/|^[a-z0-9_]+\.h$")  # <sys/wait.h>, <unistd.h>, <dlfcn.h>
THIRD_PARTY = {
    "CLI/": "CLI",
    "Eigen/": "Eigen",
    "unsupported/Eigen/": "Eigen",
    "MNN/": "MNN",
    "core/": "MNN",
    "flatbuffers/": "flatbuffers",
    "nanobind/": "nanobind",
    "Python.h": "nanobind",
    "nlohmann/": "nlohmann",
    "sqlite3.h": "sqlite3",
    "yaml-cpp/": "yaml-cpp",
}


class TableError(Exception):
    """The table in docs/design.md cannot be read."""


@dataclass(frozen=True)
class Room:
    name: str  # "table"
    folder: str  # "src/table"
    headers: frozenset[str]  # {"table"}: include/mmt/table.h
    uses: frozenset[str]
    third_party: frozenset[str]


def words(cell: str) -> frozenset[str]:
    return frozenset(word.strip() for word in cell.split(",") if word.strip())


def read_rooms(design: Path) -> list[Room]:
    """The rooms of the table, top to bottom. A room may only use rooms above it."""
    text = design.read_text(encoding="utf-8")
    if MARKER not in text:
        raise TableError(f"{design}: the line {MARKER!r} is missing")
    rooms: list[Room] = []
    for line in text.split(MARKER, 1)[1].strip().splitlines()[2:]:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) != 5:
            raise TableError(f"{design}: five columns expected: {line}")
        folder = cells[0].strip("`")
        name = folder.removeprefix("src/")
        unknown = words(cells[3]) - {room.name for room in rooms}
        if unknown:
            raise TableError(f"{design}: {folder} uses {', '.join(sorted(unknown))}, which does not stand above it")
        rooms.append(Room(name, folder, words(cells[2]), words(cells[3]), words(cells[4])))
    if not rooms:
        raise TableError(f"{design}: no table after {MARKER!r}")
    return rooms


def third_party_of(header: str) -> str | None:
    """The library that a header belongs to, None for the standard library and the system."""
    for prefix, library in THIRD_PARTY.items():
        if header.startswith(prefix):
            return library
    if STD.match(header) or POSIX.match(header):
        return None
    return header.split("/")[0]


def sources(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in (".h", ".cpp", ".inc"))


def check_file(root: Path, path: Path, room: Room, rooms: list[Room], *, public: bool) -> list[str]:
    folders = {other.name for other in rooms if other.folder.startswith("src/")}
    owners = {header: other.name for other in rooms for header in other.headers}
    text = path.read_text(encoding="utf-8")
    problems = []
    for match in INCLUDE.finditer(text):
        header = match[2]
        place = f"{path.relative_to(root)}:{text.count(chr(10), 0, match.start(1)) + 1}"
        top = header.split("/")[0]
        owner = None
        if top == "mmt":
            owner = owners.get(header.removeprefix("mmt/").removesuffix(".h"))
            if owner is None:
                problems.append(f"{place}: {header} belongs to no room of the table in docs/design.md")
                continue
        elif "/" in header and top in folders:
            owner = top
        if owner is not None:
            if owner != room.name and owner not in room.uses:
                problems.append(f"{place}: {room.folder} may not use {owner} ({header})")
            elif public and top != "mmt":
                problems.append(f"{place}: a public header includes the private {header}")
            continue
        generated = header.endswith(".inc")
        local = match[1] == '"' and (generated or (path.parent / header).exists())
        library = None if local else third_party_of(header)
        if library is not None and public:
            problems.append(f"{place}: a public header includes {header} ({library})")
        elif library is not None and library not in room.third_party:
            problems.append(f"{place}: {header} ({library}) is not among the third-party headers of {room.folder}")
    return problems


def check(root: Path) -> list[str]:
    """Everything in the tree at `root` that breaks its own table, one line each."""
    rooms = read_rooms(root / "docs" / "design.md")
    owners = {header: room for room in rooms for header in room.headers}
    known = {room.folder for room in rooms}
    problems = [
        f"src/{folder.name}: not in the table of docs/design.md"
        for folder in sorted((root / "src").iterdir())
        if folder.is_dir() and sources(folder) and f"src/{folder.name}" not in known
    ]
    for path in sources(root / "include" / "mmt"):
        room = owners.get(path.stem)
        if room is None:
            problems.append(f"{path.relative_to(root)}: belongs to no room of the table in docs/design.md")
        else:
            problems += check_file(root, path, room, rooms, public=True)
    for room in rooms:
        if (root / room.folder).is_dir():
            for path in sources(root / room.folder):
                problems += check_file(root, path, room, rooms, public=False)
    return problems


def main(arguments: list[str]) -> int:
    root = Path(arguments[0] if arguments else Path(__file__).resolve().parents[1])
    try:
        problems = check(root)
    except (TableError, OSError) as error:
        print(error)
        return 2
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
