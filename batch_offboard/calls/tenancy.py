"""One tenant while one command uses it: the client, the journal's writer, and the reader with its own quota.

Only one process reads a tenant at a time, for the length of a few pages, so that several commands (a run, a plan of
another sheet, a tracker) share the quota of reads without a common clock: each reader continues the call log where the
previous one left it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import Flag, auto
from pathlib import Path
from typing import TYPE_CHECKING

from batch_offboard.base import logs
from batch_offboard.base.clock import Clock, Moment
from batch_offboard.base.errors import (
    BatchOffboardError,
    BusyError,
    ConfigError,
    ExitCode,
    SignInError,
    TransientSignInError,
)
from batch_offboard.calls.gate import Gate
from batch_offboard.core.jobs import CallOutcome, Verdict
from batch_offboard.core.slots import Slot
from batch_offboard.core.tenant import ApiName, Machine, MachineAction
from batch_offboard.defender.protocol import (
    ForeignLinkError,
    Pages,
    Read,
    ReadKind,
    Request,
    action_request,
    actions_request,
    classify_read,
    machines_request,
)
from batch_offboard.defender.protocol.actions import action_of
from batch_offboard.defender.protocol.machines import machine_of
from batch_offboard.defender.protocol.wire import LONGEST_WAIT
from batch_offboard.defender.target import Target
from batch_offboard.journal.attempts import ReadEnd
from batch_offboard.journal.locks import only_process, reading_lock
from batch_offboard.journal.reading import call_history
from batch_offboard.journal.store import Journal
from batch_offboard.journal.writer import JournalWriter

if TYPE_CHECKING:  # the HTTP library is loaded when a tenant is opened: a list of batches needs none
    from batch_offboard.defender.client import ApiClient

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 16.0  # seconds between two tries

TURN_PATIENCE = 300.0  # seconds; another process does not read for longer
TURN_POLL = 0.5  # seconds


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a reader waits for one answer, in seconds. A failed call is retried for `trouble`; `asked` limits the
    sum of the waits that the API or the hour's quota require."""

    trouble: float
    asked: float


PATIENT = Patience(trouble=30.0, asked=600.0)
HURRIED = Patience(trouble=5.0, asked=5.0)  # if the work is already done, or a person waits for the answer


class Unreadable(Flag):
    """What may not be read of the tenant. A token that may not read machines may not read their actions either."""

    NOTHING = 0
    ACTIONS = auto()
    MACHINES = auto()
    ALL = ACTIONS | MACHINES


class CannotReadError(BatchOffboardError):
    """A list may not be read with this token, or the server does not support reading; sending may still work."""

    exit_code = ExitCode.SIGN_IN


class ReadError(BatchOffboardError):
    """The tenant could not be read this time."""

    exit_code = ExitCode.UNFINISHED


class StrangeListError(BatchOffboardError):
    """A list links to a next page on another host; the token is not sent there, and the list is not used."""

    exit_code = ExitCode.REFUSED


class EmptyTenantError(ConfigError):
    """The tenant lists no devices, so nothing can be checked against it: the host or the tenant is probably wrong."""


