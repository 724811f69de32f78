"""Works one batch off against one tenant: joins journal, gate, client, rules and display around the pool."""

import asyncio
from contextlib import AsyncExitStack, suppress

from batch_offboard.brakes import Brakes, Halt
from batch_offboard.client import ApiClient, api_client
from batch_offboard.clock import Clock, Moment
from batch_offboard.errors import BatchOffboardError, ExitCode, JournalError
from batch_offboard.gate import Gate, Slot
from batch_offboard.jobs import CallOutcome, Job, JobState, Verdict
from batch_offboard.journal.attempts import End, Start
from batch_offboard.journal.reading import Batch, Counts, call_history, count
from batch_offboard.journal.store import Journal
from batch_offboard.journal.writer import JournalWriter
from batch_offboard.pool import Pool
from batch_offboard.protocol import ApiName, classify, comment_with_token, correlation_token, offboard_request
from batch_offboard.quota import TYPICAL_LATENCY
from batch_offboard.signals import ending_signals
from batch_offboard.standing import Observer, Progress
from batch_offboard.target import Target

JOBS_AT_A_TIME = 500
REDRAW = 0.25  # seconds between two looks at the display
REFORECAST = 5.0  # seconds between two forecasts of the end

# How much one call changes the mean of what calls last.
LATENCY_WEIGHT = 0.1


async def work_off(
    journal: Journal, batch: Batch, target: Target, clock: Clock, observer: Observer, *, speed: float = 1.0
) -> Halt | None:
    """Submit every pending job of the batch; the caller holds the lock. Returns why it stopped early, if it did."""
    now = clock.now()
    journal.prepare(batch.key, batch.scope_key, now)
    journal.hold_reserve()
    limits = target.limits
    history = call_history(journal, batch.scope, ApiName.OFFBOARD, limits.hour.calls, now)
    gate = Gate(limits, clock, history)
    monitor = Monitor(gate, clock, observer, target, count(journal, batch.key), speed)
    halt: Halt | None = Halt("The program met an unforeseen error.", ExitCode.UNFINISHED)
    try:
        async with AsyncExitStack() as stack:
            writer = await stack.enter_async_context(JournalWriter(journal))
            client = await stack.enter_async_context(api_client(target.api_url, target.token.token, target.connection))
            pool = Pool(
                _JournalJobs(journal, writer, batch),
                gate,
                _ApiSender(client, target, batch, clock),
                Brakes(target.guards.abort_failure_percent),
                monitor,
                clock,
                target.workers,
            )
            halt = await _run(pool, monitor, batch)
    except BatchOffboardError as error:
        halt = Halt(str(error), error.exit_code)
        raise
    finally:
        _close(journal, batch, clock, halt)
    return halt


async def _run(pool: Pool, monitor: "Monitor", batch: Batch) -> Halt | None:
    """The pool under the eyes of signals and display."""

    def drain(name: str) -> None:
        monitor.draining = True
        monitor.say(f"{name}: nothing new is begun, calls in flight are finished; once more stops at once.")
        pool.drain(
            Halt(
                f"{name} was received; go on with `batch-offboard resume {batch.batch_id}`.",
                ExitCode.UNFINISHED,
            )
        )

    def stop(name: str) -> None:
        monitor.say(f"{name}: stopped; calls in flight are given up.")
        pool.stop(Halt(f"{name} was received.", ExitCode.UNFINISHED))

    with ending_signals(drain, stop):
        display = asyncio.create_task(monitor.keep_drawing(batch.batch_id))
        try:
            return await pool.run()
        finally:
            display.cancel()
            with suppress(asyncio.CancelledError):
                await display
            monitor.finish()


def _close(journal: Journal, batch: Batch, clock: Clock, halt: Halt | None) -> None:
    """Leave nothing in `sending`: what was given up is in doubt from now on.

    A journal that cannot be written any more is settled by the next process; the first error is the one to tell.
    """
    journal.give_up_reserve()
    with suppress(JournalError):
        journal.rescue(batch.scope_key, clock.now())
        journal.end_batch(batch.key, clock.now(), halt.reason if halt else "")


class _JournalJobs:
    """The batch's jobs, as the pool wants them."""

    def __init__(self, journal: Journal, writer: JournalWriter, batch: Batch) -> None:
        self._journal, self._writer, self._batch = journal, writer, batch
        self._last_row = -1

    async def next_jobs(self) -> list[Job]:
        jobs = await self._writer.run(self._journal.pending, self._batch.key, self._last_row, JOBS_AT_A_TIME)
        if jobs:
            self._last_row = jobs[-1].row
        return jobs

    async def start(self, job: Job, at: Moment) -> None:
        await self._writer.write(Start(self._batch.key, self._batch.scope_key, job.row, job.attempts, at))

    async def end(self, job: Job, at: Moment, outcome: CallOutcome, *, slower: bool) -> None:
        key, scope = self._batch.key, self._batch.scope_key
        await self._writer.write(End(key, scope, job.row, job.attempts, at, outcome, slower))


class _ApiSender:
    """One offboard call for a job: the request, the bytes, the rules."""

    def __init__(self, client: ApiClient, target: Target, batch: Batch, clock: Clock) -> None:
        self._client, self._target, self._batch, self._clock = client, target, batch, clock

    async def send(self, job: Job, slot: Slot) -> CallOutcome:
        token = correlation_token(self._batch.batch_id, job.row, job.attempts)
        comment = comment_with_token(self._batch.comment, token)
        request = offboard_request(self._target.api_url, job.device_id, comment)
        answer = await self._client.send(request, slot)
        return classify(answer, job.device_id, self._clock.now().wall)

    async def renew_sign_in(self) -> None:
        await self._target.token.renew()


class Monitor:
    """Counts what happens and shows it: a `Watcher` to the pool, the source of every `Progress`."""

    def __init__(
        self, gate: Gate, clock: Clock, observer: Observer, target: Target, counts: Counts, speed: float
    ) -> None:
        self._gate, self._clock, self._observer, self._target = gate, clock, observer, target
        self._total = counts.devices
        self._submitted = counts.of(JobState.SUBMITTED)
        self._failed = counts.of(JobState.FAILED)
        self._in_doubt = counts.of(JobState.IN_DOUBT)
        self._left = counts.of(JobState.PENDING)
        self._begun: dict[int, float] = {}
        self._eta: float | None = None
        self._eta_made = float("-inf")
        self._latency = TYPICAL_LATENCY
        self._speed = speed
        self.draining = False

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
            self.say(f"Row {job.row}: the API asks everybody to wait {outcome.retry_after:.0f} s ({outcome.message})")
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

    def _forecast(self, now: Moment) -> float | None:
        """When the last call will have ended, in seconds since the epoch; worked out now and then, it costs a while."""
        if now.ticks - self._eta_made >= REFORECAST * self._speed:
            self._eta_made = now.ticks
            self._eta = now.wall + self._gate.time_for(self._left, self._latency, self._target.workers)
        return self._eta if self._left else None
