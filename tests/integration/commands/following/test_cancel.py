"""A batch's own actions are taken back, through the quota and the journal; nobody else's is ever touched."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from batch_offboard.base.errors import ExitCode, GuardError, JournalError, UsageError
from batch_offboard.calls.lookup import look_back
from batch_offboard.calls.shift import Terms
from batch_offboard.cli.screens import following as screens_following
from batch_offboard.commands import cancelling
from batch_offboard.commands.locking import working_alone
from batch_offboard.commands.plans import Reading
from batch_offboard.core.audit import Kind
from batch_offboard.core.quota import QuotaLimits
from batch_offboard.core.tenant import ApiName
from batch_offboard.journal import settlements
from batch_offboard.journal.attempts import End, Start
from batch_offboard.journal.audited import records
from batch_offboard.reports.rows import Outcome
from batch_offboard.simulator import Pace
from tests import commands
from tests.integration.virtual_desk import VirtualDesk, rows_of
from tests.integration.world import ORIGIN, SPEED, MovedClock, Tokens, device

if TYPE_CHECKING:
    from batch_offboard.commands.cancelling import CancelView
    from batch_offboard.core.batches import Batch
    from batch_offboard.simulator import RunningSimulator
    from tests.integration.world import World

pytestmark = pytest.mark.looptime

DeskAt = Callable[..., VirtualDesk]
Interrupted = Callable[..., Awaitable[Any]]

NEVER = Pace(pick_up=(1e6, 1e6))
SMALL = QuotaLimits(per_minute=10, per_hour=60, burst=10)


def agree(_batch: "Batch", _actions: int) -> None:
    """Somebody has typed the number."""


async def take_back(
    desk: VirtualDesk,
    batch: "Batch",
    *rows: int,
    confirm: "Callable[[Batch, int], object]" = agree,
) -> "CancelView":
    reports = [desk.options.cwd / "out.csv"]
    return await commands.cancel(desk, batch.batch_id, frozenset(rows), reports, desk.talk, confirm)


async def submitted(world: "World", simulator: "RunningSimulator", devices: int = 8) -> "Batch":
    """A batch that the tenant has accepted; what was called for it is forgotten."""
    batch = world.add(range(devices))
    assert await world.work(batch, simulator.url) is None
    simulator.tenant.calls.clear()
    return batch


def cancelled(simulator: "RunningSimulator") -> list[str]:
    """The devices whose actions were called to be cancelled, in order; a refused call does not tell its own."""
    machines = {action.id: action.machine_id for action in simulator.tenant.actions.values()}
    calls = [call for call in simulator.tenant.calls if call.operation == "cancel"]
    return [machines[call.path.split("/")[3]] for call in calls]


async def test_all_open_actions_of_a_batch_are_cancelled_and_reported_so(world: "World", desk_at: DeskAt) -> None:
    asked = []
    async with world.tenant(8, pace=NEVER) as simulator:
        batch = world.add(range(8))
        await world.work(batch, simulator.url)
        desk = desk_at(simulator.url)
        view = await take_back(desk, batch, confirm=lambda _batch, actions: asked.append(actions))
        world.check([batch], simulator.tenant)
    assert asked == [8]
    assert (view.exit_code, view.asked, view.cancelled, view.refused) == (ExitCode.OK, 8, 8, {})
    assert sorted(cancelled(simulator)) == sorted(device(number) for number in range(8))
    comments = {call.comment for call in simulator.tenant.calls if call.operation == "cancel"}
    assert comments == {"CHG0042"}
    for row in world.report(batch):
        action = simulator.tenant.actions[row.machine_action_id]
        assert (row.outcome, row.action_status) == (Outcome.CANCELLED, "Cancelled")
        assert action.cancellation is not None
        assert row.finished_at == pytest.approx(action.cancellation.at, abs=0.3)
    assert view.reports[0].read_text(encoding="utf-8-sig").count(",cancelled,") == 8


async def test_only_the_rows_that_were_named_are_cancelled(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(8, pace=NEVER) as simulator:
        batch = await submitted(world, simulator)
        view = await take_back(desk_at(simulator.url), batch, 3, 9)
    assert (view.exit_code, view.asked, view.cancelled) == (ExitCode.OK, 2, 2)
    assert sorted(cancelled(simulator)) == sorted([device(1), device(7)])
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 6, Outcome.CANCELLED: 2}


async def test_a_row_that_the_batch_does_not_have_refuses_the_whole_cancellation(
    world: "World", desk_at: DeskAt
) -> None:
    async with world.tenant(8, pace=NEVER) as simulator:
        batch = await submitted(world, simulator)
        with pytest.raises(UsageError, match=r"has no rows 1, 9999 \(--row\); nothing was cancelled"):
            await take_back(desk_at(simulator.url), batch, 3, 9999, 1)
    assert cancelled(simulator) == []
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 8}


async def test_a_row_without_an_open_action_is_named_and_keeps_no_other_from_being_cancelled(
    world: "World", desk_at: DeskAt
) -> None:
    async with world.tenant(7, pace=NEVER) as simulator:
        batch = await submitted(world, simulator)  # the eighth device is not in the tenant, and failed
        view = await take_back(desk_at(simulator.url), batch, 3, 9)
    assert (view.exit_code, view.asked, view.cancelled) == (ExitCode.ROWS_FAILED, 2, 1)
    assert view.refused == {9: cancelling.NOT_OPEN}
    assert cancelled(simulator) == [device(1)]


async def test_actions_that_are_final_or_of_others_or_of_other_batches_are_never_touched(
    world: "World", desk_at: DeskAt
) -> None:
    async with world.tenant(9, pace=NEVER) as simulator:
        tenant = simulator.tenant
        theirs = tenant.start(device(6), "leaver", ORIGIN, requestor="ann@contoso.example")
        batch = world.add(range(7), looked_up_at=ORIGIN)
        await world.work(batch, simulator.url, look=True)
        other = world.add([7, 8], "another")
        await world.work(other, simulator.url)
        [early] = [each for each in tenant.actions.values() if each.machine_id == device(0)]
        early.course = replace(early.course, picked_up=ORIGIN, ended=ORIGIN + 1)
        assert world.report(batch)[6].machine_action_id == theirs.id
        tenant.calls.clear()
        view = await take_back(desk_at(simulator.url), batch)
    assert (view.asked, view.cancelled) == (5, 5)
    assert sorted(cancelled(simulator)) == sorted(device(number) for number in range(1, 6))
    assert theirs.is_open(ORIGIN + 60)
    assert world.outcomes(batch) == {Outcome.CANCELLED: 5, Outcome.SUBMITTED: 2}
    assert world.outcomes(other) == {Outcome.SUBMITTED: 2}


async def test_nothing_is_sent_before_somebody_agrees(world: "World", desk_at: DeskAt) -> None:
    def refuse(_batch: "Batch", _actions: int) -> None:
        raise GuardError("Not confirmed; nothing was sent.")

    async with world.tenant(6, pace=NEVER) as simulator:
        batch = await submitted(world, simulator, 6)
        with pytest.raises(GuardError):
            await take_back(desk_at(simulator.url), batch, confirm=refuse)
        assert cancelled(simulator) == []
        await take_back(desk_at(simulator.url), batch)
        with pytest.raises(UsageError, match="nothing to cancel: no action of its own is open"):
            await take_back(desk_at(simulator.url), batch)
    assert len(cancelled(simulator)) == 6


async def test_an_action_that_was_final_before_the_call_came_is_told_and_stands(
    world: "World", desk_at: DeskAt
) -> None:
    async with world.tenant(8, pace=NEVER) as simulator:
        batch = await submitted(world, simulator)

        def meanwhile(_batch: "Batch", _actions: int) -> None:
            [late] = [each for each in simulator.tenant.actions.values() if each.machine_id == device(2)]
            late.course = replace(late.course, picked_up=ORIGIN, ended=ORIGIN + 1)

        view = await take_back(desk_at(simulator.url), batch, confirm=meanwhile)
    assert (view.exit_code, view.cancelled) == (ExitCode.ROWS_FAILED, 7)
    assert list(view.refused) == [4]
    assert "cannot be cancelled: Succeeded" in view.refused[4]
    row = world.report(batch)[2]
    assert (row.outcome, row.action_status) == (Outcome.SUBMITTED, "Succeeded")


@pytest.mark.parametrize("fault", ["500-after", "reset-after", "hang-after", "cut", "no-id", "202", "html-after"])
async def test_an_unclear_answer_to_a_cancellation_that_was_taken_is_settled_by_the_list(
    world: "World", desk_at: DeskAt, fault: str
) -> None:
    async with world.tenant(8, f"cancel/{fault}@6", pace=NEVER) as simulator:
        batch = await submitted(world, simulator)
        view = await take_back(desk_at(simulator.url), batch)
    assert (view.exit_code, view.cancelled) == (ExitCode.OK, 8)
    assert world.outcomes(batch) == {Outcome.CANCELLED: 8}
    assert len(cancelled(simulator)) == 8


async def test_a_cancellation_that_was_lost_can_be_asked_for_again(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(8, "cancel/reset@6", pace=NEVER) as simulator:
        batch = await submitted(world, simulator)
        view = await take_back(desk_at(simulator.url), batch)
        assert (view.exit_code, view.cancelled, list(view.refused)) == (ExitCode.ROWS_FAILED, 7, [7])
        assert "NoAnswer" in view.refused[7]
        view = await take_back(desk_at(simulator.url), batch)
    assert (view.exit_code, view.asked, view.cancelled) == (ExitCode.OK, 1, 1)
    assert [each.number for each in world.calls("cancel") if each.row == 7] == [1, 2]
    assert world.outcomes(batch) == {Outcome.CANCELLED: 8}


async def test_cancellations_have_windows_of_their_own(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(25, per_minute=10, per_hour=60, pace=NEVER) as simulator:
        batch = world.add(range(25))
        await world.work(batch, simulator.url, limits=SMALL)
        began = asyncio.get_running_loop().time()
        view = await take_back(desk_at(simulator.url, limits=SMALL), batch)
        world.check([batch], simulator.tenant, limits=SMALL)
    assert view.cancelled == 25
    assert 120 <= asyncio.get_running_loop().time() - began <= 180
    assert {call.status for call in simulator.tenant.calls} == {201, 200}


async def test_who_cancels_next_goes_on_with_the_windows(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(20, per_minute=10, per_hour=60, pace=NEVER) as simulator:
        batch = world.add(range(20))
        await world.work(batch, simulator.url, limits=SMALL)
        for rows in (range(2, 9), range(9, 22)):
            view = await take_back(desk_at(simulator.url, limits=SMALL), batch, *rows)
            assert view.exit_code is ExitCode.OK
        world.check([batch], simulator.tenant, limits=SMALL)
    assert 429 not in {call.status for call in simulator.tenant.calls}


async def test_ctrl_c_leaves_what_was_not_cancelled_as_it_was(
    world: "World", desk_at: DeskAt, interrupted: Interrupted
) -> None:
    async with world.tenant(20, pace=NEVER, latency=(1.0, 2.0)) as simulator:
        batch = world.add(range(20))
        await world.work(batch, simulator.url)
        moment = asyncio.get_running_loop().time() + 9.0
        view = await interrupted(take_back(desk_at(simulator.url), batch), moment)
        world.check([batch], simulator.tenant)
    done = len(cancelled(simulator))
    assert 0 < done < 20
    assert (view.exit_code, view.cancelled) == (ExitCode.UNFINISHED, done)
    assert view.halt.reason == "SIGINT was received; no further actions were cancelled."
    assert world.outcomes(batch) == {Outcome.CANCELLED: done, Outcome.SUBMITTED: 20 - done}
    assert view.reports[0].exists()


async def test_two_signals_give_up_calls_in_flight_and_the_list_tells_what_became_of_them(
    world: "World", desk_at: DeskAt, interrupted: Interrupted
) -> None:
    async with world.tenant(20, "cancel/hang-after@7-", pace=NEVER) as simulator:
        batch = world.add(range(20))
        await world.work(batch, simulator.url)
        moment = asyncio.get_running_loop().time() + 15.0
        view = await interrupted(take_back(desk_at(simulator.url), batch), moment, moment + 1)
        world.check([batch], simulator.tenant)
    done = len(cancelled(simulator))
    assert asyncio.get_running_loop().time() < moment + 5
    assert view.exit_code is ExitCode.UNFINISHED
    assert world.outcomes(batch) == {Outcome.CANCELLED: done, Outcome.SUBMITTED: 20 - done}


@pytest.mark.parametrize(
    ("fault", "code", "words", "taken"),
    [
        ("403", ExitCode.SIGN_IN, "Machine.Offboard", 0),
        ("401", ExitCode.SIGN_IN, "access token", 0),
        ("500@3-", ExitCode.UNFINISHED, "The last 20 answers were unclear", 2),
    ],
)
async def test_a_service_that_takes_no_cancellations_stops_them(
    world: "World", desk_at: DeskAt, fault: str, code: ExitCode, words: str, taken: int
) -> None:
    async with world.tenant(40, f"cancel/{fault}", pace=NEVER) as simulator:
        batch = await submitted(world, simulator, 40)
        view = await take_back(desk_at(simulator.url), batch)
    assert view.halt is not None
    assert (view.exit_code, words in view.halt.reason, view.cancelled) == (code, True, taken), view
    assert "resume" not in screens_following.cancel_text(view)
    assert len(cancelled(simulator)) <= taken + 20 + 7
    assert world.outcomes(batch).get(Outcome.CANCELLED, 0) == taken


@pytest.mark.parametrize(
    ("faults", "refused"),
    [
        (["404@1"], 1),
        (["404@1-5"], 5),
        (["500@2"], 1),
        (["no-reply-close@1-3"], 3),
        (["403=DisallowedOperation@1"], 1),
        (["404@1-"], 40),
        (["404:0.4", "500:0.2"], None),
    ],
)
async def test_one_refused_cancellation_keeps_no_other_from_being_taken(
    world: "World", desk_at: DeskAt, faults: list[str], refused: int | None
) -> None:
    async with world.tenant(40, *(f"cancel/{fault}" for fault in faults), pace=NEVER) as simulator:
        batch = await submitted(world, simulator, 40)
        view = await take_back(desk_at(simulator.url), batch)
        world.check([batch], simulator.tenant)
    assert view.halt is None
    assert len(cancelled(simulator)) + sum(call.status == 404 for call in simulator.tenant.calls) >= 40
    assert refused is None or len(view.refused) == refused
    assert (view.exit_code, view.cancelled, view.still_open) == (
        ExitCode.ROWS_FAILED,
        40 - len(view.refused),
        len(view.refused),
    )
    text = screens_following.cancel_text(view)
    assert "batch-offboard cancel batch-1 (asks for the " in text
    assert "resume" not in text


async def test_whoever_follows_every_advice_after_a_cancellation_offboards_nothing(
    world: "World", desk_at: DeskAt, interrupted: Interrupted
) -> None:
    """A batch that was stopped on the way, and is taken back: nobody tells to send the rest, and nothing does."""
    async with world.tenant(40, "cancel/404@1", pace=NEVER, latency=(0.5, 0.5)) as simulator:
        batch = world.add(range(40))
        await interrupted(world.work(batch, simulator.url, terms=Terms(SPEED, attended=False)), 6.0)
        sent = len(simulator.tenant.actions)
        assert 5 < sent < 40
        assert not world.batch("batch-1").needs_person
        desk = desk_at(simulator.url)
        view = await take_back(desk, batch)
        assert view.cancelled == sent - 1
        assert "resume" not in screens_following.cancel_text(view)
        held = world.batch("batch-1")
        assert (held.needs_person, held.why_it_waits) == (True, cancelling.WHY_HELD)
        view = await take_back(desk, batch)
    assert view.exit_code is ExitCode.OK
    assert len(simulator.tenant.actions) == sent
    assert world.outcomes(batch) == {Outcome.CANCELLED: sent, Outcome.PENDING: 40 - sent}


async def test_rows_that_are_taken_back_by_name_hold_no_batch(
    world: "World", desk_at: DeskAt, interrupted: Interrupted
) -> None:
    async with world.tenant(40, pace=NEVER, latency=(0.5, 0.5)) as simulator:
        batch = world.add(range(40))
        await interrupted(world.work(batch, simulator.url, terms=Terms(SPEED, attended=False)), 6.0)
        await take_back(desk_at(simulator.url), batch, 2)
    assert not world.batch("batch-1").needs_person


async def test_a_cancellation_that_an_error_ends_has_its_end_in_the_audit_record(
    world: "World", desk_at: DeskAt
) -> None:
    async with world.tenant(6, pace=NEVER) as simulator:
        batch = await submitted(world, simulator, 6)
        desk = desk_at(simulator.url)
        honest = world.journal.commit

        def commit(starts: "Sequence[Start]", ends: "Sequence[End]") -> None:
            raise JournalError("The disk is full.")

        world.journal.commit = commit  # type: ignore[method-assign]
        with pytest.raises(JournalError):
            await take_back(desk, batch)
        world.journal.commit = honest  # type: ignore[method-assign]
    events = [json.loads(each.content) for each in records(world.journal) if each.kind in (Kind.STARTED, Kind.ENDED)]
    of_cancel = [each for each in events if each["command"] == "cancel"]
    assert len(of_cancel) == 2
    assert of_cancel[1]["reason"] == "The disk is full."


async def test_a_429_is_waited_for_and_a_401_renews_the_token(world: "World", desk_at: DeskAt) -> None:
    tokens = Tokens("canary-token", "canary-token-new")
    async with world.tenant(8, "cancel/429=100@3", "cancel/401@6", pace=NEVER) as simulator:
        batch = world.add(range(8))
        await world.work(batch, simulator.url)
        began = asyncio.get_running_loop().time()
        view = await take_back(desk_at(simulator.url, tokens=tokens), batch)
        world.check([batch], simulator.tenant)
    assert view.cancelled == 8
    assert tokens.renewals == 1
    assert asyncio.get_running_loop().time() - began >= 100


@pytest.mark.fault(11, "The action's status is read before anything is called again.")
@pytest.mark.parametrize("taken", [True, False])
async def test_a_cancellation_that_a_kill_cut_off_is_looked_up_before_it_is_called_again(
    world: "World", desk_at: DeskAt, taken: bool
) -> None:
    async with world.tenant(6, pace=NEVER) as simulator:
        batch = await submitted(world, simulator, 6)
        now = MovedClock().now()
        world.journal.commit([Start(batch.key, batch.scope_key, 4, 1, now, ApiName.CANCEL)], [])
        [action] = [each for each in simulator.tenant.actions.values() if each.machine_id == device(2)]
        if taken:
            simulator.tenant.cancel(action.id, "CHG0042", now.wall)
        view = await take_back(desk_at(simulator.url), batch)
    assert (view.exit_code, view.asked) == (ExitCode.OK, 5 if taken else 6)
    assert cancelled(simulator).count(device(2)) == (0 if taken else 1)
    assert world.outcomes(batch) == {Outcome.CANCELLED: 6}
    assert all(each.verdict for each in world.calls("cancel"))


@pytest.mark.parametrize("fault", ["actions/403", "actions/405", "actions/500", "actions/429=3601"])
async def test_actions_are_cancelled_where_the_tenant_cannot_be_read(
    world: "World", desk_at: DeskAt, fault: str
) -> None:
    async with world.tenant(6, fault, pace=NEVER) as simulator:
        batch = await submitted(world, simulator, 6)
        view = await take_back(desk_at(simulator.url), batch)
    assert (view.exit_code, view.cancelled) == (ExitCode.OK, 6)
    assert any("The actions' statuses are not known" in text for text in world.ears.said_so_far)


@pytest.mark.parametrize("fault", ["foreign-link@3-", "500@3-", "401@3-"])
async def test_a_last_look_that_cannot_be_taken_takes_nothing_from_the_report(
    world: "World", desk_at: DeskAt, fault: str
) -> None:
    async with world.tenant(6, f"actions/{fault}", pace=NEVER) as simulator:
        batch = await submitted(world, simulator, 6)
        view = await take_back(desk_at(simulator.url), batch)
    assert (view.exit_code, view.cancelled) == (ExitCode.OK, 6)
    assert view.reports[0].read_text(encoding="utf-8-sig").count(",cancelled,") == 6


async def test_a_device_whose_action_was_cancelled_can_be_planned_again(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(6, pace=NEVER) as simulator:
        batch = await submitted(world, simulator, 6)
        desk = desk_at(simulator.url)
        await take_back(desk, batch, 2, 3)
        sheet = rows_of(desk.options.cwd / "again.csv", [[device(number), ""] for number in range(6)])
        again = await commands.run_sheet(desk, sheet, Reading(), [], desk.talk)
    assert [row.outcome for row in world.report(again.batch)] == [Outcome.SUBMITTED] * 2 + [Outcome.SKIPPED] * 4
    open_now = settlements.own_open_actions(world.journal, again.batch.key)
    assert [each.row for each in open_now] == [2, 3]


async def test_a_run_at_work_on_the_tenant_is_not_disturbed(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(6, pace=NEVER) as simulator:
        batch = await submitted(world, simulator, 6)
        desk, another = desk_at(simulator.url), desk_at(simulator.url)
        with working_alone(another, batch), pytest.raises(Exception, match="Already at work on this tenant"):
            await take_back(desk, batch)
    assert cancelled(simulator) == []


async def test_somebody_who_follows_meanwhile_may_learn_of_a_cancellation_before_its_own_answer_comes(
    world: "World", desk_at: DeskAt
) -> None:
    async with world.tenant(8, "cancel/slow=0.02@6", pace=NEVER, latency=(0.0, 0.0)) as simulator:
        batch = await submitted(world, simulator)
        taking_back = asyncio.create_task(take_back(desk_at(simulator.url), batch))
        await asyncio.sleep(8)
        async with world.tenancy(simulator.url) as tenancy:
            await look_back(tenancy, world.batch(batch.batch_id), resend=False, open_only=True)
        assert world.outcomes(batch)[Outcome.CANCELLED] >= 6
        assert len(world.calls("cancel")) - sum(bool(each.verdict) for each in world.calls("cancel")) >= 1
        view = await taking_back
    assert (view.exit_code, view.cancelled, view.refused) == (ExitCode.OK, 8, {})
    assert {each.verdict for each in world.calls("cancel")} == {"cancelled"}
    assert world.outcomes(batch) == {Outcome.CANCELLED: 8}


# -- while a person thinks --


async def test_nobody_is_kept_from_work_while_a_person_is_asked(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(6, pace=NEVER) as simulator:
        batch = await submitted(world, simulator, 6)
        desk, other = desk_at(simulator.url), desk_at(simulator.url)

        def works_meanwhile(_batch: "Batch", _actions: int) -> None:
            with working_alone(other, batch):
                pass

        view = await take_back(desk, batch, confirm=works_meanwhile)
    assert (view.exit_code, view.cancelled) == (ExitCode.OK, 6)


async def test_what_was_cancelled_while_a_person_was_asked_is_not_called_again(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(6, pace=NEVER) as simulator:
        batch = await submitted(world, simulator, 6)
        desk, other = desk_at(simulator.url), desk_at(simulator.url)

        async def takes_some_back(_batch: "Batch", _actions: int) -> None:
            await commands.cancel(other, batch.batch_id, frozenset({2, 3}), [], other.talk, agree)

        view = await take_back(desk, batch, confirm=takes_some_back)
    assert (view.exit_code, view.asked, view.cancelled) == (ExitCode.OK, 6, 6)
    assert sorted(cancelled(simulator)) == sorted(device(number) for number in range(6))


async def test_an_action_that_was_made_while_a_person_was_asked_is_left_alone(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(6, "400=BadRequest@6", pace=NEVER) as simulator:
        batch = world.add(range(6))
        await world.work(batch, simulator.url)
        desk, other = desk_at(simulator.url), desk_at(simulator.url)

        async def sends_the_rest(_batch: "Batch", _actions: int) -> None:
            await commands.retry(other, batch.batch_id, [], other.talk)

        view = await take_back(desk, batch, confirm=sends_the_rest)
        open_now = settlements.own_open_actions(world.journal, batch.key)
    assert (view.exit_code, view.cancelled) == (ExitCode.OK, 5)
    assert [action.row for action in open_now] == [7]
