"""Runs one batch against one tenant: connects journal, gate, client, rules and display to the pool."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from batch_offboard.base import logs
from batch_offboard.base.clock import Clock, Moment
from batch_offboard.base.errors import BatchOffboardError, ExitCode, GuardError, JournalError
from batch_offboard.calls.gate import Gate
from batch_offboard.calls.logged import LoggedCalls
from batch_offboard.calls.lookup import look_after_sending, look_before_sending
from batch_offboard.calls.pool import Pool, no_objection
from batch_offboard.calls.tenancy import Tenancy
from batch_offboard.core.audit import Kind
from batch_offboard.core.batches import Batch, Counts
from batch_offboard.core.brakes import FIRST_CALLS, Brakes, Halt, accepted_first, not_listed_yet
from batch_offboard.core.consent import Demand, waiting_text
from batch_offboard.core.ending import BY_HAND, Ending
from batch_offboard.core.guards import Clearance
from batch_offboard.core.jobs import CallOutcome, Job, JobState, Verdict
from batch_offboard.core.progress import Observer, Progress
from batch_offboard.core.quota import TYPICAL_LATENCY
from batch_offboard.core.selection import Selection
from batch_offboard.core.slots import Slot
from batch_offboard.core.tenant import ApiName, comment_with_token, correlation_token
from batch_offboard.defender.protocol import classify, offboard_request
from batch_offboard.defender.target import Target
from batch_offboard.journal.approving import approvals_of
from batch_offboard.journal.attempts import End, Start
from batch_offboard.journal.audited import last_anchor
from batch_offboard.journal.reading import call_history, count, first_calls, pending_devices
from batch_offboard.journal.store import Journal
from batch_offboard.journal.writer import JournalWriter
from batch_offboard.reports.history import RUNS_KEPT

T = TypeVar("T")
Check = Callable[[], Halt | None]

JOBS_AT_A_TIME = 500
REDRAW = 0.25  # seconds between two updates of the display
RECHECK = 5.0  # seconds between two checks while no call starts: a wait for the quota may take an hour
REFORECAST = 5.0  # seconds between two forecasts of the end

# For how long to look in the tenant for an unclear call among the first. An accepted one is listed within seconds; one
# that was not accepted is certain only much later, too late to wait for.
SETTLING = 120.0  # seconds
FIRST_LOOK, LONGEST_LOOK = 1.0, 30.0  # seconds between two looks

# Seconds from the durable intent to the first byte, in ticks that count a suspended machine. A process that was paused
# for longer must not send: another may have taken its lease, found the row not accepted, and sent it again.
SEND_WITHIN = 10.0

# Weight of one call in the mean duration of calls.
LATENCY_WEIGHT = 0.1


@dataclass(frozen=True, slots=True)
class Terms:
    """How to run a batch.

    `speed` is the rehearsal's. `look`: ask the tenant before anything is sent (what may not be read is never requested
    twice). `command`: the command that the audit record names. `check` is called before each call; a Halt that it
    returns stops the run. `attended`: a person is present, whose Ctrl-C holds the batch. `selection`: the rows that may
    be sent, if not every pending one. `continue_after_failures`: a refusal among the first calls does not stop the run.
    `ending`: passes on requests to end. `demand`: returns the approvals that the run needs now; raises GuardError if
    that is not known.
    """

    speed: float = 1.0
    look: bool = True
    command: str = "run"
    check: Check | None = None
    attended: bool = True
    selection: Selection | None = None
    continue_after_failures: bool = False
    ending: Ending = field(default_factory=Ending)
    demand: Callable[[], Demand] | None = None

    @property
    def chosen(self) -> str:
        """How the rows were chosen, for the audit record; empty if all are sent."""
        return self.selection.words if self.selection is not None else ""


async def work_off(
    tenancy: Tenancy, batch: Batch, clearance: Clearance, observer: Observer, terms: Terms | None = None
) -> Halt | None:
    """Submit every pending job of a batch that the guards have cleared; the caller holds the lock. Returns why it
    stopped early, or None."""
    terms = terms or Terms()
    with tenancy.journal.reserve():
        wanted = terms.demand() if terms.demand is not None else None
        tenancy.journal.prepare(batch.key, batch.scope_key, tenancy.clock.now(), terms.command, terms.chosen, wanted)
        begun = {"batch": batch.batch_id, "command": terms.command, "tenant": batch.scope}
        logs.info("run begun", **begun, simulated=batch.simulated)
        halt: Halt | None = Halt("The program met an unexpected error.", ExitCode.UNFINISHED)
        try:
            halt = await _Shift(tenancy, batch, clearance, observer, terms).work()
        except BatchOffboardError as error:
            halt = Halt(str(error), error.exit_code)
            raise
        finally:
            await _close(tenancy, batch, halt, terms.command)
    return halt


class _Shift:
    """One run of one batch: look-up, pool, closing look, and handling of requests to end."""

    def __init__(self, tenancy: Tenancy, batch: Batch, clearance: Clearance, observer: Observer, terms: Terms) -> None:
        self._tenancy, self._batch, self._clearance, self._terms = tenancy, batch, clearance, terms
        limits, clock = tenancy.target.limits, tenancy.clock
        history = call_history(tenancy.journal, batch.scope, ApiName.OFFBOARD, limits.hour.calls, clock.now())
        self._gate = Gate(limits, clock, history)
        counts = _to_show(tenancy.journal, batch.key, terms.selection)
        self._monitor = Monitor(self._gate, clock, observer, tenancy.target, counts, terms.speed)
        tenancy.say = self._monitor.say
        self._brakes = Brakes(
            tenancy.target.guards.abort_failure_percent,
            accepted_first=accepted_first(first_calls(tenancy.journal, batch.key, FIRST_CALLS)),
            continue_after_failures=terms.continue_after_failures,
        )
        self._pool: Pool | None = None
        self._looking: asyncio.Task[Any] | None = None
        self._halt: Halt | None = None

    async def work(self) -> Halt | None:
        with self._terms.ending.heard(self._drain, self._stop):
            beside = [asyncio.create_task(self._monitor.keep_drawing(self._batch.batch_id))]
            if self._terms.check is not None:
                beside.append(asyncio.create_task(self._keep_checking(self._terms.check)))
            try:
                await self._send_and_look()
            finally:
                for task in beside:
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task
                self._monitor.finish()
        return self._halt

    async def _send_and_look(self) -> None:
        """Look up, send and look again; a doubt settled as not accepted is sent again, so the pool may run more than
        once."""
        if self._halt is None:  # asked to end before it started
            await self._interruptible(self._look_before())
        self._recount()
        if self._halt is None and self._terms.demand is not None:
            self._stop_for(await self._tenancy.writer.run(self._unapproved, self._terms.demand))
        if self._halt is None:
            await self._note_expectation()
        while self._halt is None:
            halt = await self._submit()
            if halt is not None and halt.unsettled:
                self._stop_for(await self._interruptible(self._settle_first(halt)))
                continue
            self._stop_for(halt)
            if not await self._look_after():
                return

    def _unapproved(self, demand: Callable[[], Demand]) -> Halt | None:
        """Why the run is no longer approved, checked again because the look-up may have taken a while."""
        try:
            wanted = demand()
        except GuardError as error:
            return Halt(str(error), error.exit_code)
        if not wanted.needed:
            return None
        found = approvals_of(self._tenancy.journal, self._batch.key, wanted, self._tenancy.clock.now().wall)
        return None if found.allows else Halt(waiting_text(self._batch.batch_id, found), ExitCode.REFUSED)

    async def _look_before(self) -> None:
        look = self._terms.look
        self._stop_for(await look_before_sending(self._tenancy, self._batch, self._clearance, look=look))

    async def _note_expectation(self) -> None:
        """Store the expected duration of this run, which the report compares with the actual one."""
        calls, seconds = self._monitor.expectation()
        run = {
            "at": self._tenancy.clock.now().wall,
            "calls": calls,
            "expected": seconds,
            "who": self._tenancy.journal.actor.who,
        }
        runs = [*self._batch.findings.get("runs", ()), run][-RUNS_KEPT:]
        await self._tenancy.writer.run(self._tenancy.journal.note_findings, self._batch.key, {"runs": runs})

    async def _submit(self) -> Halt | None:
        target = self._tenancy.target
        self._pool = Pool(
            _JournalJobs(self._tenancy.journal, self._tenancy.writer, self._batch, self._terms.selection),
            self._gate,
            _ApiSender(self._tenancy, self._batch, self._clearance),
            self._brakes,
            LoggedCalls(ApiName.OFFBOARD, self._batch.batch_id, self._monitor),
            self._tenancy.clock,
            target.workers,
            check=self._terms.check or no_objection,
        )
        return await self._pool.run()

    async def _settle_first(self, halt: Halt) -> Halt | None:
        """Look for an unclear one among the first calls before it stops the run; a Halt if that does not settle it."""
        tenancy, pause = self._tenancy, FIRST_LOOK
        self._monitor.say("Nothing more is sent until the outcome of the unclear call is known.")
        began = tenancy.clock.now().ticks
        while not tenancy.unreadable and self._halt is None:
            back = await look_after_sending(tenancy, self._batch, self._clearance)
            self._recount()
            calls = await tenancy.writer.run(first_calls, tenancy.journal, self._batch.key, FIRST_CALLS)
            if back is not None and calls[-1:] != [JobState.IN_DOUBT]:
                self._brakes.settled(accepted_first(calls))
                return None
            if tenancy.clock.now().ticks - began >= SETTLING:
                return not_listed_yet(halt)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_LOOK)
        return halt

    async def _look_after(self) -> bool:
        """Take the closing look, unless the run was asked to end or the tenant cannot be read. True if there is more to
        send."""
        if self._halt is not None and self._halt.exit_code is not ExitCode.REFUSED:
            return False
        back = await self._interruptible(look_after_sending(self._tenancy, self._batch, self._clearance))
        self._recount()
        return back is not None and back.to_send_again > 0

    async def _interruptible(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The result of `work`, or None if the run was asked to end first."""
        looking: asyncio.Task[T] = asyncio.create_task(work)
        self._looking = looking
        try:
            return await looking
        except asyncio.CancelledError:
            if self._halt is None:
                raise
            return None
        finally:
            self._looking = None

    def _stop_for(self, halt: Halt | None) -> None:
        """Stop the run; only the first reason counts."""
        self._halt = self._halt or halt

    def _recount(self) -> None:
        self._monitor.recount(_to_show(self._tenancy.journal, self._batch.key, self._terms.selection))

    async def _keep_checking(self, check: Check) -> None:
        """Run `check` periodically: the pool runs it before each call, this also during long waits."""
        while True:
            halt = check()
            if halt is not None:
                self._monitor.draining = True
                self._end(halt, Pool.drain)
                return
            await asyncio.sleep(RECHECK * self._terms.speed)

    def _drain(self, name: str) -> None:
        self._monitor.draining = True
        self._monitor.say(f"{name}: no new calls start, calls in flight are finished; a second signal stops at once.")
        command = f"`batch-offboard resume {self._batch.batch_id}`"
        held = self._terms.attended and name in BY_HAND
        self._end(Halt(f"{name} was received; run {command} to continue.", ExitCode.UNFINISHED, held=held), Pool.drain)

    def _stop(self, name: str) -> None:
        self._monitor.say(f"{name}: stopped; calls in flight are abandoned.")
        self._end(Halt(f"{name} was received.", ExitCode.UNFINISHED), Pool.stop)

    def _end(self, halt: Halt, ask: Callable[[Pool, Halt], None]) -> None:
        self._stop_for(halt)
        if self._pool is not None:
            ask(self._pool, halt)
        if self._looking is not None:
            self._looking.cancel()


