"""Many answers fail after the server accepted the action, its list lags, the run is stopped and resumed."""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import TYPE_CHECKING

import pytest

from batch_offboard.core.brakes import Halt
from batch_offboard.core.jobs import JobState
from batch_offboard.core.settling import HORIZON
from batch_offboard.journal import reading, settlements
from batch_offboard.reports.rows import Outcome
from tests.integration.world import MovedClock

if TYPE_CHECKING:
    from batch_offboard.core.batches import Batch
    from batch_offboard.simulator import RunningSimulator
    from tests.integration.world import World

pytestmark = pytest.mark.looptime

Interrupted = Callable[..., Awaitable[Halt | None]]

AFTER = ("500-after", "reset-after", "hang-after", "cut")
BEFORE = ("500", "reset")
MOST_RESUMES = 60
LONGEST_LAG = 120.0  # seconds


def spread(kinds: tuple[str, ...], share: float) -> list[str]:
    """Faults that together apply to about this share of the calls."""
    return [f"{kind}:{share / len(kinds):.4f}" for kind in kinds]


def goes_no_further(world: "World", batch: "Batch") -> bool:
    """Finished, or the rest has had its second call and is not listed."""
    doubts = settlements.doubts(world.journal, batch.key, MovedClock().now())
    lost = sum(doubt.resent and doubt.gone_by > LONGEST_LAG for doubt in doubts)
    return reading.count(world.journal, batch.key).of(JobState.PENDING, JobState.IN_DOUBT) == lost


async def worked_to_the_end(
    world: "World",
    batch: "Batch",
    simulator: "RunningSimulator",
    interrupted: Interrupted,
    draw: Random,
    pause: tuple[float, float],
) -> int:
    """Run, stop and resume until the batch is finished or makes no progress; returns the number of runs."""
    loop = asyncio.get_running_loop()
    for begun in range(1, MOST_RESUMES):
        simulator.tenant._list_lag = draw.uniform(0, LONGEST_LAG)
        moment = loop.time() + draw.uniform(0, 60)
        moments = [moment, moment + draw.uniform(0, 2)][
            : draw.choice((0, 0, 0, 1, 2))
        ]  # drained, or drained and stopped
        await interrupted(world.work(batch, simulator.url, look=True), *moments)
        world.check([batch], simulator.tenant)
        if goes_no_further(world, batch):
            return begun
        await asyncio.sleep(draw.uniform(*pause))
    return MOST_RESUMES


# Further seeds for a long run, as "7 8 9".
MORE = [int(word) for word in os.environ.get("OFFBOARD_TEST_SEEDS", "").split()]
BAD_DAYS = [
    (1, 0.1, 400),
    (2, 0.1, 200),
    (3, 0.5, 60),
    (4, 0.9, 30),
    *((seed, (seed % 9 + 1) / 10, 100) for seed in MORE),
]


@pytest.mark.parametrize(("seed", "share", "devices"), BAD_DAYS)
async def test_no_device_gets_two_actions_and_every_action_ends_in_the_report(
    world: "World", interrupted: Interrupted, seed: int, share: float, devices: int
) -> None:
    batch, draw = world.add(range(devices)), Random(seed)  # noqa: S311  # repeatable bad luck
    faults = spread(AFTER, share)
    async with world.tenant(devices, *faults, seed=seed, latency=(0.05, 1.0), arrival="random") as simulator:
        begun = await worked_to_the_end(world, batch, simulator, interrupted, draw, (0, 60))
    assert begun < MOST_RESUMES
    assert world.outcomes(batch) == {Outcome.SUBMITTED: devices}
    actions = {action.machine_id: action.id for action in simulator.tenant.actions.values()}
    assert all(row.machine_action_id == actions[row.device_id] for row in world.report(batch))
    assert len(actions) == len(simulator.tenant.actions) == devices
    met = [call for call in simulator.tenant.calls if call.operation == "offboard" and call.fault]
    assert len(met) > devices * share / 2
    assert max(Counter(call.device_id for call in simulator.tenant.calls if call.device_id).values()) == 1


@pytest.mark.parametrize("seed", [5, 6, *MORE])
async def test_calls_that_were_lost_before_the_server_had_them_are_made_once_more_and_no_others(
    world: "World", interrupted: Interrupted, seed: int
) -> None:
    devices = 80
    batch, draw = world.add(range(devices)), Random(seed)  # noqa: S311  # repeatable bad luck
    faults = [*spread(AFTER, 0.1), *spread(BEFORE, 0.3)]
    async with world.tenant(devices, *faults, seed=seed, latency=(0.05, 1.0), arrival="random") as simulator:
        begun = await worked_to_the_end(world, batch, simulator, interrupted, draw, (0, HORIZON))
    assert begun < MOST_RESUMES
    outcomes = world.outcomes(batch)
    actions = {action.machine_id: action.id for action in simulator.tenant.actions.values()}
    assert outcomes[Outcome.SUBMITTED] == len(actions) == len(simulator.tenant.actions)
    lost = Counter(call.device_id for call in simulator.tenant.calls if call.fault in faults[len(AFTER) :])
    assert sum(lost.values()) > devices // 8
    sent = Counter(call.device_id for call in simulator.tenant.calls if call.operation == "offboard")
    assert all(number == min(2, 1 + lost[device]) for device, number in sent.items())
    assert outcomes.get(Outcome.IN_DOUBT, 0) == sum(number == 2 for number in lost.values())
