"""The long run: seed after seed on all cores, every crash point, and real processes that are killed.

`python3 tasks.py long` ends with 0 if every promise was kept. With `--write` its figures go into docs/proof.md.
"""

import argparse
import logging
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import count
from multiprocessing import get_context
from pathlib import Path

from defusedxml.ElementTree import parse

from tests.simulation.crash_points import points, steps_of_the_run, strike
from tests.simulation.inspection import BrokenInvariantError
from tests.simulation.playing import play
from tests.simulation.scenario import Scenario, draw_scenario, pressing_scenarios
from tests.simulation.story import Told

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "proof.md"
MARKS = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"
KILLING = (
    "tests/acceptance/test_kill_and_resume.py::"
    "test_a_run_that_is_killed_again_and_again_loses_nothing_and_sends_nothing_twice"
)

DEVICES, KILLS = 1_000_000, 500  # unless said otherwise
SIZES = ((300, 1), (10_000, 1_000))  # the most and the least devices of an office, in turn
PARTS = 64  # of the crash points
REPLAYED = 25  # every so many seeds one is played twice
HEARD_FROM = 30.0  # seconds between two lines of progress


@dataclass(slots=True)
class Figures:
    """What a run, or a part of it, came to. Times in seconds."""

    runs: int = 0
    devices: int = 0
    calls: int = 0
    cancels: int = 0
    reads: int = 0
    processes: int = 0
    steps: int = 0
    virtual: float = 0.0
    busy: float = 0.0  # of one core
    replayed: int = 0
    crash_points: int = 0
    killed: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)

    def add(self, told: Told) -> None:
        self.runs += 1
        self.devices += told.called
        self.calls += told.calls
        self.cancels += told.cancels
        self.reads += told.reads
        self.processes += told.processes
        self.steps += told.steps
        self.virtual += told.seconds
        self.faults += told.faults

    def join(self, other: "Figures") -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def scenarios_of(seed: int) -> tuple[Scenario, ...]:
    """Most seeds are one office; every eleventh is those under pressure."""
    return pressing_scenarios(seed) if seed % 11 == 10 else (draw_scenario(seed, *SIZES[seed % len(SIZES)]),)


def play_seed(seed: int) -> Figures:
    figures, began = Figures(), time.process_time()
    for scenario in scenarios_of(seed):
        try:
            told = play(scenario)
            figures.add(told)
            if seed % REPLAYED == 0:
                figures.replayed += 1
                if play(scenario).digest != told.digest:
                    figures.bad.append(f"I14: seed {seed} does not replay; {scenario.again}")
        except BrokenInvariantError as error:
            figures.bad.append(str(error))
        except Exception as error:  # noqa: BLE001  # of the simulation itself, perhaps; the others go on
            figures.bad.append(f"{error!r}; {scenario.again}")
    figures.busy = time.process_time() - began
    return figures


def strike_part(part: int) -> Figures:
    """Every so-many-th crash point."""
    figures, began = Figures(), time.process_time()
    for point in list(points(steps_of_the_run()))[part::PARTS]:
        try:
            strike(point)
        except BrokenInvariantError as error:
            figures.bad.append(str(error))
        figures.crash_points += 1
    figures.busy = time.process_time() - began
    return figures


def silence() -> None:
    logging.disable()  # the embedded tenant's server tells of every connection that was lost


class LongRun:
    """Gives seeds to as many processes as there are cores, until there is enough."""

    def __init__(self, given: argparse.Namespace) -> None:
        self._given = given
        self._began = self._heard = time.monotonic()
        self.figures = Figures()

    def go(self) -> None:
        cores = self._given.cores
        with ProcessPoolExecutor(cores, get_context("spawn"), silence) as pool:
            seeds = count(self._given.seed)
            under_way = {pool.submit(play_seed, next(seeds)) for _ in range(2 * cores)}
            while under_way:
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                for each in done:
                    self._take(each)
                    if not self._is_enough():
                        under_way.add(pool.submit(play_seed, next(seeds)))
            for part in [pool.submit(strike_part, part) for part in range(PARTS)]:
                self._take(part)

    def _take(self, part: "Future[Figures]") -> None:
        new = part.result()
        self.figures.join(new)
        for bad in new.bad:
            print(f"BROKEN: {bad}", flush=True)
        if time.monotonic() - self._heard > HEARD_FROM:
            self._heard = time.monotonic()
            print(
                f"{self.seconds:.0f} s: {self.figures.devices:,} device-runs, {len(self.figures.bad)} bad", flush=True
            )

    def _is_enough(self) -> bool:
        if self._given.seconds is not None:
            return bool(self.seconds >= self._given.seconds)
        return bool(self.figures.devices >= self._given.devices)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began


