"""A whole run on virtual time: real journal, gate, client and HTTP, and what must hold of them afterwards.

The tenant's clock is the loop's and cannot be moved; the run's own clock can.
"""

import asyncio
import hashlib
import os
import re
import signal
import tempfile
from bisect import bisect_right
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import select

from batch_offboard.brakes import Halt
from batch_offboard.clock import Moment
from batch_offboard.config import Guards
from batch_offboard.connection import Connection
from batch_offboard.errors import SignInError
from batch_offboard.execution import work_off
from batch_offboard.guards import cleared_before
from batch_offboard.jobs import NEXT_STATE, JobState, Verdict
from batch_offboard.journal import reading, reported
from batch_offboard.journal.plans import NewBatch
from batch_offboard.journal.schema import calls, jobs, throttles
from batch_offboard.journal.store import Journal
from batch_offboard.plan import PlannedRow
from batch_offboard.protected import Protected
from batch_offboard.quota import QuotaLimits
from batch_offboard.report import Outcome, ReportRow
from batch_offboard.rows import Source
from batch_offboard.settling import HORIZON
from batch_offboard.signin import Claims, TokenSource
from batch_offboard.simulator import RunningSimulator, SimulatorOptions, Tenant, fleet_of, running_simulator
from batch_offboard.standing import Progress
from batch_offboard.target import Target
from batch_offboard.tenancy import open_tenancy

T = TypeVar("T")

ORIGIN = 1_795_500_017.25  # begins no whole minute or hour, as seen by a server that counts in those
TOKEN = "canary-token"
SCOPE = "tenant/application"

# The display is looked at every 0.25 s times this; forecasts take real time and are tested elsewhere.
SPEED = 1000.0


def device(number: int) -> str:
    return hashlib.sha1(f"device {number}".encode(), usedforsecurity=False).hexdigest()


class Tokens:
    """Tokens one after the other, as a file would hold them that somebody renews."""

    claims = Claims()

    def __init__(self, *values: str) -> None:
        self._values = list(values) or [TOKEN]
        self.renewals = 0

    def sign_in(self) -> Claims:
        return self.claims

    async def token(self) -> str:
        return self._values[0]

    async def renew(self) -> None:
        self.renewals += 1
        if len(self._values) == 1:
            raise SignInError("The API does not accept the access token; get a new one, then `resume`.")
        self._values.pop(0)


@dataclass
class Ears:
    """Whoever watches: keeps what was said."""

    said_so_far: list[str] = field(default_factory=list)
    most_in_flight: int = 0

    def started(self, batch_id: str, progress: Progress) -> None: ...

    def changed(self, progress: Progress) -> None:
        self.most_in_flight = max(self.most_in_flight, progress.in_flight)

    def said(self, text: str) -> None:
        self.said_so_far.append(text)

    def finished(self, progress: Progress) -> None:
        self.last = progress


class MovedClock:
    """The loop's time on a machine whose calendar is wrong by `wall` seconds, in the boot of that name."""

    def __init__(self, wall: float = 0.0, ticks: float = 0.0, boot: str = "boot-1") -> None:
        self._loop = asyncio.get_running_loop()
        self.wall, self._ticks, self._boot = wall, ticks, boot

    def now(self) -> Moment:
        time = self._loop.time()
        return Moment(ORIGIN + time + self.wall, self._ticks + time, self._boot)


