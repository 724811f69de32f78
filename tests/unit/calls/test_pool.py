"""The pool with plain fakes: what it starts, in which order, and how it ends when something fails."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest

from batch_offboard.base.clock import LoopClock, Moment
from batch_offboard.base.errors import ExitCode, JournalError, SignInError
from batch_offboard.calls.gate import Gate
from batch_offboard.calls.pool import Pool, no_objection
from batch_offboard.core.brakes import Brakes, Halt
from batch_offboard.core.jobs import CallOutcome, Job, JobState, Verdict, move
from batch_offboard.core.quota import QuotaLimits
from batch_offboard.core.slots import Slot

pytestmark = pytest.mark.looptime

WIDE = QuotaLimits(per_minute=10_000, per_hour=10_000, burst=10_000)
ASKED = Halt("Somebody asked.", ExitCode.UNFINISHED)
THROTTLED = CallOutcome(Verdict.THROTTLED, 429, code="429", retry_after=30.0)
UNAUTHORIZED = CallOutcome(Verdict.UNAUTHORIZED, 401, code="Unauthorized")
NOT_SENT = CallOutcome(Verdict.NOT_SENT, code="Unreachable", message="refused")

Step = Callable[[], None]


def nothing() -> None:
    """The step of a fake that does not count them."""


@dataclass
class Store:
    """Jobs in memory that allow only legal transitions."""

    rows: Iterable[int]
    step: Step = nothing
    broken_start: int | None = None
    broken_end: int | None = None
    states: dict[int, JobState] = field(default_factory=dict)
    attempts: dict[int, int] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.states |= dict.fromkeys(self.rows, JobState.PENDING)
        self.handed_out = -1

    async def next_jobs(self) -> list[Job]:
        await self._wait()
        chosen = [row for row, state in self.states.items() if state is JobState.PENDING and row > self.handed_out][:3]
        self.handed_out = max(chosen, default=self.handed_out)
        return [Job(row, f"{row:040x}", self.attempts.get(row, 0)) for row in chosen]

    async def start(self, job: Job, at: Moment) -> None:
        await self._wait()
        if job.row == self.broken_start:
            raise JournalError("The disk is full.")
        assert job.attempts == self.attempts.get(job.row, 0) + 1
        self.states[job.row] = move(self.states[job.row], JobState.SENDING)
        self.attempts[job.row] = job.attempts
        self.order.append(job.row)
        await self._wait()

    async def end(self, job: Job, at: Moment, outcome: CallOutcome, *, slower: bool) -> None:
        await self._wait()
        if job.row == self.broken_end:
            raise JournalError("The disk is full.")
        self.states[job.row] = move(self.states[job.row], outcome.state)
        await self._wait()

    async def _wait(self) -> None:
        self.step()
        await asyncio.sleep(0)

    def of(self, state: JobState) -> list[int]:
        return [row for row, at in self.states.items() if at is state]


@dataclass
class Server:
    """Accepts every device unless scripted otherwise: outcomes or errors in turn, by row."""

    scripts: dict[int, list[CallOutcome | BaseException]] = field(default_factory=dict)
    step: Step = nothing
    latency: float = 1.0
    accepted: list[int] = field(default_factory=list)
    in_flight: int = 0
    most: int = 0
    begun: list[tuple[int, float]] = field(default_factory=list)
    tokens: int = 1
    renewal: float = 0.0
    line: asyncio.Event = field(default_factory=asyncio.Event)  # no connection is made until it is set

    def __post_init__(self) -> None:
        self.line.set()

    async def send(self, job: Job, slot: Slot) -> CallOutcome:
        slot.use()
        await self.line.wait()
        slot.sent = True
        self.begun.append((job.row, asyncio.get_running_loop().time()))
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            self.step()
            script = self.scripts.get(job.row)
            if not script:
                self.accepted.append(job.row)
            await asyncio.sleep(self.latency)
            self.step()
            return self._answer(job, script)
        finally:
            self.in_flight -= 1

    def _answer(self, job: Job, script: list[CallOutcome | BaseException] | None) -> CallOutcome:
        if not script:
            return CallOutcome(Verdict.SUBMITTED, 201, f"action-{job.row}")
        said = script.pop(0)
        if isinstance(said, BaseException):
            raise said
        return said

    async def renew_sign_in(self) -> None:
        self.step()
        await asyncio.sleep(self.renewal)
        if self.tokens == 0:
            raise SignInError("There is no other token.")
        self.tokens -= 1


@dataclass
class Eyes:
    seen: list[str] = field(default_factory=list)

    def began(self, job: Job) -> None:
        self.seen.append(f"began {job.row}")

    def ended(self, job: Job, outcome: CallOutcome) -> None:
        self.seen.append(f"ended {job.row} {outcome.verdict}")


def pool_of(
    store: Store,
    server: Server,
    workers: int = 4,
    eyes: Eyes | None = None,
    check: Callable[[], Halt | None] = no_objection,
    gate: Gate | None = None,
) -> Pool:
    clock = LoopClock(1_795_500_000.0)
    return Pool(store, gate or Gate(WIDE, clock), server, Brakes(10), eyes or Eyes(), clock, workers, check=check)


async def test_jobs_go_in_the_sheets_order_and_all_of_them_end() -> None:
    store, server, eyes = Store(range(2, 22)), Server(), Eyes()
    assert await pool_of(store, server, eyes=eyes).run() is None
    assert store.order == list(range(2, 22))
    assert store.of(JobState.SUBMITTED) == list(range(2, 22))
    assert sorted(eyes.seen) == sorted(
        f"{word}" for row in range(2, 22) for word in (f"began {row}", f"ended {row} submitted")
    )


async def test_an_empty_batch_ends_at_once() -> None:
    assert await pool_of(Store([]), Server()).run() is None


@pytest.mark.parametrize("workers", [1, 4, 32])
async def test_the_first_five_go_one_by_one_and_then_as_many_as_there_are_workers(workers: int) -> None:
    store, server = Store(range(60)), Server()
    await pool_of(store, server, workers=workers).run()
    starts = [at for _, at in server.begun]
    assert starts[:6] == pytest.approx([0, 1, 2, 3, 4, 5])
    assert server.most == workers
    assert sum(1 for at in starts if at == pytest.approx(5)) == workers


async def test_a_call_that_counts_for_nothing_does_not_end_the_one_by_one() -> None:
    store, server = Store(range(20)), Server({2: [THROTTLED, THROTTLED]})
    await pool_of(store, server).run()
    assert [row for row, _ in server.begun[:7]] == [0, 1, 2, 2, 2, 3, 4]


async def test_a_job_that_was_not_sent_comes_before_those_behind_it() -> None:
    store, server = Store(range(12)), Server({7: [NOT_SENT]})
    assert await pool_of(store, server, workers=1).run() is None
    assert store.order == [0, 1, 2, 3, 4, 5, 6, 7, 7, 8, 9, 10, 11]
    assert store.attempts[7] == 2
    assert store.of(JobState.SUBMITTED) == list(range(12))


class SlowStore(Store):
    """Takes longer to write an outcome than the API requires to wait."""

    async def end(self, job: Job, at: Moment, outcome: CallOutcome, *, slower: bool) -> None:
        await asyncio.sleep(10.0)
        await super().end(job, at, outcome, slower=slower)


@pytest.mark.parametrize("passing", [replace(THROTTLED, retry_after=1.0), UNAUTHORIZED, NOT_SENT])
async def test_an_attempt_has_ended_before_the_jobs_next_one_begins(passing: CallOutcome) -> None:
    store, server, eyes = SlowStore(range(8)), Server({6: [passing]}), Eyes()
    assert await pool_of(store, server, eyes=eyes).run() is None
    told = [line for line in eyes.seen if line.split()[1] == "6"]
    assert told == ["began 6", f"ended 6 {passing.verdict}", "began 6", "ended 6 submitted"]


@pytest.mark.parametrize("calls", range(9))
async def test_a_check_that_speaks_against_a_call_begins_none_and_its_slot_is_free_again(calls: int) -> None:
    store, server = Store(range(12)), Server()
    gate = Gate(WIDE, LoopClock(1_795_500_000.0))
    pool = pool_of(store, server, gate=gate, check=lambda: ASKED if len(server.begun) >= calls else None)
    assert await pool.run() == ASKED
    # A call that is starting has passed its check, and so have those of the other workers.
    begun = len(server.begun)
    assert calls <= begun <= (calls if calls < 5 else calls + 3)
    assert store.order == list(range(begun))
    assert store.of(JobState.SUBMITTED) == list(range(begun))
    assert store.of(JobState.PENDING) == list(range(begun, 12))
    assert gate.standing().minute[0] == begun


async def test_a_check_is_asked_when_the_wait_for_the_quota_is_over() -> None:
    store, server = Store(range(12)), Server(latency=0.0)
    clock = LoopClock(1_795_500_000.0)
    small = Gate(QuotaLimits(per_minute=7, per_hour=100, burst=7), clock)
    closes = clock.now().ticks + 30

    def check() -> Halt | None:
        return ASKED if clock.now().ticks >= closes else None

    assert await pool_of(store, server, gate=small, check=check).run() == ASKED
    assert len(server.begun) == 7
    assert clock.now().ticks > closes


@pytest.mark.fault(23, "In doubt, the run stops.")
@pytest.mark.fault(24, "In doubt, the run stops.")
@pytest.mark.parametrize("error", [ZeroDivisionError, MemoryError, RecursionError])
async def test_an_error_that_no_rule_foresees_stops_the_run_with_the_device_in_doubt(error: type[Exception]) -> None:
    store, server = Store(range(30)), Server({8: [error("canary-token")]})
    with pytest.raises(error):
        await pool_of(store, server).run()
    assert store.of(JobState.IN_DOUBT) == [8]
    assert store.of(JobState.SENDING) == []
    assert len(server.begun) <= 8 + 4 + 1
    assert set(server.accepted) == set(store.of(JobState.SUBMITTED))


@pytest.mark.fault(30, "Pending, not sent.")
@pytest.mark.fault(33, "Pending, not sent, the run stops.")
async def test_an_intent_that_cannot_be_written_is_not_sent() -> None:
    store, server = Store(range(30), broken_start=8), Server()
    with pytest.raises(JournalError):
        await pool_of(store, server).run()
    assert 8 not in [row for row, _ in server.begun]
    assert store.states[8] is JobState.PENDING
    assert len(server.begun) <= 8 + 4
    assert set(server.accepted) == set(store.of(JobState.SUBMITTED))


@pytest.mark.fault(31, "Retried in the reserved space; else the run stops and the call is settled by the list.")
async def test_an_outcome_that_cannot_be_written_stops_the_run_and_others_in_flight_are_written() -> None:
    store, server = Store(range(30), broken_end=8), Server()
    pool = pool_of(store, server)
    with pytest.raises(JournalError):
        await pool.run()
    assert pool.halted is not None
    assert pool.halted.exit_code is ExitCode.UNFINISHED
    assert store.of(JobState.SENDING) == [8]
    assert len(server.begun) <= 8 + 2 * 4
    assert set(server.accepted) == {*store.of(JobState.SUBMITTED), 8}


async def test_jobs_that_cannot_be_read_end_the_run_with_that_error() -> None:
    class Unreadable(Store):
        async def next_jobs(self) -> list[Job]:
            if self.handed_out >= 5:
                raise JournalError("The journal is damaged.")
            return await super().next_jobs()

    store, server = Unreadable(range(30)), Server()
    with pytest.raises(JournalError, match="damaged"):
        await pool_of(store, server).run()
    assert store.of(JobState.SENDING) == []
    assert set(server.accepted) == set(store.of(JobState.SUBMITTED))


async def test_no_token_for_a_call_leaves_the_job_pending_and_stops_with_sign_in() -> None:
    store, server = Store(range(30)), Server({8: [SignInError("The token has ended.")]})
    halt = await pool_of(store, server, workers=1).run()
    assert halt == Halt("The token has ended.", ExitCode.SIGN_IN)
    assert store.states[8] is JobState.PENDING
    assert len(server.begun) == 9


async def test_no_other_token_after_a_401_leaves_the_job_pending_and_stops_with_sign_in() -> None:
    store, server = Store(range(30)), Server({8: [UNAUTHORIZED]}, tokens=0)
    halt = await pool_of(store, server, workers=1).run()
    assert halt is not None
    assert halt.exit_code is ExitCode.SIGN_IN
    assert store.states[8] is JobState.PENDING
    assert len(server.begun) == 9


async def test_calls_that_the_old_token_failed_are_renewed_for_once() -> None:
    store, server = Store(range(20)), Server({row: [UNAUTHORIZED] for row in (5, 6, 7, 8)})
    assert await pool_of(store, server).run() is None
    assert server.tokens == 0
    assert store.of(JobState.SUBMITTED) == list(range(20))


async def test_a_401_of_the_new_token_stops() -> None:
    store, server = Store(range(20)), Server({6: [UNAUTHORIZED, UNAUTHORIZED]}, tokens=5)
    halt = await pool_of(store, server, workers=1).run()
    assert halt is not None
    assert halt.exit_code is ExitCode.SIGN_IN
    assert server.tokens == 4


async def test_pauses_grow_while_nothing_gets_through_and_begin_anew_afterwards() -> None:
    scripts: dict[int, list[CallOutcome | BaseException]] = {6: [NOT_SENT] * 4, 9: [NOT_SENT] * 2}
    store, server = Store(range(12)), Server(scripts, latency=0.0)
    assert await pool_of(store, server, workers=1).run() is None
    times = [at for row, at in server.begun if row in scripts]
    pauses = [later - at for at, later in pairwise(times)]
    assert pauses == pytest.approx([1, 2, 4, 8, 0, 1, 2], abs=0.1)


async def test_the_reason_of_the_first_halt_is_the_one_that_counts() -> None:
    store, server = Store(range(30)), Server()
    pool = pool_of(store, server)
    loop = asyncio.get_running_loop()
    loop.call_later(6.5, pool.drain, ASKED)
    loop.call_later(6.6, pool.drain, Halt("Later.", ExitCode.REFUSED))
    assert await pool.run() == ASKED
    assert pool.halted == ASKED


@pytest.mark.fault(15, "Nothing is sent.")
async def test_a_pool_that_is_drained_before_it_runs_a_step_sends_nothing() -> None:
    store, server = Store(range(30)), Server()
    pool = pool_of(store, server)
    asyncio.get_running_loop().call_soon(pool.drain, ASKED)
    assert await pool.run() == ASKED
    assert server.begun == []


def interrupted_at_every_step(how: str) -> Iterator[tuple[Store, Server, Callable[[], Pool], list[int]]]:
    """Scenarios that differ only in the step, counted over store and server, at which the pool is ended."""
    for number in range(1, 200):
        count, pools = [0], list[Pool]()

        def step(count: list[int] = count, pools: list[Pool] = pools, number: int = number) -> None:
            count[0] += 1
            if count[0] == number:
                asyncio.get_running_loop().call_soon(getattr(pools[0], how), ASKED)

        store = Store(range(9), step)
        server = Server({3: [NOT_SENT], 6: [THROTTLED], 7: [UNAUTHORIZED]}, step)

        def make(store: Store = store, server: Server = server, pools: list[Pool] = pools) -> Pool:
            pools.append(pool_of(store, server))
            return pools[-1]

        yield store, server, make, count
        if count[0] < number:
            return
    raise AssertionError("there are more steps than were tried")


@pytest.mark.parametrize("how", ["drain", "stop"])
async def test_whenever_the_pool_is_told_to_end_nothing_is_lost_and_the_rest_is_sent_once(how: str) -> None:
    scenarios = 0
    for store, server, make, _ in interrupted_at_every_step(how):
        scenarios += 1
        await make().run()
        assert store.of(JobState.SENDING) == []  # what is known is written, and there is nothing to rescue
        store.handed_out = -1
        assert set(server.accepted) <= {*store.of(JobState.SUBMITTED), *store.of(JobState.IN_DOUBT)}
        assert how == "stop" or store.of(JobState.IN_DOUBT) == []
        assert set(store.of(JobState.IN_DOUBT)) <= {row for row, _ in server.begun}
        assert {row for row, _ in server.begun} <= set(store.order)
        doubtful = store.of(JobState.IN_DOUBT)
        assert await make().run() is None
        assert len(server.accepted) == len(set(server.accepted))
        assert store.of(JobState.IN_DOUBT) == doubtful
        assert sorted(store.of(JobState.SUBMITTED) + doubtful) == list(range(9))
    assert scenarios > 60


async def test_a_stop_gives_up_what_is_in_flight_at_once() -> None:
    store, server = Store(range(30)), Server(latency=50.0)
    pool = pool_of(store, server)
    asyncio.get_running_loop().call_later(260.0, pool.stop, ASKED)
    assert await pool.run() == ASKED
    assert asyncio.get_running_loop().time() == pytest.approx(260.0, abs=0.1)
    assert len(store.of(JobState.IN_DOUBT)) == 4


async def test_a_stop_waits_until_the_answer_that_has_come_is_written() -> None:
    store, server = SlowStore(range(30)), Server()
    pool = pool_of(store, server)
    # The first calls are answered at 1, 2, 3; their outcomes wait for the journal until 11, 12, 13.
    asyncio.get_running_loop().call_later(3.5, pool.stop, ASKED)
    asyncio.get_running_loop().call_later(3.6, pool.stop, ASKED)
    assert await pool.run() == ASKED
    assert store.of(JobState.SENDING) == []
    assert store.of(JobState.SUBMITTED) == [0, 1, 2]
    assert store.of(JobState.IN_DOUBT) == [3]
    assert server.accepted == [0, 1, 2, 3]


@pytest.mark.parametrize("how", ["drain", "stop"])
async def test_a_call_of_which_nothing_has_left_is_not_made_after_the_end_was_asked_for(how: str) -> None:
    class Late(Store):
        async def start(self, job: Job, at: Moment) -> None:
            if job.row == 3:
                getattr(pool, how)(ASKED)
            await super().start(job, at)

    store, server = Late(range(9)), Server()
    pool = pool_of(store, server)
    assert await pool.run() == ASKED
    assert [row for row, _ in server.begun] == [0, 1, 2]
    assert store.attempts[3] == 1
    assert store.of(JobState.PENDING) == list(range(3, 9))


async def test_a_call_that_waits_for_a_connection_is_given_up_without_a_doubt() -> None:
    store, server = Store(range(9)), Server()
    pool = pool_of(store, server)
    loop = asyncio.get_running_loop()
    loop.call_later(2.5, server.line.clear)
    loop.call_later(9.5, pool.stop, ASKED)
    assert await pool.run() == ASKED
    assert loop.time() == pytest.approx(9.5, abs=0.1)
    assert store.of(JobState.SUBMITTED) == server.accepted == [0, 1, 2]
    assert store.of(JobState.PENDING) == list(range(3, 9))


async def test_an_error_before_anything_has_left_leaves_the_job_pending() -> None:
    class Broken(Server):
        async def send(self, job: Job, slot: Slot) -> CallOutcome:
            if job.row == 6:
                raise ZeroDivisionError
            return await super().send(job, slot)

    store, server = Store(range(30)), Broken()
    with pytest.raises(ZeroDivisionError):
        await pool_of(store, server).run()
    assert store.of(JobState.IN_DOUBT) == []
    assert store.states[6] is JobState.PENDING


@pytest.mark.parametrize("renewal", [0.0, 5.0, 30.0])
async def test_no_call_begins_while_the_sign_in_is_renewed(renewal: float) -> None:
    """The token ends at 9.5; of the calls in flight each fails once, and the rows behind them never."""

    class Revoking(Server):
        def _answer(self, job: Job, script: list[CallOutcome | BaseException] | None) -> CallOutcome:
            ended = self.tokens and asyncio.get_running_loop().time() >= 9.5
            return UNAUTHORIZED if ended else super()._answer(job, script)

    store, server = Store(range(120)), Revoking(renewal=renewal)
    assert await pool_of(store, server, workers=8).run() is None
    assert sorted(store.attempts.values()) == [1] * 112 + [2] * 8
    assert len(server.begun) == 120 + 8
    assert server.tokens == 0
    assert not [at for _, at in server.begun if 10.001 < at < 9.999 + renewal]


async def test_an_intent_that_is_written_when_a_renewal_begins_is_taken_back() -> None:
    class Slow(Store):
        """Row 6's intent takes so long that row 5 is answered with 401 meanwhile."""

        async def start(self, job: Job, at: Moment) -> None:
            await super().start(job, at)
            if job.row == 6 and job.attempts == 1:
                await asyncio.sleep(1.5)

    store, server, eyes = Slow(range(9)), Server({5: [UNAUTHORIZED]}, renewal=10.0), Eyes()
    assert await pool_of(store, server, workers=2, eyes=eyes).run() is None
    assert [line for line in eyes.seen if line.split()[1] == "6"][:2] == ["began 6", "ended 6 not_sent"]
    assert [row for row, _ in server.begun].count(6) == 1
    assert store.of(JobState.SUBMITTED) == list(range(9))


async def test_a_stop_gives_up_a_renewal() -> None:
    store, server = Store(range(9)), Server({6: [UNAUTHORIZED]}, renewal=1000.0)
    pool = pool_of(store, server, workers=1)
    asyncio.get_running_loop().call_later(50.0, pool.stop, ASKED)
    assert await pool.run() == ASKED
    assert asyncio.get_running_loop().time() == pytest.approx(50.0, abs=0.1)
    assert store.of(JobState.PENDING) == [6, 7, 8]


async def test_a_slot_that_comes_free_while_the_sign_in_is_renewed_waits_for_its_end() -> None:
    class Counting(Gate):
        asked = 0

        async def acquire(self) -> Slot:
            self.asked += 1
            return await super().acquire()

    store, server = Store(range(12)), Server({6: [UNAUTHORIZED]}, renewal=100.0)
    small = Counting(QuotaLimits(per_minute=7, per_hour=100, burst=7), LoopClock(1_795_500_000.0))
    assert await pool_of(store, server, gate=small, workers=4).run() is None
    assert [row for row, attempts in store.attempts.items() if attempts > 1] == [6]
    assert not [at for _, at in server.begun if 10 < at < 100]
    assert small.asked == len(server.begun) + 1  # the one that was too early; there is no polling
