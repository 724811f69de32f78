"""What is left out under Wine, and why: a plugin of pytest that skips it there and counts what became of the rest.

A test that no Windows can pass says so itself (`skipif`); here stands only what Windows does and Wine does not.
"""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

RESULT_VARIABLE = "BATCH_OFFBOARD_WINDOWS_RESULT"  # the path of a file for the counts, as JSON

# A node ID or the beginning of one, and the reason.
LEFT_OUT: dict[str, str] = {}


def reason_for(nodeid: str) -> str:
    """Why this test is left out; nothing if it is run."""
    for beginning, reason in LEFT_OUT.items():
        if nodeid == beginning or nodeid.startswith((f"{beginning}/", f"{beginning}::", f"{beginning}[")):
            return reason
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if reason := reason_for(item.nodeid):
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write how many tests ended how, and how many were skipped for which reason."""
    if RESULT_VARIABLE not in os.environ:
        return
    stats = terminalreporter.stats
    skipped: Counter[str] = Counter()
    for report in stats.get("skipped", []):
        _path, _line, reason = report.longrepr
        skipped[reason.removeprefix("Skipped: ")] += 1
    counts = {name: len(stats.get(name, [])) for name in ("passed", "failed", "error", "xfailed")}
    result = {"counts": counts, "skipped": dict(skipped)}
    Path(os.environ[RESULT_VARIABLE]).write_text(json.dumps(result), encoding="utf-8")
