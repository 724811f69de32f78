"""The actions are followed round by round, by a list for all of them, until each is final or somebody says when."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest

from batch_offboard.base.errors import ExitCode, UsageError
from batch_offboard.commands import tracking
from batch_offboard.config.places import lock_folder
from batch_offboard.core.jobs import CallOutcome, Verdict
from batch_offboard.journal import settlements
from batch_offboard.journal.attempts import End, Start
from batch_offboard.journal.locks import only_process, reading_lock
from batch_offboard.reports.rows import Outcome
from batch_offboard.simulator import Pace
from tests.integration.virtual_desk import VirtualDesk
from tests.integration.world import ORIGIN, SCOPE, MovedClock, device

if TYPE_CHECKING:
    from batch_offboard.commands.tracking import TrackView
    from batch_offboard.core.batches import Batch
    from batch_offboard.simulator import RunningSimulator, Tenant
    from tests.integration.world import World

pytestmark = pytest.mark.looptime

DeskAt = Callable[..., VirtualDesk]
Interrupted = Callable[..., Awaitable[Any]]

DAY = 86_400.0
SLOW = Pace(pick_up=(100, 200), work=(500, 900))


async def follow(desk: VirtualDesk, batch: "Batch | None" = None, until: float | None = None) -> "TrackView":
    """`until` is in the loop's time."""
    end = None if until is None else ORIGIN + until
    name = batch.batch_id if batch else None
    return await tracking.track(desk, name, [desk.options.cwd / "out.csv"], desk.talk, end)


async def submitted(world: "World", simulator: "RunningSimulator", devices: int = 8, name: str = "batch-1") -> "Batch":
    batch = world.add(range(devices), name)
    assert await world.work(batch, simulator.url) is None
    simulator.tenant.calls.clear()
    return batch


def lists(simulator: "RunningSimulator") -> int:
    """How often the list was read from its beginning."""
    return sum(call.operation == "actions" and "$skip" not in call.query for call in simulator.tenant.calls)


def hide(tenant: "Tenant", hidden: Callable[[dict[str, object]], bool]) -> None:
    """Actions that no list shows."""
    shown = tenant.actions_for
    tenant.actions_for = lambda query, now: (  # type: ignore[method-assign]  # a list that is not as it should be
        action for action in shown(query, now) if not hidden(action)
    )


async def test_actions_are_followed_until_each_is_final_and_the_report_tells_when(
    world: "World", desk_at: DeskAt
) -> None:
    async with world.tenant(8, pace=SLOW) as simulator:
        batch = await submitted(world, simulator)
        view = await follow(desk_at(simulator.url), batch)
        assert asyncio.get_running_loop().time() >= 600
        assert (view.exit_code, view.open, view.halt) == (ExitCode.OK, 0, None)
        assert view.statuses == {"Succeeded": 8}
        assert view.rounds == lists(simulator) < 25
        ended = {action.id: action.course.ended for action in simulator.tenant.actions.values()}
    assert {call.method for call in simulator.tenant.calls} == {"GET"}
    for row in world.report(batch):
        assert (row.outcome, row.action_status) == (Outcome.SUBMITTED, "Succeeded")
        assert row.finished_at == pytest.approx(ended[row.machine_action_id], abs=1e-3)
    assert (desk_at(simulator.url).options.cwd / "out.csv").read_text(encoding="utf-8-sig").count(",Succeeded,") == 8
    said = [text for text in world.ears.said_so_far if "Succeeded" in text or "Pending" in text]
    assert [" Pending" in said[0], "; next look in 30 s" in said[0]] == [True, True]
    assert said[-1].endswith("8 Succeeded")
    world.check([batch], simulator.tenant)


