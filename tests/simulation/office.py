"""Where commands are given: a computer with one journal, one tenant, a network, and who looks at it all."""

import json
import os
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from batch_offboard.commands import run
from batch_offboard.commands.desk import Desk
from batch_offboard.commands.options import Options
from batch_offboard.commands.plans import Reading
from batch_offboard.commands.views import RunView, Talk
from batch_offboard.core.progress import Progress
from batch_offboard.simulator import RunningSimulator
from tests import commands
from tests.commands import ANN
from tests.simulation.host import Ended, Host, Process
from tests.simulation.inspection import CANARY, BrokenInvariantError, Inspector
from tests.simulation.loop import Loop
from tests.simulation.scenario import Scenario
from tests.simulation.sheets import Sheet, sha256_of, write_sheet
from tests.simulation.weather import Weather
from tests.simulation.wire import Net

T = TypeVar("T")

TOKEN_VARIABLE = "OFFBOARD_TOKEN"
# The display is looked at every 0.25 s times this; forecasts take real time and are tested elsewhere.
SPEED = 1000.0
HOUR, YEAR = 3600.0, 31_557_600.0


class Ears:
    """Whoever watches a command, and keeps what was said."""

    def __init__(self) -> None:
        self.said_so_far: list[str] = []

    def started(self, batch_id: str, progress: Progress) -> None: ...

    def changed(self, progress: Progress) -> None: ...

    def said(self, text: str) -> None:
        self.said_so_far.append(text)

    def finished(self, progress: Progress) -> None: ...


class Environ(dict[str, str]):
    """The environment of a command. Where somebody renews the token, it is another one each time."""

    def __init__(self, renewed: bool) -> None:
        super().__init__({TOKEN_VARIABLE: f"{CANARY}-1"})
        self._renewed = renewed
        self._number = 1

    def get(self, name: str, default: Any = None) -> Any:
        if name == TOKEN_VARIABLE and self._renewed:
            self._number += 1
            self[name] = f"{CANARY}-{self._number}"
        return super().get(name, default)


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """Where memory can be a folder: thousands of syncs take minutes on a busy disk, and are tested elsewhere."""
    memory = Path("/dev/shm")  # noqa: S108  # a folder of random name is made in it
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