async def _close(tenancy: Tenancy, batch: Batch, halt: Halt | None, command: str) -> None:
    """Leave no job in `sending`: calls without a known answer are in doubt from now on.

    Runs after all queued writes, so that no received answer is treated as missing. If the journal can no longer be
    written, the next process settles it, and the first error is the one to report.
    """
    await tenancy.writer.written()
    tenancy.journal.give_up_reserve()
    with suppress(JournalError):
        await tenancy.writer.run(_write_end, tenancy.journal, batch, tenancy.clock, halt, command)


def _write_end(journal: Journal, batch: Batch, clock: Clock, halt: Halt | None, command: str) -> None:
    journal.abandon(clock.now())
    journal.end_batch(batch.key, clock.now(), halt.reason if halt else "", held=halt is not None and halt.held)
    ended = {
        "batch": batch.batch_id,
        "command": command,
        "reason": halt.reason if halt else "",
        "jobs": dict(count(journal, batch.key).jobs),
    }
    journal.record(Kind.ENDED, clock.now().wall, ended)
    (logs.warning if halt else logs.info)("run ended", **ended)
    logs.info("audit", anchor=str(last_anchor(journal)))


def _to_show(journal: Journal, batch: int, selection: Selection | None) -> Counts:
    """The counts of jobs by state, without those left out of this run."""
    counts = count(journal, batch)
    if selection is None:
        return counts
    left = sum(row in selection.rows for row, _, _ in pending_devices(journal, batch))
    return replace(counts, jobs={**counts.jobs, JobState.PENDING: left})


