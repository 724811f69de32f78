"""Planning, resuming and reporting batches of 10,000, 100,000 and 1,000,000 rows: time, memory and the journal's size.

Each command is a process of its own, as a user starts it, without a look-up. The batch is begun, killed after a few
calls, and resumed.
"""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.figures import (
    Curve,
    Findings,
    Picture,
    Table,
    Target,
    megabytes_text,
    ratio_text,
    seconds_text,
)
from benchmarks.processes import PROGRAM, Cost, configure, environment, measured, server, write_csv

SIZES = (10_000, 100_000, 1_000_000)
QUICK_SIZES = (1_000, 2_000)
LARGEST_XLSX = 100_000  # rows; a sheet of Excel ends at 1,048,576

RESUME_LIMIT = 5.0  # seconds until the first call of a batch of a million rows
SLACK = 1.5  # by how much more than ten times ten times as many rows may take
PATIENCE = 120.0  # seconds


@dataclass(frozen=True, slots=True)
class Batch:
    """What one size came to; `first_call` is in seconds from the start of `resume` to the first call's arrival."""

    rows: int
    plan: Cost
    journal: int  # bytes
    first_call: float
    csv: Cost
    xlsx: Cost | None


def run(quick: bool) -> Findings:
    batches = [_measure(size) for size in (QUICK_SIZES if quick else SIZES)]
    return Findings("Scale", _EXPLANATION, [_table(batches)], [] if quick else _targets(batches), _pictures(batches))


_EXPLANATION = """A CSV of so many rows is planned, the batch is begun and killed after a few calls, resumed, and
reported. Times are processor time, start of Python included, except for the first call after `resume`, which is what
somebody waits for. A command takes about a second and 60 MB before it has seen a row."""


def _measure(rows: int) -> Batch:
    with TemporaryDirectory() as name, server(["-m", "benchmarks.overhead", "serve", "0"], Path(name)) as url:
        folder = Path(name)
        write_csv(folder / "devices.csv", rows)
        configure(folder, url, "quota: {per_minute: 1000, per_hour: 10000}")
        journal = ("--journal", "journal.db")
        plan = measured([*PROGRAM, "plan", "devices.csv", "--no-lookup", "--json", *journal], folder)
        batch = str(json.loads(plan.out)["batch"])
        size = (folder / "journal.db").stat().st_size
        begin = ["run", batch, "--yes", "--quiet", "--no-lookup", *journal]
        _until(10, url, begin, folder)
        first_call = _until(1, url, ["resume", batch, "--quiet", "--no-lookup", *journal], folder)
        report = [*PROGRAM, "report", batch, "--quiet", *journal, "--report"]
        csv = measured([*report, "out.csv"], folder)
        xlsx = measured([*report, "out.xlsx"], folder) if rows <= LARGEST_XLSX else None
        return Batch(rows, plan, size, first_call, csv, xlsx)


def _until(calls: int, url: str, command: Sequence[str], folder: Path) -> float:
    """Seconds from the start of the command until the first call has arrived. When so many have, it is killed."""
    _ask(f"{url}/reset")
    began = time.monotonic()
    process = subprocess.Popen(  # noqa: S603  # ours
        [sys.executable, *PROGRAM, *command], cwd=folder, env=environment(folder), stderr=subprocess.DEVNULL
    )
    try:
        while len(arrivals := _ask(f"{url}/arrivals")) < calls and time.monotonic() < began + PATIENCE:
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    first: float = arrivals[0]
    return first - began


def _ask(url: str) -> Any:
    with urllib.request.urlopen(url) as answer:  # noqa: S310  # our own, on loopback
        return json.load(answer)


def _table(batches: Sequence[Batch]) -> Table:
    head = [
        "rows",
        "plan",
        "memory",
        "journal",
        "first call after resume",
        "CSV report",
        "memory",
        "XLSX report",
        "memory",
    ]
    rows = [
        [
            f"{each.rows:,}",
            *_cost(each.plan),
            megabytes_text(each.journal),
            seconds_text(each.first_call),
            *_cost(each.csv),
            *(_cost(each.xlsx) if each.xlsx else ("", "")),
        ]
        for each in batches
    ]
    return Table("Large batches", head, rows)


def _cost(cost: Cost) -> tuple[str, str]:
    return seconds_text(cost.seconds), megabytes_text(cost.memory)


def _targets(batches: Sequence[Batch]) -> list[Target]:
    largest, before = batches[-1], batches[-2]
    grown = largest.rows / before.rows

    def linear(what: str, of: Callable[[Batch], float]) -> Target:
        ratio = of(largest) / of(before)
        what = f"{what} for {grown:.0f} times as many rows ({largest.rows:,})"
        return Target(what, ratio_text(ratio), ratio_text(grown * SLACK), ratio <= grown * SLACK)

    return [
        linear("time of `plan`", lambda each: each.plan.seconds),
        linear("memory of `plan`", lambda each: each.plan.memory),
        linear("size of the journal", lambda each: each.journal),
        linear("time of the CSV report", lambda each: each.csv.seconds),
        linear("memory of the CSV report", lambda each: each.csv.memory),
        Target(
            f"first call after `resume` of {largest.rows:,} rows",
            seconds_text(largest.first_call),
            seconds_text(RESUME_LIMIT),
            largest.first_call <= RESUME_LIMIT,
        ),
    ]


def _pictures(batches: Sequence[Batch]) -> list[Picture]:
    def curve(name: str, of: Callable[[Batch], float]) -> Curve:
        return Curve(name, [(each.rows, of(each)) for each in batches])

    times = [
        curve("plan", lambda each: each.plan.seconds),
        curve("first call after resume", lambda each: each.first_call),
        curve("CSV report", lambda each: each.csv.seconds),
    ]
    sizes = [
        curve("plan: memory", lambda each: each.plan.memory / 1e6),
        curve("CSV report: memory", lambda each: each.csv.memory / 1e6),
        curve("journal", lambda each: each.journal / 1e6),
    ]
    return [
        Picture("growth-time", "Time by rows", "rows", "seconds", times),
        Picture("growth-size", "Memory and journal by rows", "rows", "MB", sizes),
    ]