@dataclass
class World:
    """One journal, and batches that are worked off against tenants."""

    journal: Journal
    ears: Ears = field(default_factory=Ears)

    def add(self, numbers: Iterable[int], name: str = "batch-1") -> reading.Batch:
        """A batch with one row for each device number; its rows begin at 2, as in a sheet with a header."""
        new = NewBatch(
            batch_id=name,
            scope=SCOPE,
            planned_at=ORIGIN,
            source=Source("/sheets/devices.csv", "devices.csv", "0" * 64, 10, "CSV"),
            columns=("Owner",),
            reading={},
            api_url="http://127.0.0.1",
            comment="CHG0042",
            simulated=False,
            tool_version="0",
        )
        rows = [PlannedRow(row, device(each), "", None, "", None, (f"c{row}",)) for row, each in enumerate(numbers, 2)]
        self.journal.add_batch(new, rows, lambda: ())
        found = reading.find_batch(self.journal, name)
        assert found is not None
        return found

    @asynccontextmanager
    async def tenant(self, devices: int = 0, *faults: str, **options: object) -> AsyncIterator[RunningSimulator]:
        """A tenant with that many devices; its latency is 0.02 to 0.2 seconds if nothing else is said."""
        chosen = SimulatorOptions(faults=faults, **options)  # type: ignore[arg-type]  # the caller names its options
        fleet = fleet_of([(device(number), None) for number in range(devices)], 0, ORIGIN)
        loop = asyncio.get_running_loop()
        async with running_simulator(fleet, chosen, lambda: ORIGIN + loop.time()) as simulator:
            yield simulator

    async def work(
        self,
        batch: reading.Batch,
        url: str,
        *,
        workers: int = 8,
        limits: QuotaLimits | None = None,
        tokens: TokenSource | None = None,
        clock: MovedClock | None = None,
        look: bool = False,
        horizon: float = HORIZON,
    ) -> Halt | None:
        """`look`: the tenant may be read; most facts here are about the calls that offboard, and nothing else."""
        target = Target(
            scope=SCOPE,
            api_url=url,
            token=tokens or Tokens(),
            limits=limits or QuotaLimits(),
            workers=workers,
            guards=Guards(),
            comment=None,
            connection=Connection(workers=workers),
            simulated=False,
            horizon=horizon,
        )
        async with open_tenancy(self.journal, target, clock or MovedClock(), unreadable=not look) as tenancy:
            clearance = cleared_before(batch.batch_id, Protected())
            return await work_off(tenancy, batch, clearance, self.ears, speed=SPEED)

    def report(self, batch: reading.Batch) -> list[ReportRow]:
        return list(reported.report_rows(self.journal, batch.key))

    def outcomes(self, batch: reading.Batch) -> dict[Outcome, int]:
        found: dict[Outcome, int] = defaultdict(int)
        for row in self.report(batch):
            found[row.outcome] += 1
        return dict(found)

    def attempts(self) -> "list[Attempt]":
        """Every call of the journal with its device, in the order of their intents."""
        statement = (
            select(
                jobs.c.device_id,
                calls.c.batch,
                calls.c.row,
                calls.c.attempt,
                calls.c.started_at,
                calls.c.ended_at,
                calls.c.verdict,
            )
            .join(jobs, (jobs.c.batch == calls.c.batch) & (jobs.c.row == calls.c.row))
            .order_by(calls.c.id)
        )
        with self.journal.reading() as connection:
            return [Attempt(*line) for line in connection.execute(statement)]

    def holds(self) -> list[tuple[float, float]]:
        """The 429 answers and the like: from when, and for how long, nobody may call."""
        with self.journal.reading() as connection:
            return [tuple(line) for line in connection.execute(select(throttles.c.at, throttles.c.wait))]

    def check(
        self,
        batches: Sequence[reading.Batch],
        *tenants: Tenant,
        limits: QuotaLimits | None = None,
        same_clock: bool = True,
    ) -> None:
        """All that must hold between journal and tenant, whatever happened. `same_clock`: their times compare."""
        Inspection(self, batches, tenants).all(limits or QuotaLimits(), same_clock=same_clock)


@dataclass(frozen=True, slots=True)
class Attempt:
    device_id: str
    batch: int
    row: int
    number: int
    started_at: float
    ended_at: float
    verdict: str


