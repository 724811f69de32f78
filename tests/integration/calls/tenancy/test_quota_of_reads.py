"""Reads have two windows of their own, which hold by arrival, for any number of readers and kills."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from batch_offboard.calls.tenancy import Patience
from batch_offboard.core.quota import QuotaLimits
from batch_offboard.core.tenant import ApiName
from batch_offboard.journal import reading
from batch_offboard.reports.rows import Outcome
from tests.integration.inspection import fullest
from tests.integration.world import ORIGIN, SCOPE, device

if TYPE_CHECKING:
    from batch_offboard.calls.tenancy import Tenancy
    from tests.integration.world import MovedClock, World

pytestmark = pytest.mark.looptime

SMALL = QuotaLimits(per_minute=10, per_hour=30, burst=10)
YEAR = 365 * 86_400.0


async def read(tenancy: "Tenancy", times: int) -> None:
    """Make so many calls, waiting for an hour's quota if necessary."""
    async with tenancy.reader(Patience(trouble=30.0, asked=3700.0)) as reader:
        for _ in range(times):
            await reader.action("no-such-action")


async def test_reads_never_come_closer_than_the_windows_allow(world: "World") -> None:
    async with (
        world.tenant(1, per_minute=10, per_hour=30, latency=(0.05, 2.0), arrival="random") as simulator,
        world.tenancy(simulator.url, limits=SMALL) as tenancy,
    ):
        await read(tenancy, 45)
    assert {call.status for call in simulator.tenant.calls} == {404}
    assert asyncio.get_running_loop().time() < 3600 + 3 * 60
    world.check([], simulator.tenant, limits=SMALL)


async def test_the_quota_is_a_hundred_a_minute_if_nobody_says_another(world: "World") -> None:
    async with (
        world.tenant(1, per_minute=None, per_hour=None) as simulator,
        world.tenancy(simulator.url, limits=QuotaLimits(burst=100)) as tenancy,
    ):
        await read(tenancy, 230)
    arrivals = [call.at for call in simulator.tenant.calls]
    assert fullest(arrivals, 60.0) == 100
    world.check([], simulator.tenant)


async def test_reads_and_offboard_calls_take_nothing_from_one_another(world: "World") -> None:
    batch = world.add(range(10))
    async with world.tenant(10, per_minute=10, per_hour=30) as simulator:
        async with world.tenancy(simulator.url, limits=SMALL) as tenancy:
            await read(tenancy, 10)
        assert await world.work(batch, simulator.url, limits=SMALL) is None
    assert asyncio.get_running_loop().time() < 30
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 10}
    world.check([batch], simulator.tenant, limits=SMALL)


async def test_who_reads_next_on_the_same_journal_goes_on_with_the_windows(world: "World") -> None:
    async with world.tenant(1, per_minute=10, per_hour=30, latency=(0.05, 2.0)) as simulator:
        for times in (4, 9, 12, 3, 7):
            async with world.tenancy(simulator.url, limits=SMALL) as tenancy:
                await read(tenancy, times)
            await asyncio.sleep(7)
    assert {call.status for call in simulator.tenant.calls} == {404}
    assert asyncio.get_running_loop().time() > 3600
    world.check([], simulator.tenant, limits=SMALL)


@pytest.mark.parametrize(
    ("wall", "ticks", "boot"),
    [(0.0, 0.0, "boot-1"), (YEAR, 0.0, "boot-1"), (-YEAR, 0.0, "boot-1"), (0.0, -9.0, "boot-2")],
)
async def test_reads_that_a_kill_left_open_count_from_when_they_were_found(
    world: "World", moved_clock: "Callable[..., MovedClock]", wall: float, ticks: float, boot: str
) -> None:
    async with world.tenant(1, per_minute=10, latency=(0.0, 0.0)) as simulator:
        async with world.tenancy(simulator.url, limits=SMALL, clock=moved_clock()) as tenancy:
            await read(tenancy, 6)
            # What a kill leaves: intents whose calls may have arrived just before the next start.
            for _ in range(3):
                world.journal.begin_read(tenancy.scope_key, tenancy.clock.now())
        await asyncio.sleep(20)
        async with world.tenancy(simulator.url, limits=SMALL, clock=moved_clock(wall, ticks, boot)) as tenancy:
            await read(tenancy, 8)
    arrivals = [call.at - ORIGIN for call in simulator.tenant.calls]
    assert [len([at for at in arrivals if at < moment]) for moment in (10, 59, 79, 90)] == [6, 7, 13, 14]
    history = reading.call_history(world.journal, SCOPE, ApiName.READ, 100, moved_clock(wall, ticks, boot).now())
    assert len(history.ended) == 6 + 3 + 8
    assert all(each.verdict for each in world.calls("read"))


async def test_a_read_that_is_given_up_in_the_middle_leaves_nothing_open(world: "World") -> None:
    async with world.tenant(1, "read/hang") as simulator, world.tenancy(simulator.url) as tenancy:
        reading_ = asyncio.create_task(read(tenancy, 1))
        await asyncio.sleep(3)
        reading_.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading_
    [call] = world.calls("read")
    assert (call.verdict, round(call.ended_at - call.started_at)) == ("failed", 3)
    world.check([], simulator.tenant)


async def test_what_a_run_reads_is_in_the_journal_before_it_is_on_the_wire(world: "World") -> None:
    batch = world.add(range(25), looked_up_at=None)
    async with world.tenant(25, page_size=6, latency=(0.05, 1.0), arrival="random") as simulator:
        for number in range(25):
            simulator.tenant.start(device(number), "an old one", ORIGIN - 1e6)
        assert await world.work(batch, simulator.url, look=True) is None
    calls = simulator.tenant.calls
    assert [call.operation for call in calls[:13]] == ["actions"] + ["machines"] * 6 + ["actions"] * 6
    assert [call.operation for call in calls[-6:]] == ["actions"] * 6
    assert len(world.calls("read")) == 1 + 6 + 6 + 6
    world.check([batch], simulator.tenant)
