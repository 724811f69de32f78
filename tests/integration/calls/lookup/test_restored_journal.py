"""A journal that was rolled back to an older copy knows less than the tenant: nothing is sent a second time."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from batch_offboard.core.brakes import Halt
from batch_offboard.journal.store import Journal
from batch_offboard.reports.rows import Outcome
from tests.integration.world import ORIGIN, device

if TYPE_CHECKING:
    from batch_offboard.core.batches import Batch
    from batch_offboard.simulator import Tenant
    from tests.integration.world import World

pytestmark = pytest.mark.looptime

Interrupted = Callable[..., Awaitable[Halt | None]]

DEVICES = 24
MINUTE, DAY = 60.0, 86_400.0


def copied(world: "World") -> None:
    shutil.copy(world.journal.path, world.journal.path.with_name("copy.db"))


def restored(world: "World") -> None:
    """Replace the journal by the copy, as a restored backup or snapshot does."""
    world.journal.close()
    shutil.copy(world.journal.path.with_name("copy.db"), world.journal.path)
    world.journal = Journal(world.journal.path)


def assert_sent_once(world: "World", batch: "Batch", tenant: "Tenant") -> None:
    """Each device had one accepted call, and its row names the action."""
    assert set(Counter(action.machine_id for action in tenant.actions.values()).values()) == {1}
    sent = Counter(call.device_id for call in tenant.calls if call.operation == "offboard")
    assert max(sent.values()) == 1
    actions = {action.machine_id: action.id for action in tenant.actions.values()}
    for row in world.report(batch):
        assert actions[row.device_id] in row.machine_action_id + row.error_message


@pytest.mark.fault(28, "The tenant's list shows calls that the journal does not know; nothing is sent again.")
@pytest.mark.parametrize("age", [MINUTE, 20 * MINUTE, 3 * DAY])
@pytest.mark.parametrize("looked_up_at", [ORIGIN, None])
async def test_a_copy_from_before_the_first_call_sends_nothing_again(
    world: "World", looked_up_at: float | None, age: float
) -> None:
    batch = world.add(range(DEVICES), looked_up_at=looked_up_at)
    copied(world)
    async with world.tenant(DEVICES) as simulator:
        assert await world.work(batch, simulator.url, look=True) is None
        await asyncio.sleep(age)
        restored(world)
        await world.work(batch, simulator.url, look=True)
    assert_sent_once(world, batch, simulator.tenant)
    assert world.outcomes(batch) == {Outcome.SKIPPED: DEVICES}


@pytest.mark.fault(28, "Likewise from the middle of a run.")
@pytest.mark.fault(29, "The second to begin finds the first one's calls in the tenant's list.")
@pytest.mark.parametrize("age", [MINUTE, 20 * MINUTE, 3 * DAY])
async def test_a_copy_from_the_middle_of_a_run_sends_only_what_the_tenant_does_not_know(
    world: "World", interrupted: Interrupted, age: float
) -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES, latency=(0.5, 1.0)) as simulator:
        await interrupted(world.work(batch, simulator.url, look=True), 5.5)
        sent_before = len(simulator.tenant.actions)
        assert 0 < sent_before < DEVICES - 3
        copied(world)
        loop = asyncio.get_running_loop()
        await interrupted(world.work(batch, simulator.url, look=True), loop.time() + 7.0)
        assert sent_before < len(simulator.tenant.actions) < DEVICES
        restored(world)
        await asyncio.sleep(age)
        assert await world.work(batch, simulator.url, look=True) is None
    assert_sent_once(world, batch, simulator.tenant)
    assert len(simulator.tenant.actions) == DEVICES
    assert any("is the journal an older copy?" in text for text in world.ears.said_so_far)


async def test_a_row_that_was_sent_twice_already_is_not_sent_a_third_time(world: "World") -> None:
    batch = world.add(range(6))
    async with world.tenant(6) as simulator:
        for attempt in (1, 2):
            simulator.tenant.start(device(3), f"CHG0042 [bo batch-1/5/{attempt}]", ORIGIN - 900 + 300 * attempt)
        await world.work(batch, simulator.url, look=True)
    assert [row.row for row in world.report(batch) if row.outcome is Outcome.SKIPPED] == [5]
    assert device(3) not in [call.device_id for call in simulator.tenant.calls]
