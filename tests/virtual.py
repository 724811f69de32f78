"""An office on virtual time: whole commands run in it, against a tenant that exists as long as the office does.

Time passes only while something waits. Each await of a command gets its own event loop, and the tenant listens in each
of them, on the same port and with all actions accepted so far.
"""

import asyncio
import json
import os
import shutil
import socket
import sqlite3
import tempfile
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha1
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import looptime
import pytest

from batch_offboard.base.clock import Clock, Moment
from batch_offboard.cli.signals import SignalEnding
from batch_offboard.commands.desk import Desk
from batch_offboard.commands.options import Options
from batch_offboard.commands.views import PlanView, Talk
from batch_offboard.core.progress import Progress
from batch_offboard.journal.store import Journal
from batch_offboard.simulator import SimulatorOptions, running_simulator
from batch_offboard.simulator.actions import Action
from batch_offboard.simulator.calls import Call, Operation
from tests.commands import ANN

T = TypeVar("T")

BERLIN = ZoneInfo("Europe/Berlin")
TENANT_ID, CLIENT_ID = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
WIDE_QUOTA = {"per_minute": 10_000, "per_hour": 10_000, "burst": 100}

# The display is updated every 0.25 s times this; updates are slow and are tested elsewhere.
SPEED = 20.0

Machine = dict[str, object]


class PowerCutError(SystemExit):
    """The machine loses power. Nothing in the process may continue."""


def device(number: int) -> str:
    return sha1(f"device {number}".encode(), usedforsecurity=False).hexdigest()


def in_berlin(text: str) -> float:
    """The moment of this local time in Berlin; the earlier one if there are two."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


class VirtualWorld:
    """The time in which commands run, and the tenant that they use. `now` is in seconds since the epoch; `machines` are
    the tenant's from the next event loop on."""

    def __init__(self, start: float, machines: Iterable[Machine], **options: Any) -> None:
        self._start, self._elapsed = start, 0.0
        self.machines = list(machines)
        self._options = SimulatorOptions(port=_free_port(), **options)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._coming: list[tuple[float, Callable[[], object]]] = []
        self._behind: list[tuple[int, Callable[[], object]]] = []
        self._waiting: list[asyncio.TimerHandle] = []
        self.calls: list[Call] = []
        self.actions: dict[str, Action] = {}

    @property
    def clock(self) -> Clock:
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._options.port}"

    def now(self) -> Moment:
        elapsed = self._elapsed if self._loop is None else self._loop.time()
        return Moment(self._start + elapsed, elapsed, "boot-of-the-office")

    def set_faults(self, *faults: str) -> None:
        """Set the tenant's faults, from the next event loop on."""
        self._options = replace(self._options, faults=faults)

    def at(self, moment: float, event: Callable[[], object]) -> None:
        """Call something at a given time (seconds since the epoch), whatever is running then."""
        coming = (moment - self._start, event)
        self._coming.append(coming)
        if self._loop is not None:
            self._waiting.append(self._loop.call_at(max(coming[0], self._loop.time()), self._happen, coming))

    def after_calls(self, number: int, event: Callable[[], object]) -> None:
        """Call something when this many more offboard calls have arrived."""
        self._behind.append((len(self.offboard_calls()) + number, event))

    def until(self, moment: float) -> None:
        """Advance the time while no command runs."""
        for at, event in sorted(self._coming, key=lambda each: each[0]):
            if self._start + at <= moment:
                self._elapsed = max(self._elapsed, at)
                self._happen((at, event))
        self._elapsed = max(self._elapsed, moment - self._start)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        loop = looptime.patch_event_loop(asyncio.SelectorEventLoop(), start=self._elapsed)
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            self._loop = loop
            try:
                return runner.run(self._beside_the_tenant(work))
            finally:
                self._elapsed, self._loop = loop.time(), None

    async def _beside_the_tenant(self, work: Coroutine[Any, Any, T]) -> T:
        loop = asyncio.get_running_loop()
        earlier = [action.as_json(self.now().wall) for action in self.actions.values()]
        now = lambda: self.now().wall  # noqa: E731  # the tenant's clock, in one place
        async with running_simulator(self.machines, self._options, now, earlier_actions=earlier) as simulator:
            simulator.tenant.calls = _Calls(self._arrived)
            self._waiting = [
                loop.call_at(max(at, loop.time()), self._happen, (at, event)) for at, event in self._coming
            ]
            try:
                return await work
            finally:
                self.actions = dict(simulator.tenant.actions)
                for handle in self._waiting:
                    handle.cancel()

    def _happen(self, coming: tuple[float, Callable[[], object]]) -> None:
        self._coming.remove(coming)
        coming[1]()

    def _arrived(self, call: Call) -> None:
        self.calls.append(call)
        number = len(self.offboard_calls())
        for due in [each for each in self._behind if each[0] <= number and call.operation is Operation.OFFBOARD]:
            self._behind.remove(due)
            asyncio.get_running_loop().call_soon(due[1])

    def offboard_calls(self) -> list[Call]:
        """The offboard calls that arrived, in order."""
        return [call for call in self.calls if call.operation is Operation.OFFBOARD]


