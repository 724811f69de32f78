"""429 answers: how long all calls wait, which call is counted, and how a series of them ends."""

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from batch_offboard.base.errors import ExitCode
from batch_offboard.core.quota import QuotaLimits
from batch_offboard.reports.rows import Outcome

if TYPE_CHECKING:
    from tests.integration.world import World

pytestmark = pytest.mark.looptime

BURSTY = QuotaLimits(burst=100)


@pytest.mark.fault(64, "All calls wait as long as requested.")
@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        ("429=30@7", 30), ("429=date+30@7", 29), ("429=none@7", 60), ("429=soon@7", 60), ("429=-5@7", 60),
        ("429=0@7", 60), ("429=date-30@7", 60), ("429=10,20@7", 60), ("503=30@7", 30),
    ],
)  # fmt: skip
async def test_nobody_calls_within_the_wait_that_the_server_asks_for(
    world: "World", fault: str, wait: float, workers: int
) -> None:
    batch = world.add(range(20))
    async with world.tenant(20, fault, latency=(0.5, 1.0)) as simulator:
        assert await world.work(batch, simulator.url, workers=workers, limits=BURSTY) is None
    wire = simulator.tenant.calls
    refused = next(call.at for call in wire if call.fault)
    told = refused + 1.0
    assert all(call.at <= told or call.at >= refused + wait for call in wire)
    world.check([batch], simulator.tenant)


@pytest.mark.fault(64, "The same device goes later.")
async def test_a_429_charges_nothing_to_the_device(world: "World") -> None:
    batch = world.add(range(20))
    async with world.tenant(20, "429=30@7") as simulator:
        assert await world.work(batch, simulator.url) is None
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 20}
    assert sorted(row.attempts for row in world.report(batch)) == [1] * 19 + [2]
    assert len(simulator.tenant.calls) == 21


@pytest.mark.fault(68, "One call tries after each wait; then the run continues.")
@pytest.mark.parametrize("latency", [(0.02, 0.2), (1.0, 3.0)])
async def test_in_a_storm_of_an_hour_one_call_asks_after_each_wait(
    world: "World", latency: tuple[float, float]
) -> None:
    batch = world.add(range(20))
    async with world.tenant(20, "429=60@9-68", latency=latency) as simulator:
        assert await world.work(batch, simulator.url, limits=BURSTY) is None
    storm = [call.at for call in simulator.tenant.calls if call.fault]
    probes = [at for at in storm if at > storm[0] + 60]
    assert len(probes) >= 50  # calls that were in flight at the first 429 are not probes
    assert min(later - at for at, later in pairwise(probes)) >= 60
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 20}
    world.check([batch], simulator.tenant)


@pytest.mark.fault(66, "More than an hour stops the run, to be resumed later.")
async def test_a_wait_of_more_than_an_hour_stops_the_run(world: "World") -> None:
    batch = world.add(range(20))
    async with world.tenant(20, "429=999999@7") as simulator:
        halt = await world.work(batch, simulator.url, workers=1)
    assert halt is not None
    assert halt.exit_code is ExitCode.UNFINISHED
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 6, Outcome.PENDING: 14}
    assert len(simulator.tenant.calls) == 7
    world.check([batch], simulator.tenant)


async def test_others_who_use_the_same_quota_cost_time_and_no_device(world: "World") -> None:
    batch = world.add(range(40))
    async with world.tenant(40, per_minute=20) as simulator:  # another program uses the other eighty
        assert await world.work(batch, simulator.url) is None
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 40}
    assert asyncio.get_running_loop().time() < 300
    world.check([batch], simulator.tenant)