class Office:
    """Where the commands are given: one computer with one journal, and one tenant on the network."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.scenario, self.folder = scenario, folder
        chance = partial(stream, scenario.seed)
        self.loop = Loop(chance("order"), shuffled=scenario.shuffled)  # type: ignore[abstract]  # all that is ever asked for
        weather = Weather(chance("weather"), dict(scenario.mishaps), scenario.refused, scenario.usual)
        self.net = Net(self.loop, weather)
        self.loop.network = self.net
        self.host = Host(self.loop, folder, chance("disk"))
        self.host.disk, self.host.drift = scenario.disk, scenario.drift
        self.host.on_death.append(self.net.died)
        self.journal = folder / "journal.db"
        self.protected = folder / "protected.txt"
        self.ears = Ears()
        self.faults: Counter[str] = Counter()
        self.devices = [f"{chance('devices', number).getrandbits(160):040x}" for number in range(scenario.devices)]
        self.known: frozenset[str] = frozenset()
        self.tenant: RunningSimulator
        self.inspector: Inspector

    # -- what there is --

    def open(self, tenant: RunningSimulator) -> None:
        self.tenant = tenant
        self.inspector = Inspector(self.scenario, self.net, self.host, tenant.tenant, self.journal)
        self.net.began, self.net.ended = self.inspector.request_leaves, self.inspector.answer_is_read
        self.host.on_move = self.inspector.job_moves
        self.protected.write_text("f" * 40 + "\n", encoding="ascii")
        self._configure()

    def _configure(self) -> None:
        chosen = self.scenario
        values = {
            "credential": {"type": "access_token", "token_env": TOKEN_VARIABLE},
            "api_url": self.tenant.url,
            "comment": "CHG0042",
            "quota": {"per_minute": chosen.per_minute, "per_hour": chosen.per_hour, "burst": chosen.burst},
            "workers": chosen.workers,
            "guards": {"max_devices": 100_000, "max_fleet_percent": 100, "protected": str(self.protected)},
            "lookup": {"horizon": chosen.horizon},
            "network": {"timeout": chosen.timeout},
        }
        (self.folder / "config.yaml").write_text(json.dumps(values), encoding="utf-8")

    def sheet(self, name: str, devices: list[str], draw: Random) -> Sheet:
        sheet = write_sheet(self.folder / f"{name}.{self.scenario.spreadsheet}", devices, draw)
        self.inspector.sheets[sha256_of(sheet.path)] = sheet
        return sheet

    # -- commands --

    def start(self, name: str, work: Callable[[Desk, Talk], Coroutine[Any, Any, T]]) -> Process:
        """Start a command as a process of its own."""

        def command(process: Process) -> T:
            process.protected = frozenset(self.protected.read_text(encoding="ascii").split())
            options = Options(
                environ=Environ(self.scenario.renewed),
                cwd=self.folder,
                actor=ANN,
                journal=self.journal,
                speed=SPEED,
                lookup=self.scenario.lookup or name == "nightly",
                unattended=name == "nightly",
            )
            with Desk(options, create=True, clock=process.clock) as desk:
                return process.run(work(desk, Talk(self.ears, self.ears.said, process.ending)))

        return self.host.start(name, command)

    async def give(self, name: str, work: Callable[[Desk, Talk], Coroutine[Any, Any, T]]) -> Ended:
        """A command from its start to its end."""
        return await self.end_of(name, self.start(name, work))

    async def end_of(self, name: str, process: Process) -> Ended:
        ended = await process.ended
        self.inspector.command_ended(name, ended, process)
        self.stop_if_something_was_found()
        return ended

    def reports(self) -> list[Path]:
        return [self.folder / "reports" / f"out.{suffix}" for suffix in self.scenario.formats]

    async def run_sheet(self, sheet: Sheet, desk: Desk, talk: Talk) -> RunView:
        return self._inspected(desk, await commands.run_sheet(desk, sheet.path, Reading(), self.reports(), talk))

    async def run_batch(self, name: str, desk: Desk, talk: Talk) -> RunView:
        return self._inspected(desk, await commands.run_batch(desk, name, self.reports(), talk))

    async def resume(self, name: str | None, desk: Desk, talk: Talk) -> RunView:
        batch = desk.batch(name) if name else None
        return self._inspected(desk, await run.resume(desk, batch, self.reports(), talk))

    async def retry(self, name: str, desk: Desk, talk: Talk) -> RunView:
        return self._inspected(desk, await commands.retry(desk, name, self.reports(), talk))

    def _inspected(self, desk: Desk, view: RunView) -> RunView:
        self.inspector.command_reports(desk, view, view.reports)
        return view

    # -- what people see --

    def batches(self) -> list[tuple[str, str, Mapping[str, int]]]:
        """Name, state and jobs by state of every batch, the oldest first."""
        if not self.journal.exists() or not self.journal.stat().st_size:
            return []
        with closing(sqlite3.connect(self.journal)) as eye:
            found = eye.execute("SELECT id, name, state FROM batches WHERE state <> 'planning' ORDER BY id").fetchall()
            by_state = "SELECT state, count(*) FROM jobs WHERE batch = ? GROUP BY state"
            return [(name, state, dict(eye.execute(by_state, (key,)).fetchall())) for key, name, state in found]

    def planned(self) -> list[tuple[str, str]]:
        """The hash of the sheet and the name of every batch."""
        if not self.batches():
            return []
        with closing(sqlite3.connect(self.journal)) as eye:
            return eye.execute("SELECT source_sha256, name FROM batches WHERE state <> 'planning'").fetchall()

    def unfinished_since(self, wall: float) -> list[str]:
        """The batches that were begun since then, have not come to their end and do not wait for a person."""
        if not self.batches():
            return []
        with closing(sqlite3.connect(self.journal)) as eye:
            statement = "SELECT name FROM batches WHERE state IN ('running', 'stopped') AND started_at >= ? ORDER BY id"
            return [name for (name,) in eye.execute(statement, (wall,))]

    def reports_of(self, name: str) -> list[Path]:
        """Where a batch's latest reports lie."""
        with closing(sqlite3.connect(self.journal)) as eye:
            [(reports,)] = eye.execute("SELECT reports FROM batches WHERE name = ?", (name,))
            return [Path(path) for path in json.loads(reports)]

    def doubts(self, name: str) -> list[tuple[int, str, int]]:
        """Row, device and attempt of what is in doubt in a batch."""
        with closing(sqlite3.connect(self.journal)) as eye:
            statement = (
                "SELECT row, device_id, attempts FROM jobs JOIN batches ON batches.id = jobs.batch"
                " WHERE batches.name = ? AND jobs.state = 'in_doubt' ORDER BY row"
            )
            return eye.execute(statement, (name,)).fetchall()

    def journal_lines(self) -> Iterator[str]:
        """Everything that the journal holds, in the same order each time."""
        with closing(sqlite3.connect(self.journal)) as eye:
            for (table,) in eye.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall():
                yield table
                for row in eye.execute(f"SELECT * FROM {table}"):  # noqa: S608  # a table of ours
                    yield repr(row)

    def stop_if_something_was_found(self) -> None:
        if self.inspector.findings:
            found = self.inspector.findings
            raise BrokenInvariantError("; ".join(map(str, found[:3])), found)


def stream(seed: int, *name: object) -> Random:
    return Random("/".join(map(str, (seed, *name))))  # noqa: S311  # the same each time is the point
