"""Works a batch off: takes jobs in the sheet's order and keeps at most `workers` calls in flight.

One call's life is always the same: a slot of the quota, a last check, the durable intent, the bytes, the rules, the
durable outcome. What is called, where it is written and who watches come in from outside; nothing here knows HTTP or
SQL.
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

# After a connection that could not be made, everybody waits; each further failure doubles the wait.
FIRST_PAUSE = 1.0  # seconds
LONGEST_PAUSE = 60.0  # seconds

# What a call comes to whose intent was written and of which nothing was sent.
_STOPPED = CallOutcome(Verdict.NOT_SENT, code="Interrupted", message="The run was stopped before the call was made.")
_RENEWING = CallOutcome(
    Verdict.NOT_SENT, code=SIGN_IN, message="The sign-in was being renewed; the call is made afterwards."
)


class JobStore(Protocol):
    """Where jobs come from and where their moves become durable."""

    async def next_jobs(self) -> list[Job]:
        """The next pending jobs in order, each handed out once; none when there are no more."""

    def start(self, job: Job, at: Moment) -> Awaitable[None]:
        """Write the intent to make the job's next attempt; done when it is durable."""

    def end(self, job: Job, at: Moment, outcome: CallOutcome, *, slower: bool) -> Awaitable[None]:
        """Write what the attempt came to, with or before everything whose writing begins later; done when durable."""


class Sender(Protocol):
    """Makes one call for a job and says what it came to."""

    async def send(self, job: Job, slot: Slot) -> CallOutcome: ...

    async def renew_sign_in(self) -> None:
        """Get another token; SignInError if there is none."""


class Watcher(Protocol):
    """Is told what happens, for people to see."""

    def began(self, job: Job) -> None: ...

    def ended(self, job: Job, outcome: CallOutcome) -> None: ...


def no_objection() -> Halt | None:
    """The check of a run that only its jobs can end."""
    return None


