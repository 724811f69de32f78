"""A whole run on virtual time: real journal, gate, client and HTTP, and what must hold of them afterwards.

The tenant's clock is the loop's and cannot be moved; the run's own clock can.
"""

import asyncio
import hashlib
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from batch_offboard.base.clock import Clock, Moment
from batch_offboard.base.errors import SignInError
from batch_offboard.calls.shift import Terms, work_off
from batch_offboard.calls.tenancy import Tenancy, Unreadable, open_tenancy
from batch_offboard.cli.signals import SignalEnding
from batch_offboard.config import Guards
from batch_offboard.core.batches import Batch
from batch_offboard.core.brakes import Halt
from batch_offboard.core.guards import cleared_before
from batch_offboard.core.plan import PlannedRow
from batch_offboard.core.platforms import Platforms
from batch_offboard.core.progress import Progress
from batch_offboard.core.protected import Protected
from batch_offboard.core.quota import QuotaLimits
from batch_offboard.core.settling import HORIZON
from batch_offboard.defender.connection import Connection
from batch_offboard.defender.signin import Claims
from batch_offboard.defender.target import Target
from batch_offboard.journal import reading, reported
from batch_offboard.journal.store import Journal
from batch_offboard.reports.rows import Outcome, ReportRow
from batch_offboard.simulator import RunningSimulator, SimulatorOptions, Tenant, fleet_of, running_simulator
from tests.examples import add_batch
from tests.integration.inspection import Attempt, Inspection, attempts_of

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
            raise SignInError("The API does not accept the access token; get a new one, then try again.")
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

    def pause(self, seconds: float) -> None:
        """The machine is suspended for so long: its clocks go on, and nothing of it runs."""
        self._ticks += seconds
        self.wall += seconds


@dataclass
class World:
    """One journal, and batches that are worked off against tenants."""

    journal: Journal
    ears: Ears = field(default_factory=Ears)
    secret: str = TOKEN
    origin: float = ORIGIN

    def add(self, devices: Iterable[int | str], name: str = "batch-1", **facts: Any) -> Batch:
        """A batch with one row for each device, by number or ID; its rows begin at 2, as in a sheet with a header.
        `facts` are those of the plan that are not the usual ones."""
        ids = [each if isinstance(each, str) else device(each) for each in devices]
        rows = [PlannedRow(row, each, "", None, "", None, (f"c{row}",)) for row, each in enumerate(ids, 2)]
        usual = {"batch_id": name, "scope": SCOPE, "planned_at": ORIGIN, "api_url": "http://127.0.0.1"}
        return add_batch(self.journal, rows, **{**usual, **facts})

    def batch(self, name: str) -> Batch:
        """The batch as the journal has it now."""
        found = reading.find_batch(self.journal, name)
        assert found is not None
        return found

    @asynccontextmanager
    async def tenant(
        self, devices: int | Iterable[dict[str, object]] = 0, *faults: str, **options: Any
    ) -> AsyncIterator[RunningSimulator]:
        """A tenant with that many healthy devices, or with these machines; its latency is 0.02 to 0.2 seconds if
        nothing else is said."""
        if isinstance(devices, int):
            devices = fleet_of([(device(number), None) for number in range(devices)], 0, ORIGIN)
        loop = asyncio.get_running_loop()
        chosen = SimulatorOptions(faults=faults, **options)
        async with running_simulator(devices, chosen, lambda: ORIGIN + loop.time()) as simulator:
            yield simulator

    def target(
        self,
        url: str,
        *,
        workers: int = 8,
        limits: QuotaLimits | None = None,
        tokens: Tokens | None = None,
        horizon: float = HORIZON,
        timeout: float = 90.0,
        platforms: Platforms = Platforms.STANDARD,
    ) -> Target:
        return Target(
            scope=SCOPE,
            api_url=url,
            token=tokens or Tokens(),
            limits=limits or QuotaLimits(),
            workers=workers,
            guards=Guards(),
            comment=None,
            connection=Connection(workers=workers, timeout=timeout),
            simulated=False,
            horizon=horizon,
            platforms=platforms,
        )

    def opened(
        self, target: Target, *, clock: Clock | None = None, **more: Any
    ) -> AbstractAsyncContextManager[Tenancy]:
        """The tenancy of a command, on the loop's time."""
        return open_tenancy(self.journal, target, clock or MovedClock(), **({"say": self.ears.said} | more))

    def tenancy(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        lock_folder: Path | None = None,
        unreadable: Unreadable = Unreadable.NOTHING,
        **target: Any,
    ) -> AbstractAsyncContextManager[Tenancy]:
        """Likewise, of the tenant at this URL; `target` is as for the method of that name."""
        return self.opened(self.target(url, **target), clock=clock, lock_folder=lock_folder, unreadable=unreadable)

    async def work(
        self,
        batch: Batch,
        url: str,
        *,
        look: bool = False,
        clock: Clock | None = None,
        terms: Terms | None = None,
        **target: Any,
    ) -> Halt | None:
        """Run or resume a batch. `look`: the tenant may be read; most facts of the runs are about the calls that
        offboard, and nothing else."""
        unreadable = Unreadable.NOTHING if look else Unreadable.ALL
        async with self.tenancy(url, clock=clock, unreadable=unreadable, **target) as tenancy:
            clearance = cleared_before(batch.batch_id, Protected())
            chosen = replace(terms or Terms(SPEED), ending=SignalEnding())
            try:
                return await work_off(tenancy, self.batch(batch.batch_id), clearance, self.ears, chosen)
            finally:
                self.journal.give_back()

    def report(self, batch: Batch) -> list[ReportRow]:
        return list(reported.report_rows(self.journal, batch.key))

    def outcomes(self, batch: Batch) -> dict[Outcome, int]:
        found: dict[Outcome, int] = defaultdict(int)
        for row in self.report(batch):
            found[row.outcome] += 1
        return dict(found)

    def calls(self, api: str) -> list[Attempt]:
        """The journal's calls of this kind, in the order of their intents."""
        return [each for each in attempts_of(self) if each.api == api]

    def attempts(self) -> list[Attempt]:
        return self.calls("offboard")

    def check(
        self,
        batches: Sequence[Batch],
        *tenants: Tenant,
        limits: QuotaLimits | None = None,
        same_clock: bool = True,
    ) -> None:
        """All that must hold between journal and tenant, whatever happened. `same_clock`: their times compare."""
        Inspection(self, batches, tenants).all(limits or QuotaLimits(), same_clock=same_clock)


async def interrupted(work: Awaitable[T], *moments: float) -> T:
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