@dataclass(slots=True)
class Tenancy:
    """What is open while a command works with one tenant. `lock_folder` is None if no other process can use the tenant.

    `say` shows a line to the operator; it may be replaced, for example by a live display.
    """

    journal: Journal
    writer: JournalWriter
    client: "ApiClient"
    target: Target
    clock: Clock
    scope_key: int
    lock_folder: Path | None
    unreadable: Unreadable = Unreadable.NOTHING  # what the tenant has refused, and is not requested again
    say: Callable[[str], None] = field(default=lambda _text: None)
    devices_read: bool = False  # whether a list of devices was received

    @asynccontextmanager
    async def reader(self, patience: Patience = PATIENT) -> AsyncIterator["Reader"]:
        """A reader with exclusive access until the end of the block. Raises BusyError if others read for too long."""
        async with self._turn():
            now = self.clock.now()
            await self.writer.run(self.journal.rescue_reads, self.scope_key, now)
            limits = self.target.limits
            history = call_history(self.journal, self.target.scope, ApiName.READ, limits.hour.calls, now)
            yield Reader(self, Gate(limits, self.clock, history), patience)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Take the lock by polling: it belongs to the thread that takes it, and the event loop must not block."""
        if self.lock_folder is None:
            yield
            return
        paths = [reading_lock(self.lock_folder, self.target.scope)]
        loop = asyncio.get_running_loop()
        deadline = loop.time() + TURN_PATIENCE
        with ExitStack() as held:
            while True:
                try:
                    held.enter_context(only_process(paths, "reading it", self.clock.now().wall))
                    break
                except BusyError:
                    if loop.time() > deadline:
                        raise
                    await asyncio.sleep(TURN_POLL)
            yield


@asynccontextmanager
async def open_tenancy(
    journal: Journal,
    target: Target,
    clock: Clock,
    *,
    lock_folder: Path | None = None,
    unreadable: Unreadable = Unreadable.NOTHING,
    say: Callable[[str], None] = lambda _text: None,
) -> AsyncIterator[Tenancy]:
    """The tenancy, closed at the end of the block."""
    from batch_offboard.defender.client import api_client

    async with (
        JournalWriter(journal) as writer,
        api_client(target.api_url, target.token.token, target.connection) as client,
    ):
        scope_key = await writer.run(journal.scope_key, target.scope)
        yield Tenancy(journal, writer, client, target, clock, scope_key, lock_folder, unreadable, say)


class Reader:
    """Reads machines and machine actions; every call takes a slot of the quota of reads and is in the call log."""

    def __init__(self, tenancy: Tenancy, gate: Gate, patience: Patience) -> None:
        self._tenancy, self._gate, self._patience = tenancy, gate, patience
        self._renewed = False
        self.server_time: tuple[float, float] | None = None  # the server's clock and ours, at the last answer

    async def reach_machines(self) -> bool:
        """Read one machine to check the permission; returns whether the tenant has one."""
        read = await self._call(machines_request(self._tenancy.target.api_url, top=1), Unreadable.ALL)
        return any(machine_of(item) is not None for item in read.items)

    async def reach_actions(self) -> None:
        """Read one machine action to check the permission."""
        await self._call(actions_request(self._tenancy.target.api_url, top=1), Unreadable.ACTIONS)

    async def machines(self) -> list[Machine]:
        """Every machine of the tenant, one record for each ID. Raises ReadError if the list is incomplete, since a name
        whose second machine is on a missing page would seem to be unique."""
        pages = await self._list(machines_request(self._tenancy.target.api_url), Unreadable.ALL)
        if not pages.whole:
            raise ReadError(
                f"The API's list of machines repeats itself after {len(pages.items)} of them, so the rest is "
                "unknown; try again later."
            )
        found = (machine_of(item) for item in pages.items.values())
        return [machine for machine in found if machine is not None]

    async def actions(
        self, *, since: float | None = None, device_id: str | None = None
    ) -> tuple[list[MachineAction], bool]:
        """The tenant's offboard actions, all or those created `since` (seconds since the epoch), and whether the list
        is certainly complete."""
        request = actions_request(self._tenancy.target.api_url, since=since, device_id=device_id)
        pages = await self._list(request, Unreadable.ACTIONS)
        found = (action_of(item) for item in pages.items.values())
        return [action for action in found if action is not None], pages.whole

    async def action(self, action_id: str) -> MachineAction | None:
        """The offboard action with this ID, or None."""
        request = action_request(self._tenancy.target.api_url, action_id)
        read = await self._call(request, Unreadable.ACTIONS, single=True)
        return action_of(read.items[0]) if read.kind is ReadKind.PAGE else None

    async def _list(self, first: Request, what: Unreadable) -> Pages:
        """All pages of a list. If one is refused, `what` is marked as unreadable."""
        pages = Pages(first)
        request: Request | None = first
        while request is not None:
            read = await self._call(request, what)
            try:
                request = pages.take(read)
            except ForeignLinkError as error:
                raise StrangeListError(
                    f"The list at {first.url.partition('?')[0]} names a next page on another host; it was not "
                    "followed and nothing was sent. Check api_url and network.proxy."
                ) from error
        return pages

    async def _call(self, request: Request, what: Unreadable, *, single: bool = False) -> Read:
        """The first usable answer, after as many calls as it takes. A refusal marks `what` as unreadable.

        Raises CannotReadError, ReadError or SignInError.
        """
        waits = _Waits(self._gate, self._tenancy, self._patience)
        while True:
            waits.begin()
            try:
                read = await self._attempt(request, single=single)
                if read.kind is ReadKind.UNAUTHORIZED:
                    await self._renew(read)
            except TransientSignInError as error:
                waits.failed(error)
                continue
            match read.kind:
                case ReadKind.PAGE | ReadKind.EMPTY:
                    self._tenancy.devices_read |= what is Unreadable.ALL
                    return read
                case ReadKind.FORBIDDEN | ReadKind.NOT_OFFERED:
                    self._tenancy.unreadable |= what
                    has = self._tenancy.target.token.claims.may_read
                    raise CannotReadError(_cannot(read, what, has, devices_read=self._tenancy.devices_read))
                case ReadKind.THROTTLED:
                    waits.throttled(read)
                case ReadKind.REFUSED:
                    raise ReadError(_failed(read))
                case ReadKind.AGAIN:
                    waits.failed(ReadError(_failed(read)), read.retry_after)

    async def _attempt(self, request: Request, *, single: bool) -> Read:
        """One call: slot, durable intent, bytes, rules, durable outcome."""
        tenancy = self._tenancy
        slot = await self._gate.acquire()
        call = await tenancy.writer.run(tenancy.journal.begin_read, tenancy.scope_key, slot.taken_at)
        try:
            answer = await tenancy.client.send(request, slot)
        except BaseException:
            # Cancelled, or no token: the call must not stay open in the call log.
            words = CallOutcome(Verdict.FAILED, code="Interrupted", message="The read was cancelled.")
            await asyncio.shield(self._end(call, self._gate.release(slot), words, slower=False))
            raise
        wall = tenancy.clock.now().wall
        read = classify_read(answer, wall, single=single)
        self.server_time = (read.server_time, wall) if read.server_time is not None else self.server_time
        at = self._gate.release(slot)
        slower = self._obey(read, slot)
        outcome = _outcome(read)
        await self._end(call, at, outcome, slower=slower)
        _log(request, read, outcome)
        return read

    async def _end(self, call: int, at: Moment, outcome: CallOutcome, *, slower: bool) -> None:
        tenancy = self._tenancy
        await tenancy.writer.run(tenancy.journal.end_read, ReadEnd(call, tenancy.scope_key, at, outcome, slower))

    def _obey(self, read: Read, slot: Slot) -> bool:
        if read.kind is ReadKind.THROTTLED and read.retry_after is not None:
            return self._gate.throttled(slot, min(read.retry_after, LONGEST_WAIT))
        return False

    async def _renew(self, read: Read) -> None:
        """Get another token, once. Raises SignInError."""
        if self._renewed:
            raise SignInError(f"The API does not accept the token (401, {_said(read)}); renew it and try again.")
        self._renewed = True
        await self._tenancy.target.token.renew()


class _Waits:
    """The waits of one call. The gate does the waiting; a wait that would exceed the patience is not started."""

    def __init__(self, gate: Gate, tenancy: Tenancy, patience: Patience) -> None:
        self._gate, self._clock, self._say = gate, tenancy.clock, tenancy.say
        self._began = self._now
        self._patience = patience
        self._asked = patience.asked  # seconds left of it
        self._own = 0.0  # seconds of the current wait that we chose and the API did not require
        self._pause = FIRST_PAUSE

    def begin(self) -> None:
        """Call before each attempt. Raises ReadError if it would wait for too long."""
        held, why = self._gate.held()
        asked = max(0.0, held - self._own)
        if asked > self._asked:
            raise ReadError(f"{why} asks to wait {held:.0f} s before the tenant is read; try again later.")
        if asked:
            self._say(f"{why} asks to wait {held:.0f} s before the rest of the tenant is read.")
        self._asked -= asked
        self._own = 0.0

    def throttled(self, read: Read) -> None:
        """Call after a 429, whose wait the gate already knows. Raises ReadError if it is too long."""
        wait = read.retry_after or 0.0
        if wait > LONGEST_WAIT or self._gone >= self._patience.trouble + self._patience.asked:
            raise ReadError(f"The API asks to wait {wait:.0f} s before the tenant is read; try again later.")

    def failed(self, problem: BatchOffboardError, asked: float | None = None) -> None:
        """Call after a failed attempt; `asked` is the wait that the API requires, if any. Raises `problem` after the
        last attempt."""
        left = self._patience.trouble - self._gone
        if left <= 0:
            raise problem
        self._own = min(self._pause, left)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._gate.pause(max(self._own, asked or 0.0))

    @property
    def _now(self) -> float:
        return self._clock.now().ticks

    @property
    def _gone(self) -> float:
        return self._now - self._began


def _log(request: Request, read: Read, outcome: CallOutcome) -> None:
    well = outcome.verdict is Verdict.ANSWERED
    (logs.debug if well else logs.warning)(
        "tenant read",
        path=request.url.partition("?")[0],
        verdict=outcome.verdict,
        status=outcome.http_status,
        items=len(read.items),
        code=outcome.code,
        message=outcome.message,
        tracking_id=outcome.target,
        retry_after=outcome.retry_after,
    )


def _outcome(read: Read) -> CallOutcome:
    verdicts = {
        ReadKind.PAGE: Verdict.ANSWERED,
        ReadKind.EMPTY: Verdict.ANSWERED,
        ReadKind.THROTTLED: Verdict.THROTTLED,
        ReadKind.UNAUTHORIZED: Verdict.UNAUTHORIZED,
    }
    return CallOutcome(
        verdicts.get(read.kind, Verdict.FAILED),
        http_status=read.http_status,
        code=read.code,
        message=read.message,
        target=read.target,
        retry_after=min(read.retry_after, LONGEST_WAIT) if read.retry_after is not None else None,
    )


def _said(read: Read) -> str:
    return f"{read.code}: {read.message}".rstrip(" .:")


def _cannot(read: Read, what: Unreadable, permission: str, *, devices_read: bool) -> str:
    """Why a list may not be read, and the remedy. `permission` is one that the token lists and that should suffice.
    Devices and actions need the same one: after `devices_read`, granting it would not help."""
    if read.kind is not ReadKind.FORBIDDEN:
        return f"{_said(read)}, so nothing can be read at api_url"
    things = "the tenant's devices" if what is Unreadable.ALL else "the tenant's machine actions"
    if permission or devices_read:
        although = (
            f"the token has {permission}" if permission else "devices can be read, which needs the same permission"
        )
        return (
            f"the API does not permit reading {things} ({_said(read)}), although {although}; check "
            "api_url, and the roles and device groups of Defender"
        )
    return f"the application may not read {things} ({_said(read)}); grant it Machine.Read.All with admin consent"


def _failed(read: Read) -> str:
    if read.code == "Unreachable":
        return (
            f"The API cannot be reached ({read.message}); check the network, network.proxy and api_url, then try again."
        )
    if read.code == "NoTrust":
        return (
            f"The API's certificate is not trusted ({read.message}); if your network inspects TLS, name its root "
            "certificate in network.ca_file."
        )
    return f"The tenant could not be read ({_said(read)}); try again later."
