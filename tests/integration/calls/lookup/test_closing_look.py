"""After every run the tenant's list is compared with the journal, and every difference is reported."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from batch_offboard.core.settling import LIST_LAG
from batch_offboard.reports.rows import Outcome
from tests.integration.world import ORIGIN, device

if TYPE_CHECKING:
    from batch_offboard.core.batches import Batch
    from batch_offboard.simulator import Action, Tenant
    from tests.integration.world import World

pytestmark = pytest.mark.looptime

DEVICES = 7


def now() -> float:
    return ORIGIN + asyncio.get_running_loop().time()


def action_of(tenant: "Tenant", number: int) -> "Action":
    [action] = [each for each in tenant.actions.values() if each.machine_id == device(number)]
    return action


def told(world: "World", batch: "Batch") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.batch(batch.batch_id).findings["differences"]
    return found


def said(world: "World") -> list[str]:
    return [text for text in world.ears.said_so_far if text.startswith("The tenant and the journal differ")]


async def test_a_run_that_went_well_has_nothing_to_tell(world: "World") -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES) as simulator:
        assert await world.work(batch, simulator.url, look=True) is None
    assert (told(world, batch), said(world)) == ([], [])


@pytest.mark.fault(99, "Reported, with both actions.")
async def test_a_call_that_something_on_the_way_has_doubled_is_told_with_both_actions(world: "World") -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES) as simulator:
        await world.work(batch, simulator.url, look=True)
        first = action_of(simulator.tenant, 2)
        second = simulator.tenant.start(device(2), first.comment, now())
        await world.work(batch, simulator.url, look=True)
    both = sorted([first.id, second.id])
    assert told(world, batch) == [{"kind": "second_action", "row": 4, "device_id": device(2), "action_ids": both}]
    [sentence] = said(world)
    assert f"Row 4 ({device(2)}) has more than one machine action in the tenant: {', '.join(both)}." in sentence


async def test_an_action_of_a_row_that_was_refused_is_told(world: "World") -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES, "400-after=InvalidInput@6") as simulator:
        await world.work(batch, simulator.url, look=True, workers=1)
    action = action_of(simulator.tenant, 5)
    assert world.report(batch)[5].outcome is Outcome.FAILED
    assert told(world, batch) == [
        {"kind": "unknown_action", "row": 7, "device_id": device(5), "action_ids": [action.id]}
    ]
    assert [action.id in text for text in said(world)] == [True]


async def test_another_action_than_the_one_that_was_told_is_told(world: "World") -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES) as simulator:
        await world.work(batch, simulator.url, look=True)
        first = action_of(simulator.tenant, 2)
        del simulator.tenant.actions[first.id]
        second = simulator.tenant.start(device(2), first.comment, now())
        await world.work(batch, simulator.url, look=True)
    assert [(each["kind"], each["action_ids"]) for each in told(world, batch)] == [
        ("other_action", [first.id, second.id])
    ]


async def test_an_action_that_the_list_does_not_show_is_missed_only_after_its_lag(world: "World") -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES) as simulator:
        await world.work(batch, simulator.url, look=True)
        lost = action_of(simulator.tenant, 2)
        del simulator.tenant.actions[lost.id]
        await asyncio.sleep(LIST_LAG - 30)
        await world.work(batch, simulator.url, look=True)
        assert told(world, batch) == []
        await asyncio.sleep(60)
        await world.work(batch, simulator.url, look=True)
    assert [(each["kind"], each["row"], each["action_ids"]) for each in told(world, batch)] == [
        ("missing", 4, [lost.id])
    ]
    assert world.outcomes(batch) == {Outcome.SUBMITTED: DEVICES}


async def test_a_list_that_is_not_whole_misses_nothing(world: "World") -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES, "actions/loop-link@3-", page_size=5) as simulator:
        await world.work(batch, simulator.url, look=True)
        await asyncio.sleep(LIST_LAG + 60)
        await world.work(batch, simulator.url, look=True)
    assert told(world, batch) == []


async def test_an_action_that_came_to_nothing_is_no_second_one(world: "World") -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES) as simulator:
        await world.work(batch, simulator.url, look=True)
        first = action_of(simulator.tenant, 2)
        again = simulator.tenant.start(device(2), first.comment, now())
        simulator.tenant.cancel(again.id, "a mistake", now())
        await world.work(batch, simulator.url, look=True)
    assert told(world, batch) == []


async def test_of_many_differences_ten_are_said_and_all_are_kept(world: "World") -> None:
    batch = world.add(range(15))
    async with world.tenant(15) as simulator:
        await world.work(batch, simulator.url, look=True)
        simulator.tenant.actions.clear()
        await asyncio.sleep(LIST_LAG + 60)
        await world.work(batch, simulator.url, look=True)
    assert [each["row"] for each in told(world, batch)] == list(range(2, 17))
    assert len(said(world)) == 10


@pytest.mark.fault(88, 'Unknown is not "not found": the row stays in doubt.')
@pytest.mark.parametrize("fault", ["500", "403", "html", "foreign-link", "429=3601", "401"])
async def test_a_closing_look_that_cannot_be_taken_changes_nothing_and_is_said(world: "World", fault: str) -> None:
    batch = world.add(range(DEVICES), looked_up_at=ORIGIN)
    async with world.tenant(DEVICES, f"actions/{fault}@2-") as simulator:
        assert await world.work(batch, simulator.url, look=True) is None
    assert world.outcomes(batch) == {Outcome.SUBMITTED: DEVICES}
    assert world.batch(batch.batch_id).state == "finished"
    assert ["The tenant was not checked after the run" in text for text in world.ears.said_so_far[-1:]] == [True]
    world.check([batch], simulator.tenant)