class _JournalJobs:
    """The batch's jobs as the pool's `JobStore`."""

    def __init__(
        self, journal: Journal, writer: JournalWriter, batch: Batch, selection: Selection | None = None
    ) -> None:
        self._journal, self._writer, self._batch, self._selection = journal, writer, batch, selection
        self._last_row = -1

    async def next_jobs(self) -> list[Job]:
        """The next jobs that this run may send; empty if there are no more."""
        while jobs := await self._writer.run(self._journal.pending, self._batch.key, self._last_row, JOBS_AT_A_TIME):
            self._last_row = jobs[-1].row
            chosen = [job for job in jobs if self._selection is None or job.row in self._selection.rows]
            if chosen:
                return chosen
        return []

    def start(self, job: Job, at: Moment) -> Awaitable[None]:
        return self._writer.write(Start(self._batch.key, self._batch.scope_key, job.row, job.attempts, at))

    def end(self, job: Job, at: Moment, outcome: CallOutcome, *, slower: bool) -> Awaitable[None]:
        key, scope = self._batch.key, self._batch.scope_key
        return self._writer.write(End(key, scope, job.row, job.attempts, at, outcome, slower))


class _ApiSender:
    """Makes one offboard call for a job: request, transfer, classification. The only way to the POST, and it requires
    the guards' clearance."""

    def __init__(self, tenancy: Tenancy, batch: Batch, clearance: Clearance) -> None:
        if clearance.batch_id != batch.batch_id:
            raise BatchOffboardError("The guards have cleared another batch; this is a bug in the program.")
        self._client, self._target, self._clock = tenancy.client, tenancy.target, tenancy.clock
        self._batch = batch

    async def send(self, job: Job, slot: Slot) -> CallOutcome:
        token = correlation_token(self._batch.batch_id, job.row, job.attempts)
        comment = comment_with_token(self._batch.comment, token)
        request = offboard_request(self._target.api_url, job.device_id, comment)
        deadline = self._clock.now().ticks + SEND_WITHIN
        slot.is_too_late = lambda: self._clock.now().ticks > deadline
        answer = await self._client.send(request, slot)
        return classify(answer, job.device_id, self._clock.now().wall, token)

    async def renew_sign_in(self) -> None:
        await self._target.token.renew()