class _Calls(list[Call]):
    """The tenant's record of calls, which reports each call as it arrives."""

    def __init__(self, arrived: Callable[[Call], None]) -> None:
        super().__init__()
        self._arrived = arrived

    def append(self, call: Call) -> None:
        super().append(call)
        self._arrived(call)


@dataclass
class Ears:
    """An observer and listener that records everything."""

    said_so_far: list[str] = field(default_factory=list)
    asked: list[PlanView] = field(default_factory=list)

    def started(self, batch_id: str, progress: Progress) -> None: ...

    def changed(self, progress: Progress) -> None: ...

    def said(self, text: str) -> None:
        self.said_so_far.append(text)

    def finished(self, progress: Progress) -> None: ...

    @property
    def talk(self) -> Talk:
        return Talk(self, self.said_so_far.append, SignalEnding())


class VirtualOffice:
    """A working folder with its configuration, and a journal, all below `root`."""

    def __init__(self, root: Path, world: VirtualWorld, **settings: Any) -> None:
        self.root, self.world = root, world
        self.folder, self.inbox = root / "work", root / "work" / "inbox"
        self.journal_path = root / "journal" / "journal.db"
        self.inbox.mkdir(parents=True)
        self.ears = Ears()
        self.configure(**settings)

    def configure(self, **settings: Any) -> None:
        """Write config.yaml; JSON is YAML."""
        values = {
            "tenant_id": TENANT_ID,
            "client_id": CLIENT_ID,
            "credential": {"type": "access_token", "token_env": "OFFBOARD_TOKEN"},
            "api_url": self.world.url,
            "quota": WIDE_QUOTA,
        }
        (self.folder / "config.yaml").write_text(json.dumps(values | settings), encoding="utf-8")

    def desk(self, **options: Any) -> Desk:
        """A desk like a command's; close it, or use it as a context manager."""
        environ: Mapping[str, str] = {"OFFBOARD_TOKEN": "rehearsal-token"}
        chosen = Options(environ=environ, cwd=self.folder, actor=ANN, journal=self.journal_path, speed=SPEED, **options)
        return Desk(chosen, create=True, clock=self.world.clock)

    def journal(self) -> Journal:
        """The journal, opened like another process would; close it."""
        return Journal(self.journal_path)

    def sheet(self, devices: Iterable[int], name: str = "devices.csv", columns: str = "Device ID,Owner") -> Path:
        """A CSV of these devices in the working folder, last changed now."""
        return self.write(self.folder / name, self.text(devices, columns))

    def drop(self, devices: Iterable[int], name: str = "devices.csv") -> Path:
        """The same in the inbox."""
        return self.write(self.inbox / name, self.text(devices))

    def text(self, devices: Iterable[int], columns: str = "Device ID,Owner") -> str:
        more = "," * (columns.count(",") - 1)
        return "\n".join([columns, *(f"{device(number)},Ann{more}" for number in devices)]) + "\n"

    def write(self, path: Path, content: str | bytes) -> Path:
        """Write a file with the office's current time as its modification time."""
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        now = self.world.now().wall
        os.utime(path, (now, now))
        return path

    def called(self) -> list[int]:
        """The numbers of the devices whose calls arrived, one for each call."""
        numbers = {device(number): number for number in range(1000)}
        return [numbers[str(call.device_id)] for call in self.world.offboard_calls()]

    def power_cut(self) -> None:
        """Save the current state of the disk, and end the command; `power_on` restores that state."""
        with closing(sqlite3.connect(self.journal_path, timeout=60)) as connection:
            connection.execute("BEGIN IMMEDIATE")  # between two commits, so that the copy is consistent
            self._copy(self.root, self._kept)
        raise PowerCutError

    def power_on(self) -> None:
        shutil.rmtree(self.root)
        self._copy(self._kept, self.root)
        shutil.rmtree(self._kept)

    @property
    def _kept(self) -> Path:
        return self.root.with_name(f"{self.root.name}-kept")

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        shutil.copytree(source, target, copy_function=shutil.copy2)


@contextmanager
def office_place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for an office, with a state folder of its own.

    In memory if the system has such a folder: hundreds of syncs are slow on a busy disk and are tested elsewhere.
    """
    memory = Path("/dev/shm")  # noqa: S108  # a folder with a random name is created in it
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        place = Path(folder).resolve()
        for name in ("HOME", "XDG_STATE_HOME", "LOCALAPPDATA", "WIN_PD_OVERRIDE_LOCAL_APPDATA"):
            monkeypatch.setenv(name, str(place / "state"))
        yield place


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port
