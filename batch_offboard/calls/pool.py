"""Processes the jobs of a batch in the sheet's order, with at most `workers` calls in flight.

Every call has the same steps: a slot of the quota, a last check, the durable intent, the bytes, the rules, the durable
outcome. Sender, store and watcher are passed in; the pool does not depend on HTTP or SQL.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, cast

from batch_offboard.base.clock import Clock, Moment
from batch_offboard.base.errors import BatchOffboardError, ExitCode, SignInError, TransientSignInError
from batch_offboard.calls.gate import Gate
from batch_offboard.core.brakes import CallBrakes, Halt
from batch_offboard.core.jobs import NEXT_STATE, SIGN_IN, CallOutcome, Job, JobState, Verdict
from batch_offboard.core.slots import Slot

# After a failed connection all calls wait; each further failure doubles the wait.
FIRST_PAUSE = 1.0  # seconds
LONGEST_PAUSE = 60.0  # seconds

# The outcomes of a call whose intent was written but that was not made.
_STOPPED = CallOutcome(Verdict.NOT_SENT, code="Interrupted", message="The run was stopped before the call was made.")
_RENEWING = CallOutcome(
    Verdict.NOT_SENT, code=SIGN_IN, message="The sign-in was being renewed; the call is made afterwards."
)


class JobStore(Protocol):
    """Provides the jobs, and makes their state changes durable."""

    async def next_jobs(self) -> list[Job]:
        """The next pending jobs in order, each returned once; empty if there are no more."""

    def start(self, job: Job, at: Moment) -> Awaitable[None]:
        """Write the intent of the job's next attempt; completes when it is durable."""

    def end(self, job: Job, at: Moment, outcome: CallOutcome, *, slower: bool) -> Awaitable[None]:
        """Write the outcome of the attempt, not after any write that is requested later; completes when durable."""


class Sender(Protocol):
    """Makes the call for a job."""

    async def send(self, job: Job, slot: Slot) -> CallOutcome: ...

    async def renew_sign_in(self) -> None:
        """Get another token. Raises SignInError if there is none."""


class Watcher(Protocol):
    """Receives the events of a pool."""

    def began(self, job: Job) -> None: ...

    def ended(self, job: Job, outcome: CallOutcome) -> None: ...


def no_objection() -> Halt | None:
    """The check that never stops a run."""
    return None