class Inspection:
    """The invariants between the journal and what the tenant saw of it."""

    def __init__(self, world: World, batches: Sequence[reading.Batch], tenants: Sequence[Tenant]) -> None:
        self.world = world
        self.batches = {batch.batch_id: batch for batch in batches}
        self.wire = sorted((call for tenant in tenants for call in tenant.calls), key=lambda call: call.at)
        self.actions = [action for tenant in tenants for action in tenant.actions.values()]
        self.rows = [(batch, row) for batch in batches for row in world.report(batch)]
        self.attempts = world.attempts()

    def all(self, limits: QuotaLimits, *, same_clock: bool) -> None:
        self.nobody_is_offboarded_twice()
        self.every_request_has_an_earlier_intent(same_clock=same_clock)
        self.every_row_is_reported_once_and_in_order()
        self.every_action_is_reported_or_its_device_in_doubt()
        self.every_submitted_row_has_its_action()
        for window in limits.windows:
            assert fullest([call.at for call in self.wire], window.period) <= window.calls
        if same_clock:
            self.nobody_calls_while_the_server_asks_for_silence()
            self.no_device_is_called_twice_at_a_time()
        self.states_are_legal()
        self.no_secret_is_kept()

    def nobody_is_offboarded_twice(self) -> None:
        devices = [action.machine_id for action in self.actions]
        assert len(devices) == len(set(devices))

    def every_request_has_an_earlier_intent(self, *, same_clock: bool) -> None:
        keys = {batch.key: name for name, batch in self.batches.items()}
        intents = {f"[bo {keys[each.batch]}/{each.row}/{each.number}]": each for each in self.attempts}
        seen = set()
        for call in self.wire:
            if call.comment is None:  # refused or lost before anybody read its body
                assert call.device_id in {each.device_id for each in self.attempts}
                continue
            token = call.comment.removeprefix("CHG0042 ")
            assert re.fullmatch(r"\[bo [^ ]+/\d+/\d+\]", token)
            assert token not in seen
            seen.add(token)
            assert intents[token].device_id == call.device_id
            assert not same_clock or intents[token].started_at <= call.at + 1e-3
        assert len(self.wire) <= len(self.attempts)

    def every_row_is_reported_once_and_in_order(self) -> None:
        for batch in self.batches.values():
            rows = [row.row for each, row in self.rows if each is batch]
            assert rows == list(range(2, 2 + len(rows)))
            assert len(rows) == reading.count(self.world.journal, batch.key).rows

    def every_action_is_reported_or_its_device_in_doubt(self) -> None:
        reported = {row.machine_action_id for _, row in self.rows}
        doubtful = {row.device_id for _, row in self.rows if row.outcome is Outcome.IN_DOUBT}
        lost = [each.id for each in self.actions if each.id not in reported and each.machine_id not in doubtful]
        assert lost == []

    def every_submitted_row_has_its_action(self) -> None:
        known = {(action.id, action.machine_id, action.type) for action in self.actions}
        submitted = [row for _, row in self.rows if row.outcome is Outcome.SUBMITTED]
        assert all((row.machine_action_id, row.device_id, "Offboard") in known for row in submitted)

    def nobody_calls_while_the_server_asks_for_silence(self) -> None:
        starts = sorted(each.started_at for each in self.attempts)
        for at, wait in self.world.holds():
            begun = [start for start in starts[bisect_right(starts, at) :] if start < at + wait - 1e-3]
            assert begun == [], f"called {begun[0] - at:.3f} s into a wait of {wait} s"

    def no_device_is_called_twice_at_a_time(self) -> None:
        by_device: dict[str, list[Attempt]] = defaultdict(list)
        for attempt in self.attempts:
            by_device[attempt.device_id].append(attempt)
        for several in by_device.values():
            several.sort(key=lambda each: each.started_at)
            for one, two in pairwise(several):
                assert one.ended_at <= two.started_at

    def states_are_legal(self) -> None:
        """Only the last attempt has a verdict that is not "once more", and the job stands where it led."""
        last: dict[tuple[int, int], Attempt] = {}
        for attempt in self.attempts:
            before = last.get((attempt.batch, attempt.row))
            assert attempt.number == (before.number + 1 if before else 1)
            assert before is None or NEXT_STATE[Verdict(before.verdict)] is JobState.PENDING
            last[attempt.batch, attempt.row] = attempt
        statement = select(jobs.c.batch, jobs.c.row, jobs.c.state, jobs.c.attempts)
        with self.world.journal.reading() as connection:
            for batch, row, state, made in connection.execute(statement):
                end = last.get((batch, row))
                assert state != JobState.SENDING
                assert made == (end.number if end else 0)
                assert state == JobState.SKIPPED or state == (
                    NEXT_STATE[Verdict(end.verdict)] if end else JobState.PENDING
                )

    def no_secret_is_kept(self) -> None:
        for path in self.world.journal.path.parent.iterdir():
            assert TOKEN.encode() not in path.read_bytes()
        assert TOKEN not in "".join(self.world.ears.said_so_far)


def fullest(times: Sequence[float], period: float) -> int:
    """The most arrivals in any half-open stretch of `period` seconds, by trying every one that begins with a call."""
    times = sorted(times)
    most = 0
    for index, start in enumerate(times):
        inside = index
        while inside < len(times) and times[inside] < start + period:
            inside += 1
        most = max(most, inside - index)
    return most


async def _interrupted(work: Awaitable[T], *moments: float) -> T:
    """Await `work`, and ask this process to end as Ctrl-C does, at each of the moments (in the loop's time)."""
    loop = asyncio.get_running_loop()
    # In the background of a shell the signal is ignored, and whoever is told to ignore it goes on doing so.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    async def ask() -> None:
        for moment in moments:
            await asyncio.sleep(moment - loop.time())
            if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
                signal.raise_signal(signal.SIGINT)

    asking = asyncio.create_task(ask())
    try:
        return await work
    finally:
        asking.cancel()
        signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
async def timers_are_at_least_a_microsecond_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep virtual time from standing still.

    asyncio runs a timer that is due within the clock's resolution at once. When a float's last digit is missing to a
    token, aiolimiter sets such timers for ever, since no time passes between them as it does on a machine's clock.
    """
    loop = asyncio.get_running_loop()
    call_at = loop.call_at

    def call_later_than_now(when: float, *arguments: Any, **options: Any) -> asyncio.TimerHandle:
        return call_at(max(when, loop.time() + 1e-6), *arguments, **options)

    monkeypatch.setattr(loop, "call_at", call_later_than_now)


@pytest.fixture
def world() -> Iterator[World]:
    """On memory where it can be a folder: thousands of syncs take minutes on a busy disk and are tested elsewhere."""
    memory = Path("/dev/shm")  # noqa: S108  # a folder of random name is made in it
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        journal = Journal(Path(folder) / "journal.db", create=True)
        yield World(journal)
        journal.close()


@pytest.fixture
def interrupted() -> Callable[..., Awaitable[Halt | None]]:
    return _interrupted


@pytest.fixture
def moved_clock() -> Callable[..., MovedClock]:
    return MovedClock


@pytest.fixture
def tokens() -> Callable[..., Tokens]:
    return Tokens


@pytest.fixture
def most_in_any() -> Callable[[Sequence[float], float], int]:
    return fullest
