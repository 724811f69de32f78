"""Unclear answers: the tenant's list settles them, and only a list that works settles one as not accepted."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from batch_offboard.calls.shift import Terms, work_off
from batch_offboard.core.guards import cleared_before
from batch_offboard.core.protected import parse_protected
from batch_offboard.core.settling import HORIZON
from batch_offboard.journal.lives import life_of
from batch_offboard.reports.lives import Settlement
from batch_offboard.reports.rows import Outcome, ReportRow
from tests.integration.world import ORIGIN, SPEED, MovedClock, device

if TYPE_CHECKING:
    from batch_offboard.core.batches import Batch
    from batch_offboard.simulator import Tenant
    from tests.integration.world import World

pytestmark = pytest.mark.looptime

YEAR = 31_557_600.0  # seconds

DEVICES = 7
LAST = device(6)


def sent_to(tenant: "Tenant", machine: str) -> int:
    """How many offboard calls for this device arrived."""
    return sum(call.operation == "offboard" and call.device_id == machine for call in tenant.calls)


def settled(world: "World", batch: "Batch", row: int = 8) -> list[Settlement]:
    life = life_of(world.journal, batch.key, row)
    assert life is not None
    return list(life.settlements)


def last(world: "World", batch: "Batch") -> ReportRow:
    return world.report(batch)[-1]


TAKEN = [
    *("500-after", "502-after", "503-after=30", "409-after", "html-after"),
    *("reset-after", "no-reply-close-after", "hang-after", "late=95"),
    *("cut", "cut=wire", "no-id", "empty-id", "garbage=bytes", "202", "204", "200=empty"),
]


@pytest.mark.fault(72, "Found in the list, submitted with its ID, sent once.", case="500-after")
@pytest.mark.fault(73, "Found in the list.", case="no-id")
@pytest.mark.fault(78, "Found in the list.", case="cut=wire")
@pytest.mark.fault(93, "Found in the list, sent once.", case="reset-after")
@pytest.mark.fault(98, "Found by a later look.", case="late=95")
@pytest.mark.parametrize("fault", TAKEN)
async def test_a_call_that_was_taken_and_answered_badly_is_found_by_the_closing_look(
    world: "World", fault: str
) -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES, f"{fault}:{LAST}") as simulator:
        assert await world.work(batch, simulator.url, look=True) is None
        if fault == "late=95":  # carried out after the caller's timeout, and so after the closing look
            assert world.outcomes(batch) == {Outcome.SUBMITTED: 6, Outcome.IN_DOUBT: 1}
            await asyncio.sleep(10)
            assert await world.work(batch, simulator.url, look=True) is None
    [action] = [each for each in simulator.tenant.actions.values() if each.machine_id == LAST]
    row = last(world, batch)
    assert (row.outcome, row.machine_action_id, row.attempts) == (Outcome.SUBMITTED, action.id, 1)
    assert (row.error_code, row.error_message) == ("", "")
    assert row.submitted_at == pytest.approx(action.created, abs=1e-3)
    [told] = settled(world, batch)
    assert (told.settled, told.accepted, told.action_id, told.attempt) == ("list", True, action.id, 1)
    assert sent_to(simulator.tenant, LAST) == 1
    world.check([batch], simulator.tenant)


@pytest.mark.fault(60, "Submitted, with the action that was there.")
@pytest.mark.parametrize("age", [1.0, 2 * 86_400.0])
@pytest.mark.parametrize("fault", ["400=ActiveRequestAlreadyExists", "409", ""])
async def test_somebodys_open_action_stands_for_the_row_that_met_it(world: "World", fault: str, age: float) -> None:
    batch = world.add(range(DEVICES), looked_up_at=ORIGIN)
    async with world.tenant(DEVICES, *([f"{fault}:{LAST}"] if fault else [])) as simulator:
        theirs = simulator.tenant.start(LAST, "leaver", ORIGIN - age, requestor="ann@contoso.example")
        theirs.course = replace(theirs.course, picked_up=ORIGIN + 9999, ended=ORIGIN + 9999)
        assert await world.work(batch, simulator.url, look=True) is None
    row = last(world, batch)
    assert (row.outcome, row.machine_action_id) == (Outcome.SUBMITTED, theirs.id)
    assert row.error_message == (
        "An offboard action of this device by ann@contoso.example already existed; it counts for this row."
    )
    assert sent_to(simulator.tenant, LAST) == 1
    world.check([batch], simulator.tenant)


@pytest.mark.fault(54, "Doubts are settled by the server's times.")
async def test_with_a_calendar_a_year_behind_an_old_action_of_the_device_does_not_stand_for_the_row(
    world: "World",
) -> None:
    batch = world.add(range(DEVICES), looked_up_at=ORIGIN - YEAR)
    async with world.tenant(DEVICES, f"reset@1:{LAST}") as simulator:
        theirs = simulator.tenant.start(LAST, "before its repair", ORIGIN - 86_400 * 30, requestor="ann")
        assert theirs.status(ORIGIN) == "Succeeded"
        clock = MovedClock(wall=-YEAR)
        assert await world.work(batch, simulator.url, look=True, clock=clock) is None
        assert last(world, batch).outcome is Outcome.IN_DOUBT
        await asyncio.sleep(HORIZON + 60)
        assert await world.work(batch, simulator.url, look=True, clock=clock) is None
    own = [each.id for each in simulator.tenant.actions.values() if each.machine_id == LAST and each is not theirs]
    assert [last(world, batch).machine_action_id] == own
    assert sent_to(simulator.tenant, LAST) == 2


@pytest.mark.fault(60, "Not listed: in doubt, never failed, never sent again.")
async def test_an_action_that_is_not_listed_anywhere_leaves_the_row_in_doubt(world: "World") -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES, f"400=ActiveRequestAlreadyExists:{LAST}") as simulator:
        for _ in range(3):
            assert await world.work(batch, simulator.url, look=True) is None
            await asyncio.sleep(900)
    row = last(world, batch)
    assert (row.outcome, row.error_code) == (Outcome.IN_DOUBT, "ActiveRequestAlreadyExists")
    assert sent_to(simulator.tenant, LAST) == 1
    world.check([batch], simulator.tenant)


@pytest.mark.fault(86, "In doubt until the list shows it; nothing is sent.")
async def test_a_list_that_is_two_minutes_late_shows_the_action_to_a_later_resume(world: "World") -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES, f"500-after:{LAST}", list_lag=120.0) as simulator:
        found = []
        for _ in range(3):
            await world.work(batch, simulator.url, look=True)
            found.append(last(world, batch).outcome)
            await asyncio.sleep(65)
    assert found == [Outcome.IN_DOUBT, Outcome.IN_DOUBT, Outcome.SUBMITTED]
    assert world.batch(batch.batch_id).state == "finished"
    assert sent_to(simulator.tenant, LAST) == 1
    world.check([batch], simulator.tenant)


@pytest.mark.fault(69, "Sent again only when the list has shown after the horizon that it was not accepted.")
async def test_a_call_that_was_never_taken_is_made_once_more_after_the_horizon(world: "World") -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES, f"reset@1:{LAST}") as simulator:
        for wait in (1800.0, 1700.0, 200.0):
            assert await world.work(batch, simulator.url, look=True) is None
            assert (last(world, batch).outcome, sent_to(simulator.tenant, LAST)) == (Outcome.IN_DOUBT, 1)
            await asyncio.sleep(wait)
        assert await world.work(batch, simulator.url, look=True) is None
    row = last(world, batch)
    [action] = [each for each in simulator.tenant.actions.values() if each.machine_id == LAST]
    assert (row.outcome, row.machine_action_id, row.attempts) == (Outcome.SUBMITTED, action.id, 2)
    assert action.comment == "CHG0042 [bo batch-1/8/2]"
    [told] = settled(world, batch)
    assert (told.settled, told.accepted, told.attempt) == ("list", False, 1)
    world.check([batch], simulator.tenant)


async def test_a_call_that_is_lost_twice_is_not_made_a_third_time(world: "World") -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES, f"reset:{LAST}") as simulator:
        for _ in range(5):
            await world.work(batch, simulator.url, look=True)
            await asyncio.sleep(HORIZON + 60)
    assert (last(world, batch).outcome, sent_to(simulator.tenant, LAST)) == (Outcome.IN_DOUBT, 2)
    assert [told.attempt for told in settled(world, batch)] == [1]
    world.check([batch], simulator.tenant)


async def test_each_doubt_waits_for_its_own_hour_and_has_its_own_second_call(world: "World") -> None:
    batch = world.add(range(DEVICES), looked_up_at=ORIGIN)
    first = device(5)
    async with world.tenant(DEVICES, f"reset:{first}", f"429=1800@1:{LAST}", f"reset@2:{LAST}") as simulator:
        sent = []
        for wait in (HORIZON - 1700, HORIZON + 100, HORIZON, 0):
            await world.work(batch, simulator.url, look=True, workers=1)
            sent.append((sent_to(simulator.tenant, first), sent_to(simulator.tenant, LAST)))
            await asyncio.sleep(wait)
    # The second device's first call is delayed by half an hour, and the next one is lost.
    assert sent == [(1, 2), (2, 2), (2, 3), (2, 3)]
    assert world.outcomes(batch) == {Outcome.SUBMITTED: DEVICES - 1, Outcome.IN_DOUBT: 1}
    world.check([batch], simulator.tenant)


@pytest.mark.parametrize("circles", [(7, 11), (8, 13)])
async def test_no_list_in_a_circle_ends_a_doubt_neither_everybodys_nor_the_devices_own(
    world: "World", circles: tuple[int, int]
) -> None:
    batch = world.add(range(DEVICES), looked_up_at=ORIGIN, lookup_wanted=False)
    faults = [f"actions/loop-link@{number}" for number in circles]
    async with world.tenant(DEVICES, f"reset@1:{LAST}", *faults) as simulator:
        await world.work(batch, simulator.url, look=True)
        await asyncio.sleep(HORIZON + 60)
        await world.work(batch, simulator.url, look=True)
        assert (last(world, batch).outcome, sent_to(simulator.tenant, LAST)) == (Outcome.IN_DOUBT, 1)
        await world.work(batch, simulator.url, look=True)
    assert (last(world, batch).outcome, sent_to(simulator.tenant, LAST)) == (Outcome.SUBMITTED, 2)


async def test_a_second_call_that_was_taken_and_answered_badly_is_found_too(world: "World") -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES, f"reset@1:{LAST}", f"500-after@2:{LAST}") as simulator:
        await world.work(batch, simulator.url, look=True)
        await asyncio.sleep(HORIZON + 60)
        await world.work(batch, simulator.url, look=True)
    [action] = [each for each in simulator.tenant.actions.values() if each.machine_id == LAST]
    assert (last(world, batch).outcome, last(world, batch).machine_action_id) == (Outcome.SUBMITTED, action.id)
    assert [(told.attempt, told.accepted) for told in settled(world, batch)] == [(1, False), (2, True)]
    world.check([batch], simulator.tenant)


async def test_a_run_that_lasts_beyond_the_horizon_sends_the_lost_call_again_by_itself(world: "World") -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES, f"reset@1:{device(5)}", f"429=3000:{LAST}@1") as simulator:
        assert await world.work(batch, simulator.url, look=True, horizon=2000.0) is None
    assert world.outcomes(batch) == {Outcome.SUBMITTED: DEVICES}
    assert sent_to(simulator.tenant, device(5)) == 2
    world.check([batch], simulator.tenant)


async def resumed_with(world: "World", batch: "Batch", url: str, protected: str, horizon: float = HORIZON) -> None:
    """Continue a batch with this protected list."""
    async with world.tenancy(url, horizon=horizon) as tenancy:
        clearance = cleared_before(batch.batch_id, parse_protected(protected))
        await work_off(tenancy, world.batch(batch.batch_id), clearance, world.ears, Terms(SPEED))


async def test_a_device_that_was_protected_meanwhile_is_not_sent_when_its_doubt_ends(world: "World") -> None:
    batch = world.add(range(DEVICES), lookup_wanted=False)
    async with world.tenant(DEVICES, f"reset@1:{LAST}") as simulator:
        await world.work(batch, simulator.url, look=True)
        await asyncio.sleep(HORIZON + 60)
        await resumed_with(world, batch, simulator.url, LAST)
    assert (last(world, batch).outcome, last(world, batch).error_code) == (Outcome.SKIPPED, "protected")
    assert sent_to(simulator.tenant, LAST) == 1


async def test_the_same_holds_when_its_doubt_ends_at_the_closing_look(world: "World") -> None:
    batch = world.add(range(DEVICES), lookup_wanted=False)
    doubtful = device(5)
    faults = (f"reset@1:{doubtful}", f"429=3601:{LAST}@1", f"429=3000:{LAST}@2")
    async with world.tenant(DEVICES, *faults) as simulator:
        await world.work(batch, simulator.url, look=True)
        assert world.outcomes(batch) == {Outcome.SUBMITTED: 5, Outcome.IN_DOUBT: 1, Outcome.PENDING: 1}
        await asyncio.sleep(3700)
        await resumed_with(world, batch, simulator.url, doubtful, horizon=5000.0)
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 6, Outcome.SKIPPED: 1}
    assert sent_to(simulator.tenant, doubtful) == 1


@pytest.mark.fault(86, "A list that shows none of our actions proves nothing.")
@pytest.mark.parametrize(
    "fault",
    ["empty-list", "403", "404", "400=ODataError", "429=3601", "500", "hang", "html", "cut", "loop-link"],
)
async def test_a_list_that_proves_nothing_sends_nothing_again(world: "World", fault: str) -> None:
    batch = world.add(range(DEVICES), looked_up_at=ORIGIN)
    async with world.tenant(DEVICES, f"reset@1:{LAST}", f"actions/{fault}@2-") as simulator:
        for _ in range(3):
            await world.work(batch, simulator.url, look=True)
            await asyncio.sleep(HORIZON + 60)
    assert (last(world, batch).outcome, sent_to(simulator.tenant, LAST)) == (Outcome.IN_DOUBT, 1)
    assert settled(world, batch) == []
    world.check([batch], simulator.tenant)


async def test_a_list_that_knows_none_of_our_actions_sends_nothing_again(world: "World") -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES, f"reset@1:{LAST}") as simulator:
        await world.work(batch, simulator.url, look=True)
        ours = dict(simulator.tenant.actions)
        simulator.tenant.actions.clear()
        for number in range(3):
            simulator.tenant.start(device(number), "leaver", ORIGIN, requestor="ann@contoso.example")
        await asyncio.sleep(HORIZON + 60)
        await world.work(batch, simulator.url, look=True)
        assert (last(world, batch).outcome, sent_to(simulator.tenant, LAST)) == (Outcome.IN_DOUBT, 1)
        simulator.tenant.actions.clear()
        simulator.tenant.actions.update(ours)
        await world.work(batch, simulator.url, look=True)
    assert (last(world, batch).outcome, sent_to(simulator.tenant, LAST)) == (Outcome.SUBMITTED, 2)


async def test_an_action_that_only_the_devices_own_list_shows_is_found_and_not_sent_again(world: "World") -> None:
    """The list of all devices can lag behind that of one device; so before a second call the latter is read."""
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES, f"500-after:{LAST}", list_lag=9999.0) as simulator:
        await world.work(batch, simulator.url, look=True)
        await asyncio.sleep(HORIZON + 60)
        tenant = simulator.tenant
        listed, made = tenant.actions_for, list(tenant.actions.values())
        late = [each for each in made if each.machine_id == LAST]
        tenant._list_lag = 0.0
        tenant.actions_for = lambda query, now: (  # type: ignore[method-assign]  # a tenant whose index lags
            shown for shown in listed(query, now) if shown["machineId"] != LAST or "machineId" in query.filter
        )
        await world.work(batch, simulator.url, look=True)
    assert (last(world, batch).outcome, last(world, batch).machine_action_id) == (Outcome.SUBMITTED, late[0].id)
    assert sent_to(tenant, LAST) == 1
    world.check([batch], tenant)


@pytest.mark.fault(71, "The third in a row stops the run.")
async def test_three_unclear_answers_stop_the_run_and_are_settled_all_the_same(world: "World") -> None:
    batch = world.add(range(12))
    async with world.tenant(12, "500-after@6-8") as simulator:
        halt = await world.work(batch, simulator.url, look=True, workers=1)
        assert halt is not None
        assert world.outcomes(batch) == {Outcome.SUBMITTED: 8, Outcome.PENDING: 4}
        assert await world.work(batch, simulator.url, look=True) is None
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 12}
    world.check([batch], simulator.tenant)
