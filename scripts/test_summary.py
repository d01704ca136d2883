"""Adds up JUnit reports and prints the closing line of `make test`: 'N passed, N failed, N skipped'.

Skipped tests are listed with their reasons, so that none is skipped silently. Exits with 1 where a report is missing,
holds no test, or holds a failure.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path


def count(report: Path) -> tuple[int, int, list[str]]:
    """Passed, failed and the skipped tests (with reasons) of one report. Raises FileNotFoundError, ET.ParseError."""
    passed, failed, skipped = 0, 0, []
    for case in ET.parse(report).getroot().iter("testcase"):
        reason = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail":
            failed += 1
        elif reason is not None or case.get("status") in ("notrun", "disabled"):
            text = "" if reason is None else reason.get("message", "")
            skipped.append(f"{case.get('classname', '')}::{case.get('name', '')}: {text}")
        else:
            passed += 1
    return passed, failed, skipped


def main(reports: list[str]) -> int:
    passed, failed, skipped, broken = 0, 0, [], False
    for name in reports:
        try:
            report_passed, report_failed, report_skipped = count(Path(name))
        except (FileNotFoundError, ET.ParseError) as error:
            print(f"no usable report {name}: {error}")
            broken = True
            continue
        if report_passed + report_failed == 0:
            print(f"{name}: no test was run")
            broken = True
        passed, failed = passed + report_passed, failed + report_failed
        skipped += report_skipped
    for line in skipped:
        print(f"skipped: {line}")
    print(f"{passed} passed, {failed} failed, {len(skipped)} skipped")
    return 1 if broken or failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
