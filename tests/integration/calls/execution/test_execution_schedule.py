"""How long a run takes, and that the server never sees more than its quota, however it counts."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pytest

from batch_offboard.core.quota import QuotaLimits
from batch_offboard.reports.rows import Outcome

if TYPE_CHECKING:
    from tests.integration.world import World

pytestmark = pytest.mark.looptime

MostInAny = Callable[[Sequence[float], float], int]


MICROSOFTS = QuotaLimits()
A_FIFTH = QuotaLimits(per_minute=20, per_hour=300)  # reaches the second hour with a fifth of the calls


def best_possible(calls: int, limits: QuotaLimits = MICROSOFTS) -> float:
    """Seconds from the first call to the last under sliding windows of a minute and an hour."""
    return 3600 * ((calls - 1) // limits.per_hour) + 60 * ((calls - 1) % limits.per_hour // limits.per_minute)


@pytest.mark.parametrize(
    ("devices", "mode", "limits"),
    [
        (50, "sliding", MICROSOFTS), (100, "sliding", MICROSOFTS), (300, "sliding", MICROSOFTS),
        (320, "sliding", A_FIFTH),
        (50, "fixed", MICROSOFTS), (300, "fixed", MICROSOFTS), (50, "bucket", MICROSOFTS), (300, "bucket", MICROSOFTS),
    ],
)  # fmt: skip
async def test_the_last_call_goes_within_a_minute_and_a_hundredth_of_the_best_possible(
    world: "World", devices: int, mode: str, limits: QuotaLimits
) -> None:
    batch = world.add(range(devices))
    quota = {"per_minute": limits.per_minute, "per_hour": limits.per_hour}
    async with world.tenant(devices, quota_mode=mode, latency=(0.05, 2.0), arrival="random", **quota) as simulator:
        assert await world.work(batch, simulator.url, limits=limits) is None
    wire = simulator.tenant.calls
    assert [call.status for call in wire] == [201] * devices
    best = best_possible(devices, limits)
    assert wire[-1].at - wire[0].at <= best + 60 + best / 100
    assert world.outcomes(batch) == {Outcome.SUBMITTED: devices}
    world.check([batch], simulator.tenant, limits=limits)


async def test_even_a_server_that_counts_nothing_sees_no_more_than_the_quota(
    world: "World", most_in_any: MostInAny
) -> None:
    devices = 320
    batch = world.add(range(devices))
    async with world.tenant(
        devices, latency=(0.05, 2.0), arrival="random", per_minute=None, per_hour=None
    ) as simulator:
        assert await world.work(batch, simulator.url) is None
    arrivals = [call.at for call in simulator.tenant.calls]
    assert most_in_any(arrivals, 60.0) <= 100
    assert arrivals[-1] - arrivals[0] <= best_possible(devices) * 1.01 + 60
    world.check([batch], simulator.tenant)


async def test_a_server_that_allows_no_burst_slows_the_pace_and_gets_every_device(world: "World") -> None:
    batch = world.add(range(60))
    async with world.tenant(60, quota_mode="smooth") as simulator:
        assert await world.work(batch, simulator.url) is None
    wire = simulator.tenant.calls
    accepted = [call.at for call in wire if call.status == 201]
    assert len(accepted) == 60
    assert {call.status for call in wire} == {201, 429}
    assert asyncio.get_running_loop().time() <= 60 * 2.4 * 2
    starts = [each.started_at for each in world.attempts()]
    assert (starts[-1] - starts[-11]) / 10 > 3 * QuotaLimits().interval(0)
    world.check([batch], simulator.tenant)


@pytest.mark.parametrize("workers", [1, 8, 32])
async def test_after_five_calls_one_by_one_as_many_are_in_flight_as_there_are_workers(
    world: "World", workers: int
) -> None:
    batch = world.add(range(90))
    limits = QuotaLimits(burst=100)
    async with world.tenant(90, latency=(3.0, 4.0)) as simulator:
        await world.work(batch, simulator.url, workers=workers, limits=limits)
    attempts = world.attempts()
    first, rest = attempts[:5], attempts[5:]
    assert all(one.ended_at <= two.started_at for one, two in zip(first, attempts[1:6], strict=True))
    # A slot is taken a moment before its intent is written, so ends and starts of one moment do not overlap.
    open_at = [sum(1 for each in rest if each.started_at <= one.started_at < each.ended_at) for one in rest]
    assert max(open_at) == workers
    world.check([batch], simulator.tenant)
