"""Adds up JUnit reports and prints the closing line of `make test`: 'N passed, N failed, N skipped'.

Skipped tests are counted by their reasons, so that none is skipped silently. Exits with 1 where a report is missing,
holds no test, or holds a failure.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

GTEST_REASON = re.compile(r": Skipped\n(.*)")


def skip_reason(case: ET.Element) -> str:
    """pytest says why in the element, GoogleTest in the output that ctest copies."""
    told = GTEST_REASON.search(case.findtext("system-out") or "")
    if told:
        return told[1].strip()
    reason = case.find("skipped")
    return (reason.get("message") if reason is not None else None) or "no reason given"


def count(report: Path) -> tuple[int, int, list[str]]:
    """Passed, failed and the reasons of skipped tests of one report. Raises FileNotFoundError, ET.ParseError."""
    passed, failed, skipped = 0, 0, []
    for case in ET.parse(report).getroot().iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail":
            failed += 1
        elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            skipped.append(skip_reason(case))
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
    for reason, times in Counter(skipped).most_common():
        print(f"skipped, {times}: {reason}")
    print(f"{passed} passed, {failed} failed, {len(skipped)} skipped")
    return 1 if broken or failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