class Pool:
    """Runs once. `drain` and `stop` may be called at any time, as callbacks of the event loop.

    `check` is called immediately before each call, after all waits; if it returns a Halt, no further call is made.
    """

    def __init__(
        self,
        store: JobStore,
        gate: Gate,
        sender: Sender,
        brakes: CallBrakes,
        watcher: Watcher,
        clock: Clock,
        workers: int,
        *,
        check: Callable[[], Halt | None] = no_objection,
    ) -> None:
        self._store, self._gate, self._sender = store, gate, sender
        self._brakes, self._watcher, self._clock = brakes, watcher, clock
        self._workers, self._check = workers, check
        self._ready: deque[Job] = deque()
        self._exhausted = False
        self._in_flight: set[asyncio.Task[None]] = set()
        self._cancellable: set[asyncio.Task[Any]] = set()  # of those in flight, the ones that `stop` may cancel
        self._calling: set[Slot] = set()  # of those in flight, the ones without an outcome
        self._landed = asyncio.Event()
        self._dispatching: asyncio.Task[None] | None = None
        self._halt: Halt | None = None
        self._error: BaseException | None = None
        self._renewals = 0
        self._signed_in = asyncio.Event()  # not set while the sign-in is being renewed
        self._signed_in.set()
        self._pause = FIRST_PAUSE
        self._paused_at = float("-inf")

    async def run(self) -> Halt | None:
        """Run until every job has ended, or until the run was halted and the calls in flight have ended. Their outcomes
        are durable then. Returns the Halt, if any; raises JournalError if an outcome could not be written."""
        self._dispatching = asyncio.create_task(self._dispatch())
        await asyncio.wait([self._dispatching])
        if not self._dispatching.cancelled() and (error := self._dispatching.exception()) is not None:
            self._fail(error)
        while self._in_flight:
            await asyncio.wait(set(self._in_flight))
        if self._error is not None:
            raise self._error
        return self._halt

    @property
    def halted(self) -> Halt | None:
        return self._halt

    def drain(self, halt: Halt) -> None:
        """Start no new call, not even one whose intent is written but that was not sent; calls in flight are finished.
        Only the first halt counts."""
        self._halt = self._halt or halt
        if self._dispatching is not None:
            self._dispatching.cancel()

    def stop(self, halt: Halt) -> None:
        """End now: calls in flight are cancelled, and their jobs are in doubt if anything may have been sent. Known
        outcomes are still written, however long the journal takes."""
        self.drain(halt)
        for task in self._cancellable:
            task.cancel()

    async def _dispatch(self) -> None:
        while (job := await self._next_job()) is not None:
            slot = await self._slot()
            halt = self._check()
            if halt is not None:
                self._gate.give_back(slot)
                self._halt = self._halt or halt
                return
            task = asyncio.create_task(self._attempt(job, slot))
            self._calling.add(slot)
            self._in_flight.add(task)
            task.add_done_callback(partial(self._land, slot))

    async def _slot(self) -> Slot:
        """A slot, taken while the sign-in is not being renewed: a call made with the old token would fail."""
        while True:
            await self._signed_in.wait()
            slot = await self._gate.acquire()
            if self._signed_in.is_set():
                return slot
            self._gate.give_back(slot)

    async def _next_job(self) -> Job | None:
        """Wait until a worker is free, and return the next job; None when all have ended."""
        while True:
            self._landed.clear()
            room = len(self._calling) < (self._workers if self._brakes.warmed_up else 1)
            if room and not self._ready and not self._exhausted:
                self._ready.extend(await self._store.next_jobs())
                self._exhausted = not self._ready
            if room and self._ready:
                return self._ready.popleft()
            if not self._in_flight and not self._ready:
                return None
            await self._landed.wait()

    def _make_room(self, slot: Slot) -> None:
        """The slot's call has an outcome; the next one may start."""
        self._calling.discard(slot)
        self._landed.set()

    def _land(self, slot: Slot, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        self._make_room(slot)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Stop after an unexpected error or a failed write of the journal; `run` raises it."""
        self._error = self._error or error
        exit_code = error.exit_code if isinstance(error, BatchOffboardError) else ExitCode.UNFINISHED
        self.drain(Halt(str(error), exit_code))

    async def _attempt(self, job: Job, slot: Slot) -> None:
        """One call, from the durable intent to the durable outcome.

        The next call need not wait until the outcome is durable: its own intent becomes durable no earlier, and no byte
        of it is sent before. So the journal never has more open calls than there are workers.
        """
        job = replace(job, attempts=job.attempts + 1)
        try:
            await self._store.start(job, slot.taken_at)
            self._watcher.began(job)
            renewals = self._renewals
            not_made = self._why_not_made()
            outcome = not_made or await self._call(job, slot)
        finally:
            at = self._gate.release(slot)
        outcome = self._brakes.examine(outcome, job.device_id)
        slower = False if not_made else self._obey(outcome, slot)
        goes_on = NEXT_STATE.get(outcome.verdict) is JobState.PENDING  # with another attempt
        writing = asyncio.ensure_future(self._store.end(job, at, outcome, slower=slower))
        try:
            if not not_made:
                await self._apply_brakes(outcome, renewals)
            if not goes_on:
                self._make_room(slot)
        finally:
            await writing
        self._watcher.ended(job, outcome)
        if goes_on:  # before all other jobs, and only after this attempt has ended
            self._ready.appendleft(job)

    def _why_not_made(self) -> CallOutcome | None:
        """The outcome of a call that is not made because of something that happened while its intent was written, or
        None."""
        if self._halt is not None:
            return _STOPPED
        return None if self._signed_in.is_set() else _RENEWING

    @contextmanager
    def _cancelled_by_stop(self) -> Iterator[None]:
        """`stop` cancels the task only inside this block, so that a known outcome is always written."""
        task = cast("asyncio.Task[Any]", asyncio.current_task())  # a coroutine always runs in one
        self._cancellable.add(task)
        try:
            yield
        except asyncio.CancelledError:
            task.uncancel()
            raise
        finally:
            self._cancellable.discard(task)

    async def _call(self, job: Job, slot: Slot) -> CallOutcome:
        try:
            with self._cancelled_by_stop():
                return await self._sender.send(job, slot)
        except asyncio.CancelledError:
            if not slot.sent:
                return _STOPPED
            message = "The run was stopped while the call was under way; it may have been carried out."
            return CallOutcome(Verdict.IN_DOUBT, code="Interrupted", message=message)
        except TransientSignInError as error:  # retried for as long as an unreachable network
            return CallOutcome(Verdict.NOT_SENT, code=SIGN_IN, message=str(error))
        except SignInError as error:
            self.drain(Halt(str(error), error.exit_code))
            return CallOutcome(Verdict.NOT_SENT, code=SIGN_IN, message=str(error))
        except Exception as error:  # noqa: BLE001  # the slot says whether anything was sent
            self._fail(error)
            verdict = Verdict.IN_DOUBT if slot.sent else Verdict.NOT_SENT
            return CallOutcome(verdict, code="InternalError", message=type(error).__name__)

    def _obey(self, outcome: CallOutcome, slot: Slot) -> bool:
        """Apply what the answer requires of all calls, before the outcome is written; true if the pace is reduced."""
        if outcome.verdict is Verdict.NOT_SENT:
            self._pause_once(slot)
            return False
        self._pause = FIRST_PAUSE
        if outcome.retry_after is None:
            return False
        if outcome.verdict is Verdict.THROTTLED:
            return self._gate.throttled(slot, outcome.retry_after)
        self._gate.pause(outcome.retry_after)
        return False

    def _pause_once(self, slot: Slot) -> None:
        """All calls wait, longer each time; failures of calls that were in flight together count once."""
        if slot.taken_at.ticks < self._paused_at:
            return
        self._paused_at = self._clock.now().ticks
        self._gate.pause(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    async def _apply_brakes(self, outcome: CallOutcome, renewals: int) -> None:
        """Apply the brakes, and renew a refused token. `renewals`: how often the sign-in had been renewed when the call
        started, which identifies its token."""
        refused = outcome.verdict is Verdict.UNAUTHORIZED
        old_token = refused and (not self._signed_in.is_set() or renewals < self._renewals)
        halt = None if old_token else self._brakes.note(outcome, self._clock.now().ticks)
        if halt is not None:
            self.drain(halt)
        elif refused and not old_token and self._halt is None:
            await self._renew_sign_in()

    async def _renew_sign_in(self) -> None:
        """Renew the sign-in, once for all calls with the old token; no call starts meanwhile."""
        self._signed_in.clear()
        try:
            with suppress(asyncio.CancelledError), self._cancelled_by_stop():
                await self._sender.renew_sign_in()
        except TransientSignInError:
            pass  # the next call has no token, and waits for one
        except SignInError as error:
            self.drain(Halt(str(error), error.exit_code))
        finally:
            self._renewals += 1
            self._signed_in.set()