async def test_a_batch_whose_actions_are_final_costs_no_further_look(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(6) as simulator:
        batch = await submitted(world, simulator, 6)
        await follow(desk_at(simulator.url), batch)
        before = world.report(batch)
        simulator.tenant.calls.clear()
        view = await follow(desk_at(simulator.url), batch)
        with pytest.raises(UsageError, match="No batch has open machine actions"):
            await follow(desk_at(simulator.url))
    assert (view.exit_code, view.statuses) == (ExitCode.OK, {"Succeeded": 6})
    assert lists(simulator) == 1
    assert world.report(batch) == before


@pytest.mark.fault(89, "Failed with the reason; the ID is kept.")
async def test_actions_that_failed_or_ran_out_of_time_are_failures_and_say_why(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(60, seed=5, pace=Pace(failed=0.3, timed_out=0.2, time_out_after=3600.0)) as simulator:
        batch = await submitted(world, simulator, 60)
        view = await follow(desk_at(simulator.url), batch)
        ends = Counter(str(action.course.end) for action in simulator.tenant.actions.values())
    assert view.exit_code is ExitCode.ROWS_FAILED
    assert view.statuses == ends
    assert ends.keys() == {"Succeeded", "Failed", "TimeOut"}
    failed = [row for row in world.report(batch) if row.action_status == "Failed"]
    assert {row.error_message for row in failed} == {
        "The device reports 0x80070005 The sensor service could not be stopped."
    }
    world.check([batch], simulator.tenant)


async def test_an_action_that_somebody_took_back_is_told_and_is_no_success(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(6, pace=SLOW) as simulator:
        batch = await submitted(world, simulator, 6)
        [mine] = [each for each in simulator.tenant.actions.values() if each.machine_id == device(2)]
        simulator.tenant.cancel(mine.id, "no!", ORIGIN + asyncio.get_running_loop().time())
        view = await follow(desk_at(simulator.url), batch)
    assert view.exit_code is ExitCode.ROWS_FAILED
    row = world.report(batch)[2]
    assert (row.outcome, row.action_status) == (Outcome.SUBMITTED, "Cancelled")


async def test_a_status_word_that_nobody_knows_is_kept_shown_and_waited_for(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(6) as simulator:
        batch = await submitted(world, simulator, 6)
        shown = simulator.tenant.actions_for

        def odd(action: dict[str, object]) -> dict[str, object]:
            early = asyncio.get_running_loop().time() < 400
            return action | {"status": "Quarantined"} if early and action["machineId"] == device(3) else action

        simulator.tenant.actions_for = lambda query, now: map(odd, shown(query, now))  # type: ignore[method-assign]  # likewise
        view = await follow(desk_at(simulator.url), batch, until=350)
        assert (view.exit_code, view.open) == (ExitCode.UNFINISHED, 1)
        assert view.statuses == {"Succeeded": 5, "Quarantined": 1}
        assert world.report(batch)[3].action_status == "Quarantined"
        view = await follow(desk_at(simulator.url), batch)
    assert view.statuses == {"Succeeded": 6}
    assert any("1 Quarantined" in text for text in world.ears.said_so_far)


@pytest.mark.parametrize("until", [10.0, 100.0, 260.0, 299.0])
async def test_a_deadline_ends_it_and_the_last_look_is_not_long_before(
    world: "World", desk_at: DeskAt, until: float
) -> None:
    async with world.tenant(6, pace=Pace(pick_up=(0, 1), work=(9000, 9000))) as simulator:
        batch = await submitted(world, simulator, 6)
        view = await follow(desk_at(simulator.url), batch, until)
        ended = asyncio.get_running_loop().time()
    assert (view.exit_code, view.open, view.halt) == (ExitCode.UNFINISHED, 6, None)
    assert until - 10 <= ended <= max(until, 8) + 3
    assert "next look" not in world.ears.said_so_far[-1]


async def test_ctrl_c_ends_it_and_days_later_it_goes_on(
    world: "World", desk_at: DeskAt, interrupted: Interrupted
) -> None:
    async with world.tenant(6, pace=SLOW) as simulator:
        batch = await submitted(world, simulator, 6)
        view = await interrupted(follow(desk_at(simulator.url), batch), 60.0)
        assert asyncio.get_running_loop().time() < 62
        assert view.exit_code is ExitCode.UNFINISHED
        assert view.halt.reason == f"SIGINT was received; look again with `batch-offboard track {batch.batch_id}`."
        assert view.reports[0].exists()
        await asyncio.sleep(3 * DAY)
        view = await follow(desk_at(simulator.url))
    assert (view.batch.batch_id, view.exit_code, view.rounds) == (batch.batch_id, ExitCode.OK, 1)
    world.check([batch], simulator.tenant)


async def test_ctrl_c_ends_it_in_the_middle_of_a_look(
    world: "World", desk_at: DeskAt, interrupted: Interrupted
) -> None:
    async with world.tenant(6, "actions/hang@3-", pace=SLOW) as simulator:
        batch = await submitted(world, simulator, 6)
        view = await interrupted(follow(desk_at(simulator.url), batch), 60.0)
    assert (view.exit_code, view.rounds) == (ExitCode.UNFINISHED, 1)
    assert asyncio.get_running_loop().time() < 62
    world.check([batch], simulator.tenant)


async def test_a_round_over_many_actions_costs_a_call_a_page(world: "World", desk_at: DeskAt) -> None:
    number = 1000
    batch = world.add(range(number))
    async with world.tenant(number, page_size=500, pace=Pace(pick_up=(0, 0), work=(15, 25))) as simulator:
        at = MovedClock().now()
        starts, ends = [], []
        for row in range(2, number + 2):
            action = simulator.tenant.start(device(row - 2), f"CHG0042 [bo batch-1/{row}/1]", ORIGIN)
            outcome = CallOutcome(Verdict.SUBMITTED, 201, action.id, "Pending")
            starts.append(Start(batch.key, batch.scope_key, row, 1, at))
            ends.append(End(batch.key, batch.scope_key, row, 1, at, outcome))
        world.journal.commit(starts, [])
        world.journal.commit([], ends)
        view = await follow(desk_at(simulator.url), batch)
    assert view.statuses == {"Succeeded": number}
    assert view.rounds == 2
    assert len(simulator.tenant.calls) == 3 * view.rounds  # two full pages, and one behind them that is empty
    assert view.exit_code is ExitCode.OK


# -- what goes wrong on the way --


@pytest.mark.parametrize("fault", ["500@3-8", "reset@3-8", "html@3-8", "429=3601@3"])
async def test_a_look_that_fails_in_between_is_taken_again_in_the_next_round(
    world: "World", desk_at: DeskAt, fault: str
) -> None:
    async with world.tenant(6, f"actions/{fault}", pace=SLOW) as simulator:
        batch = await submitted(world, simulator, 6)
        view = await follow(desk_at(simulator.url), batch)
    assert (view.exit_code, view.statuses) == (ExitCode.OK, {"Succeeded": 6})
    assert any(text.endswith("The next round tries again.") for text in world.ears.said_so_far)
    world.check([batch], simulator.tenant)


async def test_another_reader_who_takes_long_costs_a_round_and_not_the_following(
    world: "World", desk_at: DeskAt
) -> None:
    async with world.tenant(6, pace=SLOW) as simulator:
        batch = await submitted(world, simulator, 6)
        desk = desk_at(simulator.url)
        following = asyncio.create_task(follow(desk, batch))
        await asyncio.sleep(20)
        with only_process([reading_lock(lock_folder(), SCOPE)], "reading it", 1_795_508_131.0):
            await asyncio.sleep(400)
        view = await following
    assert (view.exit_code, view.statuses) == (ExitCode.OK, {"Succeeded": 6})


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("403", ExitCode.SIGN_IN, "Machine.Read.All"),
        ("405", ExitCode.SIGN_IN, "nothing can be read"),
        ("401", ExitCode.SIGN_IN, "access token"),
        ("500", ExitCode.UNFINISHED, "could not be read"),
        ("foreign-link", ExitCode.REFUSED, "another host"),
    ],
)
async def test_a_tenant_that_cannot_be_followed_at_all_says_so_and_the_report_is_written(
    world: "World", desk_at: DeskAt, fault: str, code: ExitCode, words: str
) -> None:
    async with world.tenant(6, f"actions/{fault}") as simulator:
        batch = await submitted(world, simulator, 6)
        view = await follow(desk_at(simulator.url), batch)
    assert view.halt is not None
    assert (view.exit_code, words in view.halt.reason) == (code, True), view.halt
    assert view.reports[0].exists()
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 6}


async def test_an_action_that_the_list_leaves_out_is_asked_for_by_itself(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(50) as simulator:
        batch = await submitted(world, simulator, 50)
        hide(simulator.tenant, lambda action: action["machineId"] in {device(number) for number in range(30)})
        view = await follow(desk_at(simulator.url), batch)
    assert view.statuses == {"Succeeded": 50}
    singly = [call.action_id for call in simulator.tenant.calls if call.operation == "action"]
    assert len(set(singly)) == 30
    rounds = groupby(simulator.tenant.calls, lambda call: call.operation)
    assert max(len(list(calls)) for operation, calls in rounds if operation == "action") == tracking.STRAGGLERS
    world.check([batch], simulator.tenant)


async def test_a_doubt_is_settled_as_soon_as_the_list_shows_its_action(world: "World", desk_at: DeskAt) -> None:
    batch = world.add(range(7))
    async with world.tenant(7, "500-after@7", list_lag=120.0) as simulator:
        await world.work(batch, simulator.url, look=True)
        assert world.outcomes(batch)[Outcome.IN_DOUBT] == 1
        view = await follow(desk_at(simulator.url), batch)
        assert (view.exit_code, view.statuses) == (ExitCode.OK, {"Succeeded": 7})
    assert world.batch(batch.batch_id).state == "finished"
    world.check([batch], simulator.tenant)


async def test_a_doubt_beyond_the_horizon_is_not_ended_by_who_only_looks(world: "World", desk_at: DeskAt) -> None:
    batch = world.add(range(7))
    async with world.tenant(7, "reset@7") as simulator:
        await world.work(batch, simulator.url, look=True)
        await asyncio.sleep(2 * 3600)
        view = await follow(desk_at(simulator.url), batch)
    assert view.exit_code is ExitCode.UNFINISHED
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 6, Outcome.IN_DOUBT: 1}
    world.check([batch], simulator.tenant)


async def test_without_a_name_the_newest_batch_with_open_actions_is_followed(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(9, "reset@9") as simulator:
        older = await submitted(world, simulator, 3, "older")
        hide(simulator.tenant, lambda action: action["machineId"] in {device(0), device(1), device(2)})
        settled = world.add([3, 4, 5, 6, 7, 8], "settled")
        await world.work(settled, simulator.url)
        [doubt] = settlements.doubts(world.journal, settled.key, MovedClock().now())
        settlements.settle_by_person(world.journal, doubt, ORIGIN, "ann", action_id="", note="")
        await follow(desk_at(simulator.url), settled)
        view = await follow(desk_at(simulator.url))
    assert view.batch.batch_id == older.batch_id
    assert view.exit_code is ExitCode.OK


async def test_two_batches_of_a_tenant_learn_from_one_look(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(6) as simulator:
        one = await submitted(world, simulator, 3, "one")
        two = world.add([3, 4, 5], "two")
        await world.work(two, simulator.url)
        await asyncio.sleep(600)
        await follow(desk_at(simulator.url), one)
    assert settlements.status_counts(world.journal, two.key) == {"Succeeded": 3}
