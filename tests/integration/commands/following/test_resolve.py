"""A person's word on a row in doubt: taken both ways, kept with their name, and refused where nothing is in doubt."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from batch_offboard.base.errors import BusyError, ExitCode, UsageError
from batch_offboard.commands import resolving, run, tracking
from batch_offboard.commands.locking import working_alone
from batch_offboard.core.jobs import JobState
from batch_offboard.journal.lives import life_of
from batch_offboard.reports.rows import Outcome
from batch_offboard.simulator import Pace
from tests import commands
from tests.integration.virtual_desk import VirtualDesk
from tests.integration.world import device

if TYPE_CHECKING:
    from batch_offboard.core.batches import Batch
    from batch_offboard.simulator import RunningSimulator
    from tests.integration.world import World

pytestmark = pytest.mark.looptime

DeskAt = Callable[..., VirtualDesk]

DEVICES = 7
LAST, ROW = device(6), 8


async def in_doubt(world: "World", simulator: "RunningSimulator") -> "Batch":
    """A batch whose last row is in doubt, at a tenant that may not be read."""
    batch = world.add(range(DEVICES))
    await world.work(batch, simulator.url)
    assert world.outcomes(batch) == {Outcome.SUBMITTED: DEVICES - 1, Outcome.IN_DOUBT: 1}
    return batch


async def say(
    desk: VirtualDesk, batch: "Batch", *, accepted: bool, row: int = ROW, action_id: str = "", note: str = ""
) -> "Batch":
    name = batch.batch_id
    view = await resolving.resolve(desk, name, row, accepted=accepted, action_id=action_id, note=note)
    return view.batch


async def test_accepted_with_its_action_ends_the_row_and_the_batch(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(DEVICES, f"500-after:{LAST}") as simulator:
        batch = await in_doubt(world, simulator)
        [action] = [each for each in simulator.tenant.actions.values() if each.machine_id == LAST]
        desk = desk_at(simulator.url)
        found = await say(desk, batch, accepted=True, action_id=action.id, note="seen in the portal")
        assert (found.state, found.halted_because) == ("finished", "")
        row = world.report(batch)[-1]
        assert (row.outcome, row.machine_action_id, row.action_status) == (Outcome.SUBMITTED, action.id, "")
        assert row.error_message == "Settled by ann: accepted."
        view = await tracking.track(desk, batch.batch_id, [], desk.talk)
        assert view.statuses == {"Succeeded": DEVICES}
    life = life_of(world.journal, batch.key, ROW)
    assert life is not None
    assert [(each.settled, each.who, each.accepted, each.action_id, each.note) for each in life.settlements] == [
        ("person", "ann", True, action.id, "seen in the portal")
    ]
    world.check([batch], simulator.tenant)


async def test_accepted_without_an_action_is_submitted_all_the_same(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(DEVICES, f"500-after:{LAST}") as simulator:
        batch = await in_doubt(world, simulator)
        desk = desk_at(simulator.url)
        await say(desk, batch, accepted=True)
        view = await tracking.track(desk, batch.batch_id, [], desk.talk)
    row = world.report(batch)[-1]
    assert (row.outcome, row.machine_action_id) == (Outcome.SUBMITTED, "")
    assert view.open == 0
    assert view.statuses == {"Succeeded": DEVICES - 1, "unknown": 1}


async def test_not_accepted_is_pending_again_and_resume_sends_it(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(DEVICES, f"reset@1:{LAST}") as simulator:
        batch = await in_doubt(world, simulator)
        desk = desk_at(simulator.url)
        found = await say(desk, batch, accepted=False)
        assert (found.state, world.report(batch)[-1].outcome) == ("stopped", Outcome.PENDING)
        view = await run.resume(desk, None, [], desk.talk)
    assert view.exit_code is ExitCode.OK
    assert [call.comment for call in simulator.tenant.calls if call.device_id == LAST][1:] == [
        "CHG0042 [bo batch-1/8/2]"
    ]
    world.check([batch], simulator.tenant)


async def test_not_accepted_by_mistake_is_found_out_before_it_is_sent(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(DEVICES, f"500-after:{LAST}") as simulator:
        batch = await in_doubt(world, simulator)
        desk = desk_at(simulator.url)
        await say(desk, batch, accepted=False)
        await asyncio.sleep(600)
        await run.resume(desk, None, [], desk.talk)
    assert sum(call.device_id == LAST for call in simulator.tenant.calls) == 1
    [action] = [each for each in simulator.tenant.actions.values() if each.machine_id == LAST]
    row = world.report(batch)[-1]
    assert (row.outcome, row.error_code, action.id in row.error_message) == (
        Outcome.SKIPPED,
        "already_offboarded",
        True,
    )


async def test_a_persons_word_does_not_use_up_the_one_second_call(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(DEVICES, f"reset@1-2:{LAST}") as simulator:
        batch = await in_doubt(world, simulator)
        await say(desk_at(simulator.url), batch, accepted=False)
        await world.work(batch, simulator.url, look=True)
        assert world.report(batch)[-1].outcome is Outcome.IN_DOUBT
        await asyncio.sleep(3700)
        await world.work(batch, simulator.url, look=True)
    assert world.report(batch)[-1].outcome is Outcome.SUBMITTED
    assert sum(call.device_id == LAST for call in simulator.tenant.calls) == 3


@pytest.mark.parametrize("row", [2, 99, 1])
async def test_a_row_that_is_not_in_doubt_is_refused_and_left_as_it_is(
    world: "World", desk_at: DeskAt, row: int
) -> None:
    async with world.tenant(DEVICES, f"reset:{LAST}") as simulator:
        batch = await in_doubt(world, simulator)
        before = world.report(batch)
        for accepted in (True, False):
            with pytest.raises(UsageError, match=f"Row {row} of batch batch-1 is not in doubt"):
                await say(desk_at(simulator.url), batch, accepted=accepted, row=row)
    assert world.report(batch) == before


async def test_a_second_word_on_the_same_row_is_refused(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(DEVICES, f"reset:{LAST}") as simulator:
        batch = await in_doubt(world, simulator)
        await say(desk_at(simulator.url), batch, accepted=True, action_id="one")
        with pytest.raises(UsageError, match="not in doubt"):
            await say(desk_at(simulator.url), batch, accepted=True, action_id="two")
    assert world.report(batch)[-1].machine_action_id == "one"


async def test_an_action_that_a_person_named_is_never_cancelled(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(DEVICES, f"500-after:{LAST}", pace=Pace(pick_up=(1e6, 1e6))) as simulator:
        batch = await in_doubt(world, simulator)
        [action] = [each for each in simulator.tenant.actions.values() if each.machine_id == LAST]
        desk = desk_at(simulator.url)
        await say(desk, batch, accepted=True, action_id=action.id)
        view = await commands.cancel(desk, batch.batch_id, (), [], desk.talk, lambda _batch, _number: None)
    assert view.cancelled == DEVICES - 1
    assert action.cancellation is None


async def test_nobody_settles_a_row_of_a_batch_at_work(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(DEVICES, f"reset:{LAST}") as simulator:
        batch = await in_doubt(world, simulator)
        desk, another = desk_at(simulator.url), desk_at(simulator.url)
        with working_alone(another, batch), pytest.raises(BusyError):
            await say(desk, batch, accepted=True)
    assert world.report(batch)[-1].outcome is Outcome.IN_DOUBT


@pytest.mark.parametrize(("accepted", "state"), [(True, JobState.SUBMITTED), (False, JobState.PENDING)])
async def test_the_answer_counts_the_row_as_it_was_settled(
    world: "World", desk_at: DeskAt, *, accepted: bool, state: JobState
) -> None:
    async with world.tenant(DEVICES, f"500-after:{LAST}") as simulator:
        batch = await in_doubt(world, simulator)
        desk = desk_at(simulator.url)
        view = await resolving.resolve(desk, batch.batch_id, ROW, accepted=accepted, action_id="", note="")
    assert (view.row, view.accepted, view.counts.of(JobState.IN_DOUBT)) == (ROW, accepted, 0)
    assert view.counts.of(state) == (DEVICES if accepted else 1)
