"""The network is down: calls that were certainly not sent are retried, with growing pauses, for a while."""

import asyncio
import socket
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from batch_offboard.base.errors import ExitCode
from batch_offboard.core.jobs import Verdict
from batch_offboard.reports.rows import Outcome

if TYPE_CHECKING:
    from tests.integration.world import World

pytestmark = pytest.mark.looptime


async def test_an_api_that_never_answered_is_tried_for_half_a_minute_with_growing_pauses(world: "World") -> None:
    batch = world.add(range(5))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        halt = await world.work(batch, f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert halt is not None
    assert halt.exit_code is ExitCode.UNFINISHED
    assert "cannot be reached" in halt.reason
    starts = [each.started_at for each in world.attempts()]
    pauses = [later - start for start, later in pairwise(starts)]
    assert pauses == pytest.approx([1, 2, 4, 8, 16], abs=0.6)
    assert {each.verdict for each in world.attempts()} == {Verdict.NOT_SENT}
    assert world.outcomes(batch) == {Outcome.PENDING: 5}
    world.check([batch])


@pytest.mark.fault(96, "The run continues by itself.")
async def test_an_api_that_comes_back_after_five_minutes_gets_every_device(world: "World") -> None:
    batch = world.add(range(60))
    async with world.tenant(60) as simulator:
        running = asyncio.create_task(world.work(batch, simulator.url))
        await asyncio.sleep(10)
    port = urlsplit(simulator.url).port
    await asyncio.sleep(300)
    assert not running.done()
    async with world.tenant(60, port=port) as again:
        assert await running is None
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 60}
    assert len(again.tenant.calls) > 20
    world.check([batch], simulator.tenant, again.tenant)


@pytest.mark.fault(90, "Retried with growing pauses, then the run stops.")
async def test_an_api_that_stays_away_stops_the_run_after_ten_minutes(world: "World") -> None:
    batch = world.add(range(40))
    async with world.tenant(40) as simulator:
        running = asyncio.create_task(world.work(batch, simulator.url))
        await asyncio.sleep(10)
    halt = await running
    assert halt is not None
    assert halt.exit_code is ExitCode.UNFINISHED
    assert 600 <= asyncio.get_running_loop().time() <= 700
    assert world.outcomes(batch).keys() == {Outcome.SUBMITTED, Outcome.PENDING}
    world.check([batch], simulator.tenant)


@pytest.mark.fault(25, "A deadline that a blocked loop misses leaves a doubt, never a second call.")
@pytest.mark.fault(98, "In doubt, never repeated.")
async def test_calls_that_are_answered_after_the_deadline_are_in_doubt_and_never_repeated(world: "World") -> None:
    batch = world.add(range(12))
    async with world.tenant(12, "late=200@7", "hang@8") as simulator:
        assert await world.work(batch, simulator.url, workers=4) is None
        await asyncio.sleep(300)
        assert world.outcomes(batch) == {Outcome.SUBMITTED: 10, Outcome.IN_DOUBT: 2}
        assert len(simulator.tenant.calls) == 12
        world.check([batch], simulator.tenant)


@pytest.mark.fault(97, "No window exceeds the quota at the server.")
async def test_held_up_requests_that_arrive_together_do_not_overfill_the_window(world: "World") -> None:
    batch = world.add(range(150))
    async with world.tenant(150, latency=(0.0, 50.0), arrival="random") as simulator:
        assert await world.work(batch, simulator.url, workers=64) is None
    assert {call.status for call in simulator.tenant.calls} == {201}
    world.check([batch], simulator.tenant)