def kill_processes(kills: int) -> Figures:
    """Real processes against a real server, killed at random moments and resumed; the acceptance tests do it."""
    figures = Figures()
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.xml"
        # xunit1 is the family that has properties; a test of a thousand deaths may take longer than others.
        options = ["-q", "-o", "junit_family=xunit1", f"--junitxml={told}", "-o", "faulthandler_timeout=0"]
        command = [sys.executable, "-m", "pytest", *options, KILLING]
        environ = {**os.environ, "OFFBOARD_TEST_KILLS": str(kills)}
        if subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode:
            figures.bad.append(f"real processes: {KILLING}")
            print(f"BROKEN: {figures.bad[-1]}", flush=True)
        elif told.exists():
            found = [each for each in parse(told).iter("property") if each.get("name") == "killed"]
            figures.killed = sum(int(each.get("value", "0")) for each in found)
    return figures


# -- what is told --


def lines_of(figures: Figures, seed: int, seconds: float, cores: int) -> Iterator[str]:
    rows = {
        "first seed": f"{seed}",
        "simulated runs of an office": f"{figures.runs:,}",
        "device-runs": f"{figures.devices:,}",
        "offboard calls": f"{figures.calls:,}",
        "cancellations": f"{figures.cancels:,}",
        "reads": f"{figures.reads:,}",
        "processes (commands given, or started again)": f"{figures.processes:,}",
        "steps (journal, file, network)": f"{figures.steps:,}",
        "hours of simulated time": f"{figures.virtual / 3600:,.0f}",
        "runs played twice and compared": f"{figures.replayed:,}",
        "crash points, each struck": f"{figures.crash_points:,}",
        "real processes killed": f"{figures.killed:,}",
        "broken promises": f"{len(figures.bad):,}",
        "seconds": f"{seconds:,.0f}, on {cores} core{'s' if cores > 1 else ''}",
        "device-runs per second of one core": f"{figures.devices / max(figures.busy, 0.001):,.0f}",
        "Python, SQLite, system": f"{platform.python_version()}, {sqlite3.sqlite_version}, {platform.system()}",
    }
    yield from ("| figure | measured |", "|---|---|")
    yield from (f"| {name} | {value} |" for name, value in rows.items())
    yield from (
        "",
        f"Faults that befell them, {figures.faults.total():,} in all:",
        "",
        "| fault | times |",
        "|---|---|",
    )
    yield from (f"| {name} | {number:,} |" for name, number in sorted(figures.faults.items()))


def with_figures(page: str, lines: Sequence[str]) -> str:
    """The page with these lines between its marks."""
    begin, end = MARKS
    before, _, rest = page.partition(begin)
    return "\n".join([before + begin, *lines, "", end + rest.partition(end)[2]])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 tasks.py long", description="The long run of the simulation.")
    enough = parser.add_mutually_exclusive_group()
    enough.add_argument("--devices", type=int, default=DEVICES, help=f"device-runs to simulate (default: {DEVICES:,})")
    enough.add_argument("--seconds", type=float, help="simulate for so long instead")
    parser.add_argument("--seed", type=int, default=1, help="the first seed (default: 1)")
    parser.add_argument("--kills", type=int, default=KILLS, help=f"real processes to kill (default: {KILLS}; 0: none)")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="default: all")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/proof.md")
    return parser


def main(arguments: Sequence[str]) -> int:
    given = _parser().parse_args(arguments)
    run = LongRun(given)
    if given.kills:
        run.figures.join(kill_processes(given.kills))
    run.go()
    lines = list(lines_of(run.figures, given.seed, run.seconds, given.cores))
    print("\n".join(lines))
    if given.write:
        PAGE.write_text(with_figures(PAGE.read_text(encoding="utf-8"), lines), encoding="utf-8", newline="\n")
    return 1 if run.figures.bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
