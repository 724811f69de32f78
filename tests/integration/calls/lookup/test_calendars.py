"""A computer whose clock is wrong, or was wrong when it called, misses no action of the tenant's list."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from batch_offboard.calls import lookup
from batch_offboard.commands import tracking
from batch_offboard.journal import settlements
from batch_offboard.reports.rows import Outcome
from batch_offboard.simulator import Pace

if TYPE_CHECKING:
    from tests.integration.world import MovedClock, World

pytestmark = pytest.mark.looptime

HOUR, DAY = 3600.0, 86_400.0
DEVICES = tracking.STRAGGLERS + 5
QUICK = Pace(pick_up=(1, 1), work=(1, 1))

MovedClockAt = Callable[..., "MovedClock"]

CALENDARS = [
    pytest.param(0.0, 0.0, id="right"),
    pytest.param(2 * HOUR, 2 * HOUR, id="two hours ahead"),
    pytest.param(-2 * HOUR, -2 * HOUR, id="two hours behind"),
    pytest.param(30 * DAY, 30 * DAY, id="a month ahead"),
    pytest.param(2 * HOUR, 0.0, id="set right since"),
    pytest.param(0.0, 2 * HOUR, id="set wrong since"),
    pytest.param(30 * DAY, -30 * DAY, id="a month ahead, then behind"),
]


@pytest.mark.fault(54, "Every action is still found.")
@pytest.mark.parametrize("wait", [5.0, 1.5 * HOUR, 3 * DAY])
@pytest.mark.parametrize(("calling", "looking"), CALENDARS)
async def test_one_round_learns_of_every_action_that_is_final(
    world: "World", moved_clock: MovedClockAt, calling: float, looking: float, wait: float
) -> None:
    async with world.tenant(DEVICES, pace=QUICK) as simulator:
        clock = moved_clock(calling)
        batch = world.add(range(DEVICES), planned_at=clock.now().wall, lookup_wanted=False)
        assert await world.work(batch, simulator.url, look=True, clock=clock) is None
        assert [text for text in world.ears.said_so_far if "differ" in text] == []
        await asyncio.sleep(wait)
        async with world.tenancy(simulator.url, clock=moved_clock(looking)) as tenancy:
            await tracking._look(tenancy, world.batch(batch.batch_id))
        singly = sum(call.operation == "action" for call in simulator.tenant.calls)
    assert settlements.open_actions(world.journal, batch.key) == {}
    assert singly <= tracking.STRAGGLERS


@pytest.mark.parametrize(("calling", "looking"), CALENDARS)
async def test_a_doubt_is_settled_by_the_next_look(
    world: "World", moved_clock: MovedClockAt, calling: float, looking: float
) -> None:
    async with world.tenant(8, "500-after@7", list_lag=60.0) as simulator:
        clock = moved_clock(calling)
        batch = world.add(range(8), planned_at=clock.now().wall, lookup_wanted=False)
        await world.work(batch, simulator.url, look=True, clock=clock)
        assert world.outcomes(batch)[Outcome.IN_DOUBT] == 1
        await asyncio.sleep(1.5 * HOUR)
        async with world.tenancy(simulator.url, clock=moved_clock(looking)) as tenancy:
            await lookup.look_back(tenancy, world.batch(batch.batch_id), resend=False, open_only=True)
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 8}


async def test_a_list_that_lags_is_not_asked_for_twice(world: "World") -> None:
    batch = world.add(range(6), lookup_wanted=False)
    async with world.tenant(6, list_lag=300.0) as simulator:
        assert await world.work(batch, simulator.url, look=True) is None
        queries = [call.query for call in simulator.tenant.calls if call.operation == "actions"]
    assert all("creationDateTimeUtc" in query for query in queries)