class Monitor:
    """Counts and shows what happens: the pool's `Watcher` and the source of every `Progress`."""

    def __init__(
        self, gate: Gate, clock: Clock, observer: Observer, target: Target, counts: Counts, speed: float
    ) -> None:
        self._gate, self._clock, self._observer, self._target = gate, clock, observer, target
        self.recount(counts)
        self._begun: dict[int, float] = {}
        self._eta: float | None = None
        self._latency = TYPICAL_LATENCY
        self._speed = speed
        self.draining = False

    def recount(self, counts: Counts) -> None:
        """Reload the counts of jobs by state from the journal."""
        self._total = counts.devices
        self._submitted = counts.of(JobState.SUBMITTED)
        self._failed = counts.of(JobState.FAILED)
        self._in_doubt = counts.of(JobState.IN_DOUBT)
        self._left = counts.of(JobState.PENDING)
        self._eta_made = float("-inf")

    def began(self, job: Job) -> None:
        self._begun[job.row] = self._clock.now().ticks

    def ended(self, job: Job, outcome: CallOutcome) -> None:
        took = self._clock.now().ticks - self._begun.pop(job.row)
        self._latency += LATENCY_WEIGHT * (took - self._latency)
        state = outcome.state
        self._left -= state is not JobState.PENDING
        self._submitted += state is JobState.SUBMITTED
        self._failed += state is JobState.FAILED
        self._in_doubt += state is JobState.IN_DOUBT
        if outcome.retry_after is not None:
            self._eta_made = float("-inf")
        if outcome.verdict is Verdict.THROTTLED:
            self.say(f"Row {job.row}: the API asks to wait {outcome.retry_after:.0f} s ({outcome.message})")
        elif outcome.verdict is not Verdict.SUBMITTED:
            self.say(f"Row {job.row}: {outcome.verdict.replace('_', ' ')}, {outcome.code}: {outcome.message}")

    def say(self, text: str) -> None:
        self._observer.said(text)

    async def keep_drawing(self, batch_id: str) -> None:
        self._observer.started(batch_id, self.progress())
        while True:
            await asyncio.sleep(REDRAW * self._speed)
            self._observer.changed(self.progress())

    def finish(self) -> None:
        self._observer.finished(self.progress())

    def progress(self) -> Progress:
        now = self._clock.now()
        standing = self._gate.standing()
        until = standing.waiting_until
        return Progress(
            total=self._total,
            submitted=self._submitted,
            failed=self._failed,
            in_doubt=self._in_doubt,
            left=self._left,
            in_flight=len(self._begun),
            minute=standing.minute,
            hour=standing.hour,
            waiting_for=standing.waiting_for,
            waiting_until=None if until is None else now.wall + until - now.ticks,
            eta=self._forecast(now),
            now=now.wall,
            simulated=self._target.simulated,
            speed=self._speed,
            draining=self.draining,
        )

    def expectation(self) -> tuple[int, float]:
        """The number of calls left, and the forecast of the seconds until the last of them has ended."""
        now = self._clock.now()
        end = self._forecast(now)
        return self._left, 0.0 if end is None else end - now.wall

    def _forecast(self, now: Moment) -> float | None:
        """When the last call will have ended, in seconds since the epoch; cached, since a forecast is expensive."""
        if now.ticks - self._eta_made >= REFORECAST * self._speed:
            self._eta_made = now.ticks
            self._eta = now.wall + self._gate.time_for(self._left, self._latency, self._target.workers)
        return self._eta if self._left else None
