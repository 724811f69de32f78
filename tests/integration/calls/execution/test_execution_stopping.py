"""Interruptions: whenever the run is drained or stopped, nothing is lost and the next run sends the rest once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from batch_offboard.base.errors import ExitCode, JournalError
from batch_offboard.calls.shift import Terms
from batch_offboard.core.audit import Kind
from batch_offboard.core.batches import BatchState
from batch_offboard.core.brakes import Halt
from batch_offboard.core.quota import QuotaLimits
from batch_offboard.journal.audited import records
from batch_offboard.journal.reading import find_batch
from batch_offboard.reports.rows import Outcome
from tests.integration.world import SPEED

if TYPE_CHECKING:
    from tests.integration.world import MovedClock, World

pytestmark = pytest.mark.looptime

Interrupted = Callable[..., Awaitable[Halt | None]]
DAY, YEAR = 86_400.0, 365 * 86_400.0
SMALL = QuotaLimits(per_minute=10, per_hour=60, burst=10)
DEVICES = 12

# Moments before, within and after the first five calls, while eight are in flight, and while the minute is full.
MOMENTS = [0.0, 0.003, 0.4, 0.9, 1.7, 2.6, 3.5, 4.4, 5.0, 5.3, 5.9, 6.4, 6.6, 7.0, 20.0, 63.0, 66.5]


@pytest.mark.fault(15, "Likewise at many moments; the next run sends the rest.")
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_run_that_is_drained_finishes_its_calls_and_the_next_sends_the_rest(
    world: "World", interrupted: Interrupted, moment: float
) -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES, per_minute=10, latency=(0.5, 1.5), arrival="random") as simulator:
        halt = await interrupted(world.work(batch, simulator.url, limits=SMALL), moment)
        assert asyncio.get_running_loop().time() <= max(moment + 1.6, 66)
        if halt is not None:
            assert halt.exit_code is ExitCode.UNFINISHED
        assert world.outcomes(batch).keys() <= {Outcome.SUBMITTED, Outcome.PENDING}
        world.check([batch], simulator.tenant, limits=SMALL)
        assert await world.work(batch, simulator.url, limits=SMALL) is None
    assert world.outcomes(batch) == {Outcome.SUBMITTED: DEVICES}
    assert len(simulator.tenant.calls) == DEVICES
    world.check([batch], simulator.tenant, limits=SMALL)


@pytest.mark.fault(16, "Likewise at many moments.")
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_run_that_is_stopped_knows_what_may_have_been_sent(
    world: "World", interrupted: Interrupted, moment: float
) -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES, per_minute=10, latency=(0.5, 1.5)) as simulator:
        await interrupted(world.work(batch, simulator.url, limits=SMALL), moment, moment + 0.001)
        assert asyncio.get_running_loop().time() <= max(moment + 0.1, 66)
        world.check([batch], simulator.tenant, limits=SMALL)
        stopped = world.outcomes(batch)
        assert stopped.keys() <= {Outcome.SUBMITTED, Outcome.PENDING, Outcome.IN_DOUBT}
        await asyncio.sleep(2)  # requests in transit still arrive
        world.check([batch], simulator.tenant, limits=SMALL)
        assert await world.work(batch, simulator.url, limits=SMALL) is None
    doubtful = stopped.get(Outcome.IN_DOUBT, 0)
    assert world.outcomes(batch).get(Outcome.SUBMITTED, 0) == DEVICES - doubtful
    assert world.outcomes(batch).get(Outcome.IN_DOUBT, 0) == doubtful
    assert len(simulator.tenant.calls) <= DEVICES
    world.check([batch], simulator.tenant, limits=SMALL)


@pytest.mark.fault(120, "Nothing is sent, the report is the same.")
async def test_a_finished_batch_sends_nothing_when_it_is_worked_again(world: "World") -> None:
    batch = world.add(range(6))
    async with world.tenant(6) as simulator:
        assert await world.work(batch, simulator.url) is None
        before = world.report(batch)
        assert await world.work(batch, simulator.url) is None
    assert world.report(batch) == before
    assert len(simulator.tenant.calls) == 6


@pytest.mark.fault(47, "No window exceeds the quota.")
@pytest.mark.fault(48, "No window exceeds the quota.")
@pytest.mark.parametrize(
    ("wall", "ticks", "boot"),
    [
        (0.0, 0.0, "boot-1"),
        (3600.0, 0.0, "boot-1"),
        (-3600.0, 0.0, "boot-1"),
        (YEAR, 0.0, "boot-1"),
        (-YEAR, 0.0, "boot-1"),
        (0.0, -9.0, "boot-2"),
        (-3600.0, -9.0, "boot-2"),
        (-YEAR, -9.0, "boot-2"),
    ],
)
async def test_the_windows_hold_across_a_restart_whatever_the_clock_says(
    world: "World",
    interrupted: Interrupted,
    moved_clock: "Callable[..., MovedClock]",
    wall: float,
    ticks: float,
    boot: str,
) -> None:
    batch = world.add(range(30))
    async with world.tenant(30, per_minute=10, per_hour=20) as simulator:
        limits = QuotaLimits(per_minute=10, per_hour=20, burst=10)
        first = world.work(batch, simulator.url, limits=limits, clock=moved_clock())
        assert await interrupted(first, 10.0) is not None
        assert len(simulator.tenant.calls) == 10
        clock = moved_clock(wall, ticks, boot)
        assert await world.work(batch, simulator.url, limits=limits, clock=clock) is None
    assert {call.status for call in simulator.tenant.calls} == {201}
    assert asyncio.get_running_loop().time() < 3600 + 120
    world.check([batch], simulator.tenant, limits=limits, same_clock=wall == 0)


@pytest.mark.parametrize(
    ("wall", "ticks", "boot"),
    [
        (0.0, 0.0, "boot-1"),
        (YEAR, 0.0, "boot-1"),
        (-YEAR, 0.0, "boot-1"),
        (0.0, -9.0, "boot-2"),
        (-DAY, -9.0, "boot-2"),
    ],
)
async def test_a_wait_that_the_server_asked_for_outlives_the_process(
    world: "World",
    interrupted: Interrupted,
    moved_clock: "Callable[..., MovedClock]",
    wall: float,
    ticks: float,
    boot: str,
) -> None:
    batch = world.add(range(8))
    async with world.tenant(8, "429=300@6") as simulator:
        first = world.work(batch, simulator.url, clock=moved_clock())
        assert await interrupted(first, 20.0) is not None
        clock = moved_clock(wall, ticks, boot)
        assert await world.work(batch, simulator.url, clock=clock) is None
    arrivals = [call.at for call in simulator.tenant.calls]
    assert len(arrivals) == 9
    assert arrivals[6] - arrivals[5] >= 300
    assert arrivals[6] - arrivals[5] <= 330
    world.check([batch], simulator.tenant, same_clock=wall == 0)


@pytest.mark.fault(46, "No window exceeds the quota, and no wait gets longer.")
@pytest.mark.parametrize("jump", [3600.0, -3600.0, YEAR, -YEAR])
async def test_the_windows_hold_when_the_calendar_is_moved_in_the_middle(
    world: "World", moved_clock: "Callable[..., MovedClock]", jump: float
) -> None:
    batch, clock = world.add(range(25)), moved_clock()
    asyncio.get_running_loop().call_later(7.0, setattr, clock, "wall", jump)
    async with world.tenant(25, per_minute=10) as simulator:
        assert await world.work(batch, simulator.url, limits=SMALL, clock=clock) is None
    assert {call.status for call in simulator.tenant.calls} == {201}
    assert asyncio.get_running_loop().time() < 180
    world.check([batch], simulator.tenant, limits=SMALL, same_clock=False)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_nothing_begins_after_a_check_speaks_against_it_and_the_next_run_sends_the_rest(
    world: "World", moment: float
) -> None:
    batch = world.add(range(DEVICES))
    loop = asyncio.get_running_loop()
    until = Halt("The window is closed.", ExitCode.UNFINISHED)
    async with world.tenant(DEVICES, per_minute=10, latency=(0.5, 1.5)) as simulator:
        check = lambda: until if loop.time() >= moment else None  # noqa: E731  # what a window says
        halt = await world.work(batch, simulator.url, limits=SMALL, terms=Terms(SPEED, check=check))
        assert halt in (until, None)
        assert loop.time() <= max(moment + 6.6, 66)
        assert all(call.at - world.origin <= moment + 0.01 for call in simulator.tenant.calls)
        assert world.outcomes(batch).keys() <= {Outcome.SUBMITTED, Outcome.PENDING}
        assert await world.work(batch, simulator.url, limits=SMALL) is None
    assert world.outcomes(batch) == {Outcome.SUBMITTED: DEVICES}
    world.check([batch], simulator.tenant, limits=SMALL)


async def test_a_wait_for_the_quota_ends_with_the_leave_to_go_on(world: "World") -> None:
    batch = world.add(range(DEVICES))
    loop = asyncio.get_running_loop()
    closed = Halt("The window is closed.", ExitCode.UNFINISHED)
    async with world.tenant(DEVICES, per_minute=10, latency=(0.01, 0.01)) as simulator:
        check = lambda: closed if loop.time() >= 20 else None  # noqa: E731  # what a window says
        # The display, and with it the check, has the pace of a run in real time.
        assert await world.work(batch, simulator.url, limits=SMALL, terms=Terms(check=check)) == closed
        assert loop.time() == pytest.approx(25, abs=5.1)
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 10, Outcome.PENDING: 2}
    world.check([batch], simulator.tenant, limits=SMALL)


@pytest.mark.fault(20, "The window is checked before the next call.")
@pytest.mark.fault(21, "Like a halted process; the time asleep counts.")
async def test_after_a_long_sleep_the_hour_is_looked_at_before_the_next_call(
    world: "World", moved_clock: Callable[..., "MovedClock"]
) -> None:
    batch, clock = world.add(range(DEVICES)), moved_clock()
    closes = clock.now().wall + 3600
    asyncio.get_running_loop().call_later(3.0, lambda: setattr(clock, "wall", 2 * 3600.0))
    closed = Halt("The window is closed.", ExitCode.UNFINISHED)
    async with world.tenant(DEVICES, latency=(0.5, 1.5)) as simulator:
        check = lambda: closed if clock.now().wall >= closes else None  # noqa: E731  # what a window says
        assert await world.work(batch, simulator.url, clock=clock, terms=Terms(SPEED, check=check)) == closed
        assert all(call.at - world.origin <= 3.0 for call in simulator.tenant.calls)
    assert world.outcomes(batch).keys() == {Outcome.SUBMITTED, Outcome.PENDING}


@pytest.mark.parametrize(("attended", "held"), [(True, True), (False, False)])
async def test_a_persons_ctrl_c_holds_the_batch_and_that_of_a_service_does_not(
    world: "World", interrupted: Interrupted, attended: bool, held: bool
) -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES, latency=(0.5, 1.5)) as simulator:
        await interrupted(world.work(batch, simulator.url, terms=Terms(SPEED, attended=attended)), 2.0)
        again = find_batch(world.journal, batch.batch_id)
        assert again is not None
        assert again.state is (BatchState.HELD if held else BatchState.STOPPED)
        await world.work(again, simulator.url)
    finished = find_batch(world.journal, batch.batch_id)
    assert finished is not None
    assert finished.state is BatchState.FINISHED


async def test_without_space_for_the_reserve_the_batch_is_as_it_was_before(world: "World") -> None:
    batch = world.add(range(3))
    in_the_way = world.journal.path.with_name("journal.db.reserve")
    in_the_way.mkdir()
    async with world.tenant(3) as simulator:
        with pytest.raises(JournalError, match="has no space left"):
            await world.work(batch, simulator.url)
        assert world.batch("batch-1") == batch
        assert [each.kind for each in records(world.journal)] == [Kind.PLANNED]
        in_the_way.rmdir()
        assert await world.work(batch, simulator.url) is None
    assert not in_the_way.exists()
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 3}


@pytest.mark.parametrize("way", ["drained", "by an error"])
async def test_every_run_that_began_has_its_end_in_the_audit_record_and_gives_the_reserve_up(
    world: "World", interrupted: Interrupted, way: str
) -> None:
    batch = world.add(range(3))

    def check() -> Halt | None:
        raise JournalError("The disk is full.")

    async with world.tenant(3, latency=(0.5, 1.5)) as simulator:
        if way == "drained":
            await interrupted(world.work(batch, simulator.url), 1.0)
        else:
            with pytest.raises(JournalError):
                await world.work(batch, simulator.url, terms=Terms(SPEED, check=check))
    kinds = [each.kind for each in records(world.journal)]
    assert kinds.count(Kind.STARTED) == kinds.count(Kind.ENDED) == 1
    assert world.batch("batch-1").state.word == "stopped"
    assert not world.journal.path.with_name("journal.db.reserve").exists()
