"""Runs the project on a Windows Python under Wine: `python3 tasks.py windows [PYTEST ARGS]`.

With arguments, pytest gets them and nothing else is run. A step that takes too long is ended with all its processes.
"""

import csv
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.windows.left_out import RESULT_VARIABLE
from tests.windows.machine import Machine, MachineError, machine, why_not_here
from tests.windows.wheels import PROJECT

MINUTE = 60.0
MOST_FOR_A_COMMAND = 3 * MINUTE
MOST_FOR_TESTS = 20 * MINUTE
PYTEST = ("-m", "pytest", "-p", "no:cacheprovider", "-p", "tests.windows.left_out", "-n", "2", "-q")
RESULT = "windows-result.json"
REPORT = "windows-report.csv"
COMPARED = ("row", "device_id", "outcome")
NOT_STARTED = {
    "tests/simulation": "plays everything inside one process; nothing of the system is asked",
    "tests/fuzzing": "spoils files for long; what it finds does not depend on the system",
}


@dataclass
class Sums:
    """The results of all steps so far."""

    counts: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)


def samples() -> list[Path]:
    return sorted(each for each in (PROJECT / "samples").glob("*.*") if each.suffix not in {".md", ".py"})


def rehearsal(sheet: str, report: str) -> list[str]:
    words = ["-m", "batch_offboard", "run", f"samples/{sheet}", "--simulate", "--speed", "600", "--yes"]
    return [*words, "--report", report]


def rehearsed_here(sheet: str) -> tuple[int, list[tuple[str, ...]]]:
    """The exit code and the report's rows of the same rehearsal without Wine."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / REPORT
        environ = {"XDG_STATE_HOME": folder, "PATH": "/usr/bin:/bin", "HOME": folder}
        command = [sys.executable, *rehearsal(sheet, str(report))]
        done = subprocess.run(command, cwd=PROJECT, env=environ, capture_output=True, check=False)
        return done.returncode, rows(report)


def rows(report: Path) -> list[tuple[str, ...]]:
    with report.open(encoding="utf-8-sig", newline="") as file:
        return [tuple(row[name] for name in COMPARED) for row in csv.DictReader(file)]


def try_commands(windows: Machine, sums: Sums) -> None:
    """The program's help, and each sample rehearsed with the same end and the same report as here."""
    note(sums, "help", windows.run("-m", "batch_offboard", "--help", seconds=MOST_FOR_A_COMMAND), 0)
    for sheet in samples():
        code, expected = rehearsed_here(sheet.name)
        ended = windows.run(*rehearsal(sheet.name, REPORT), seconds=MOST_FOR_A_COMMAND)
        note(sums, f"rehearsal of {sheet.name}", ended, code)
        report = windows.result(REPORT)
        if ended == code and rows(report) != expected:
            sums.failed.append(f"rehearsal of {sheet.name}: its report is another one than here")
        report.unlink(missing_ok=True)


def note(sums: Sums, title: str, code: int | None, expected: int) -> None:
    if code == expected:
        sums.counts["commands"] += 1
    else:
        sums.failed.append(f"{title}: {ending(code)}, expected was {expected}")


def ending(code: int | None) -> str:
    return "time was up" if code is None else f"exit code {code}"


def folders_of_tests() -> list[str]:
    integration = sorted(each for each in (PROJECT / "tests" / "integration").iterdir() if any(each.rglob("test_*.py")))
    return ["tests/unit", *(f"tests/integration/{each.name}" for each in integration), "tests/acceptance"]


def try_tests(windows: Machine, sums: Sums, arguments: Sequence[str]) -> None:
    result = windows.result(RESULT)
    result.unlink(missing_ok=True)
    code = windows.run(*PYTEST, *arguments, seconds=MOST_FOR_TESTS, environ={RESULT_VARIABLE: f"Z:\\project\\{RESULT}"})
    if result.exists():
        found = json.loads(result.read_text(encoding="utf-8"))
        sums.counts.update(found["counts"])
        sums.skipped.update(found["skipped"])
    if code != 0:
        sums.failed.append(f"pytest {' '.join(arguments)}: {ending(code)}")


def headline(title: str) -> None:
    print(f"\n== {title} ==", flush=True)


def summarise(sums: Sums) -> None:
    headline("Left out under Wine, and why")
    for folder, reason in NOT_STARTED.items():
        print(f"{folder}: {reason}")
    for reason, number in sorted(sums.skipped.items()):
        print(f"{number} tests: {reason}")
    headline("On Windows under Wine")
    counted = {name: number for name, number in sums.counts.items() if number}
    print(", ".join(f"{number} {name}" for name, number in counted.items()) + f", {sums.skipped.total()} left out")
    for failure in sums.failed:
        print(f"FAILED: {failure}")


def main(arguments: list[str]) -> int:
    if sentence := why_not_here():
        print(sentence, file=sys.stderr)
        return 2
    sums, begun = Sums(), time.monotonic()
    try:
        with machine() as windows:
            if arguments:
                try_tests(windows, sums, arguments)
            else:
                headline("Commands")
                try_commands(windows, sums)
                for folder in folders_of_tests():
                    headline(folder)
                    try_tests(windows, sums, [folder])
    except MachineError as error:
        print(error, file=sys.stderr)
        return 2
    summarise(sums)
    print(f"{(time.monotonic() - begun) / MINUTE:.0f} minutes")
    return 1 if sums.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