class Pool:
    """Runs once. `drain` and `stop` may be called at any time, as callbacks of the event loop.

    `check` is asked right before each call begins, when all waiting is over; with a Halt it begins no more.
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
        self._can_be_given_up: set[asyncio.Task[Any]] = set()  # of those in flight that wait for somebody else
        self._calling: set[Slot] = set()  # of those in flight whose outcome is not known yet
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
        """Returns when every job has ended, or when the run was halted and the calls in flight have ended; what they
        came to is durable then, or JournalError is raised."""
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
        """Begin nothing new, not even a call whose intent is written and of which nothing has left; calls in flight are
        finished. The first reason is the one that counts."""
        self._halt = self._halt or halt
        if self._dispatching is not None:
            self._dispatching.cancel()

    def stop(self, halt: Halt) -> None:
        """End now: calls in flight are abandoned, and their jobs are in doubt if anything of them may have left. What
        is known is still written, however long the journal takes."""
        self.drain(halt)
        for task in self._can_be_given_up:
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
        """A slot, at a moment at which no sign-in is being renewed: a call that began then would fail like the one
        that is renewed for."""
        while True:
            await self._signed_in.wait()
            slot = await self._gate.acquire()
            if self._signed_in.is_set():
                return slot
            self._gate.give_back(slot)

    async def _next_job(self) -> Job | None:
        """The next job when there is room for it; None when all have ended."""
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
        """The slot's call is over; the next one may begin."""
        self._calling.discard(slot)
        self._landed.set()

    def _land(self, slot: Slot, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        self._make_room(slot)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """An error that no rule foresees, or a journal that cannot be written: stop, and let the caller say it."""
        self._error = self._error or error
        exit_code = error.exit_code if isinstance(error, BatchOffboardError) else ExitCode.UNFINISHED
        self.drain(Halt(str(error), exit_code))

    async def _attempt(self, job: Job, slot: Slot) -> None:
        """One call, from the durable intent to the durable outcome.

        The next call need not wait for the outcome to be durable: its own intent becomes so no sooner, and until then
        not a byte of it leaves. So there are never more calls on the disk that are open than there are workers.
        """
        job = replace(job, attempts=job.attempts + 1)
        try:
            await self._store.start(job, slot.taken_at)
            self._watcher.began(job)
            renewals = self._renewals
            not_made = self._speaks_against_calls()
            outcome = not_made or await self._call(job, slot)
        finally:
            at = self._gate.release(slot)
        outcome = self._brakes.examine(outcome, job.device_id)
        slower = False if not_made else self._obey(outcome, slot)
        goes_on = NEXT_STATE.get(outcome.verdict) is JobState.PENDING  # with another attempt
        writing = asyncio.ensure_future(self._store.end(job, at, outcome, slower=slower))
        try:
            if not not_made:
                await self._draw_conclusions(outcome, renewals)
            if not goes_on:
                self._make_room(slot)
        finally:
            await writing
        self._watcher.ended(job, outcome)
        if goes_on:  # before any other, and not before this attempt has ended
            self._ready.appendleft(job)

    def _speaks_against_calls(self) -> CallOutcome | None:
        """What has come up while an intent was being written, as the outcome of a call that is not made after all."""
        if self._halt is not None:
            return _STOPPED
        return None if self._signed_in.is_set() else _RENEWING

    @contextmanager
    def _given_up_by_stop(self) -> Iterator[None]:
        """Inside the block `stop` cancels the task, and nowhere else: what it knows it writes."""
        task = cast("asyncio.Task[Any]", asyncio.current_task())  # a coroutine always runs in one
        self._can_be_given_up.add(task)
        try:
            yield
        except asyncio.CancelledError:
            task.uncancel()
            raise
        finally:
            self._can_be_given_up.discard(task)

    async def _call(self, job: Job, slot: Slot) -> CallOutcome:
        try:
            with self._given_up_by_stop():
                return await self._sender.send(job, slot)
        except asyncio.CancelledError:
            if not slot.sent:
                return _STOPPED
            message = "The run was stopped while the call was under way; it may have been carried out."
            return CallOutcome(Verdict.IN_DOUBT, code="Interrupted", message=message)
        except TransientSignInError as error:  # borne for as long as a network that is away
            return CallOutcome(Verdict.NOT_SENT, code=SIGN_IN, message=str(error))
        except SignInError as error:
            self.drain(Halt(str(error), error.exit_code))
            return CallOutcome(Verdict.NOT_SENT, code=SIGN_IN, message=str(error))
        except Exception as error:  # noqa: BLE001  # how far the call got, only its slot can tell
            self._fail(error)
            verdict = Verdict.IN_DOUBT if slot.sent else Verdict.NOT_SENT
            return CallOutcome(verdict, code="InternalError", message=type(error).__name__)

    def _obey(self, outcome: CallOutcome, slot: Slot) -> bool:
        """What the answer asks of everybody takes effect before it is written down; true if the pace goes down."""
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
        """Everybody waits, longer each time; calls that were in flight together fail together and count once."""
        if slot.taken_at.ticks < self._paused_at:
            return
        self._paused_at = self._clock.now().ticks
        self._gate.pause(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    async def _draw_conclusions(self, outcome: CallOutcome, renewals: int) -> None:
        """`renewals`: how often the sign-in had been renewed when the call began, and so which token it had."""
        refused = outcome.verdict is Verdict.UNAUTHORIZED
        old_token = refused and (not self._signed_in.is_set() or renewals < self._renewals)
        halt = None if old_token else self._brakes.note(outcome, self._clock.now().ticks)
        if halt is not None:
            self.drain(halt)
        elif refused and not old_token and self._halt is None:
            await self._renew_sign_in()

    async def _renew_sign_in(self) -> None:
        """Once for all calls that the old token failed; meanwhile none begins."""
        self._signed_in.clear()
        try:
            with suppress(asyncio.CancelledError), self._given_up_by_stop():
                await self._sender.renew_sign_in()
        except TransientSignInError:
            pass  # the next call finds no token, and waits for one
        except SignInError as error:
            self.drain(Halt(str(error), error.exit_code))
        finally:
            self._renewals += 1
            self._signed_in.set()
