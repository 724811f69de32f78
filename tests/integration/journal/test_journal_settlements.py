"""What the journal learns after the calls: doubts settled, actions followed, cancellations and reads kept."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from batch_offboard.base.clock import Moment
from batch_offboard.base.errors import JournalError
from batch_offboard.core.batches import Batch, tenant_of
from batch_offboard.core.jobs import CallOutcome, JobState, Verdict
from batch_offboard.core.settling import Doubt, Found
from batch_offboard.core.tenant import ApiName, MachineAction
from batch_offboard.journal import reading, settlements
from batch_offboard.journal.attempts import End, ReadEnd, Start
from batch_offboard.journal.lives import life_of
from batch_offboard.journal.schema import jobs, tenants
from batch_offboard.journal.store import Journal
from batch_offboard.reports.lives import Settlement
from batch_offboard.reports.rows import Outcome, ReportRow
from tests.integration.world import ORIGIN, SCOPE, World, device

ACCEPTED = CallOutcome(Verdict.SUBMITTED, 201, "action-2", "Pending")
DOUBTFUL = CallOutcome(Verdict.IN_DOUBT, 500, code="InternalServerError", message="The server failed.")
REFUSED = CallOutcome(Verdict.FAILED, 404, code="ResourceNotFound", message="no such device")
CANCELLED = CallOutcome(Verdict.CANCELLED, 200, "action-2", "Cancelled")
ANSWERED = CallOutcome(Verdict.ANSWERED, 200)


def at(seconds: float) -> Moment:
    return Moment(ORIGIN + seconds, 1000 + seconds, "boot-1")


def action(number: int, status: str = "Pending", updated: float = 50.0, **facts: object) -> MachineAction:
    """The machine action of the device in row `number`."""
    made = MachineAction(
        id=f"action-{number}",
        status=status,
        machine_id=device(number - 2),
        comment=f"CHG0042 [bo batch-1/{number}/1]",
        requestor="offboarding-batch",
        created=ORIGIN + 1.5,
        updated=ORIGIN + updated,
    )
    return replace(made, **facts)  # type: ignore[arg-type]  # the caller names its fields


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    journal = Journal(tmp_path / "journal.db", create=True)
    yield World(journal)
    journal.close()


@pytest.fixture
def batch(world: World) -> Batch:
    """Row 2 was accepted, row 3 is in doubt, row 4 was refused, row 5 was not sent."""
    made = world.add(range(4))
    for number, outcome in ((2, ACCEPTED), (3, DOUBTFUL), (4, REFUSED)):
        call(world, made, number, outcome)
    return made


def call(
    world: World,
    batch: Batch,
    number: int,
    outcome: CallOutcome,
    attempt: int = 1,
    api: ApiName = ApiName.OFFBOARD,
) -> None:
    key, scope = batch.key, batch.scope_key
    world.journal.commit([Start(key, scope, number, attempt, at(1), api)], [])
    world.journal.commit([], [End(key, scope, number, attempt, at(2), outcome, api=api)])


def doubt_of(world: World, batch: Batch) -> Doubt:
    [doubt] = settlements.doubts(world.journal, batch.key, at(100))
    return doubt


def row(world: World, batch: Batch, number: int) -> ReportRow:
    return world.report(batch)[number - 2]


def settled(world: World, batch: Batch, number: int) -> list[Settlement]:
    life = life_of(world.journal, batch.key, number)
    assert life is not None
    return list(life.settlements)


def tenant_key(world: World, scope: str = SCOPE) -> int:
    with world.journal.reading() as connection:
        name = tenant_of(scope)
        return int(connection.execute(select(tenants.c.id).where(tenants.c.name == name)).scalar_one())


# -- what the tables refuse --


@pytest.mark.parametrize(
    ("number", "change"),
    [
        (2, {"settled": "nobody"}),
        (2, {"action_id": ""}),
        (2, {"action_id": "", "settled": "list"}),
        (3, {"cancels": 1}),
        (3, {"state": "submitted", "finished_at": 1.0}),
        (2, {"own_action": None}),
        (2, {"state": "cancelled", "finished_at": None}),
    ],
)
def test_the_tables_refuse_what_nobody_can_have_learned(
    world: World, batch: Batch, number: int, change: dict[str, object]
) -> None:
    before = world.report(batch)
    with pytest.raises((IntegrityError, JournalError)), world.journal.writing() as connection:
        connection.execute(update(jobs).where(jobs.c.row == number).values(**change))
    assert world.report(batch) == before


def test_a_person_may_accept_without_an_action_and_only_a_person(world: World, batch: Batch) -> None:
    with world.journal.writing() as connection:
        connection.execute(update(jobs).where(jobs.c.row == 2).values(action_id="", settled="person"))
    assert row(world, batch, 2).machine_action_id == ""


# -- doubts --


def test_a_doubt_tells_its_last_call_and_how_long_that_is_ago(world: World, batch: Batch) -> None:
    doubt = doubt_of(world, batch)
    assert doubt == Doubt(batch.key, "batch-1", 3, device(1), 1, ORIGIN + 1, 98.0, resent=False)
    [on_another_clock] = settlements.doubts(world.journal, batch.key, Moment(ORIGIN - 1e6, 5.0, "boot-1"))
    assert on_another_clock.gone_by == 0.0


@pytest.mark.parametrize("ours", [True, False])
def test_a_found_action_settles_its_doubt_once(world: World, batch: Batch, ours: bool) -> None:
    found = Found(doubt_of(world, batch), action(3, "InProgress"), ours)
    assert settlements.accept_found(world.journal, [found, found], ORIGIN + 60) == 1
    assert settlements.accept_found(world.journal, [found], ORIGIN + 70) == 0
    told = row(world, batch, 3)
    assert (told.outcome, told.machine_action_id, told.action_status) == (Outcome.SUBMITTED, "action-3", "InProgress")
    assert (told.submitted_at, told.finished_at) == (ORIGIN + 1.5, ORIGIN + 60)
    assert ("counts for this row" in told.error_message) is not ours
    assert len(settled(world, batch, 3)) == 1
    owned = [each.row for each in settlements.own_open_actions(world.journal, batch.key)]
    assert owned == ([2, 3] if ours else [2])


@pytest.mark.parametrize("number", [2, 4, 5])
def test_only_a_row_in_doubt_can_be_settled(world: World, batch: Batch, number: int) -> None:
    before = world.report(batch)
    doubt = replace(doubt_of(world, batch), row=number, device_id=device(number - 2))
    assert settlements.accept_found(world.journal, [Found(doubt, action(number), ours=True)], ORIGIN) == 0
    assert settlements.send_again(world.journal, [doubt], ORIGIN) == 0
    assert not settlements.settle_by_person(world.journal, doubt, ORIGIN, "ann", action_id="x", note="")
    assert not settlements.settle_by_person(world.journal, doubt, ORIGIN, "ann", action_id=None, note="")
    assert world.report(batch) == before
    assert settled(world, batch, number) == []


def test_one_settlement_that_comes_too_late_takes_no_other_with_it(world: World) -> None:
    batch = world.add(range(2))
    for number in (2, 3):
        call(world, batch, number, DOUBTFUL)
    first, second = settlements.doubts(world.journal, batch.key, at(9))
    settlements.settle_by_person(world.journal, first, ORIGIN, "ann", action_id=None, note="")
    found = [Found(first, action(2), ours=True), Found(second, action(3), ours=True)]
    assert settlements.accept_found(world.journal, found, ORIGIN) == 1
    assert world.outcomes(batch) == {Outcome.PENDING: 1, Outcome.SUBMITTED: 1}


def test_a_doubt_that_the_list_ended_is_sent_again_and_remembers_it(world: World, batch: Batch) -> None:
    assert settlements.send_again(world.journal, [doubt_of(world, batch)], ORIGIN) == 1
    assert [job.row for job in world.journal.pending(batch.key, -1, 9)] == [3, 5]
    call(world, batch, 3, DOUBTFUL, attempt=2)
    again = doubt_of(world, batch)
    assert (again.attempt, again.resent) == (2, True)


@pytest.mark.parametrize("resent", [False, True])
def test_a_persons_no_leaves_the_lists_second_call_as_it_was(world: World, batch: Batch, resent: bool) -> None:
    if resent:
        settlements.send_again(world.journal, [doubt_of(world, batch)], ORIGIN)
        call(world, batch, 3, DOUBTFUL, attempt=2)
    settlements.settle_by_person(world.journal, doubt_of(world, batch), ORIGIN, "ann", action_id=None, note="no")
    call(world, batch, 3, DOUBTFUL, attempt=3 if resent else 2)
    assert doubt_of(world, batch).resent is resent


def test_the_actions_that_prove_a_list_are_our_own_and_the_latest(world: World, batch: Batch) -> None:
    settlements.accept_found(world.journal, [Found(doubt_of(world, batch), action(3), ours=False)], ORIGIN)
    assert settlements.known_actions(world.journal, batch.scope_key) == {"action-2"}
    assert settlements.known_actions(world.journal, batch.scope_key + 1) == set()


@pytest.mark.parametrize(
    ("state", "number", "after"), [("stopped", 1, "finished"), ("stopped", 2, "stopped"), ("running", 1, "running")]
)
def test_a_batch_is_finished_by_its_last_doubt_unless_somebody_works_on_it(
    world: World, state: str, number: int, after: str
) -> None:
    batch = world.add(range(number))
    world.journal.prepare(batch.key, batch.scope_key, at(0))
    call(world, batch, 2, DOUBTFUL)
    if state == "stopped":
        world.journal.end_batch(batch.key, at(3), "halted")
    settlements.accept_found(world.journal, [Found(doubt_of(world, batch), action(2), ours=True)], ORIGIN)
    settlements.finish_settled(world.journal, batch.key)
    assert world.batch("batch-1").state == after


# -- actions that are followed --


def test_what_the_tenant_says_of_an_action_is_kept_once(world: World, batch: Batch) -> None:
    said = [action(2, "InProgress"), action(9, "Failed"), action(2, "", id="action-2")]
    assert settlements.note_actions(world.journal, tenant_key(world), said[:2], ORIGIN) == 1
    assert settlements.note_actions(world.journal, tenant_key(world), said, ORIGIN) == 0
    told = row(world, batch, 2)
    assert (told.outcome, told.action_status, told.finished_at) == (Outcome.SUBMITTED, "InProgress", ORIGIN + 2)
    assert settlements.note_actions(world.journal, tenant_key(world), [action(2, "Succeeded", 70.0)], ORIGIN) == 1
    told = row(world, batch, 2)
    assert (told.action_status, told.finished_at) == ("Succeeded", ORIGIN + 70)


@pytest.mark.parametrize("end", ["Succeeded", "Failed", "TimeOut", "Cancelled"])
def test_a_list_that_is_behind_does_not_open_a_final_action_again(world: World, batch: Batch, end: str) -> None:
    settlements.note_actions(world.journal, tenant_key(world), [action(2, end, 70.0)], ORIGIN)
    before = world.report(batch)
    assert settlements.note_actions(world.journal, tenant_key(world), [action(2, "Pending", 80.0)], ORIGIN) == 0
    assert world.report(batch) == before
    assert settlements.open_actions(world.journal, batch.key) == {}


def test_another_tenants_action_of_the_same_id_says_nothing(world: World, batch: Batch) -> None:
    elsewhere = world.add([0], "elsewhere", scope="another tenant/application")
    call(world, elsewhere, 2, ACCEPTED)
    other = tenant_key(world, "another tenant/application")
    assert settlements.note_actions(world.journal, other, [action(2, "Succeeded")], ORIGIN) == 1
    assert (row(world, batch, 2).action_status, row(world, elsewhere, 2).action_status) == ("Pending", "Succeeded")


def test_a_failed_action_tells_why_and_one_that_succeeded_keeps_its_words(world: World, batch: Batch) -> None:
    settlements.note_actions(world.journal, tenant_key(world), [action(2, "Failed", error="0x80070005 denied")], ORIGIN)
    assert row(world, batch, 2).error_message == "The device reports 0x80070005 denied."


def test_an_unknown_word_is_kept_as_it_is_and_is_not_final(world: World, batch: Batch) -> None:
    settlements.note_actions(world.journal, tenant_key(world), [action(2, "Quarantined")], ORIGIN)
    assert row(world, batch, 2).action_status == "Quarantined"
    assert settlements.open_actions(world.journal, batch.key) == {"action-2": ORIGIN + 2}
    assert settlements.status_counts(world.journal, batch.key) == {"Quarantined": 1}


# -- cancellations --


@pytest.mark.parametrize("number", [3, 4, 5])
def test_no_cancellation_is_begun_for_a_row_without_an_action_of_its_own(
    world: World, batch: Batch, number: int
) -> None:
    with pytest.raises(JournalError):
        call(world, batch, number, CANCELLED, api=ApiName.CANCEL)
    assert world.calls("cancel") == []


def test_no_cancellation_is_begun_for_somebody_elses_action(world: World, batch: Batch) -> None:
    settlements.accept_found(world.journal, [Found(doubt_of(world, batch), action(3), ours=False)], ORIGIN)
    with pytest.raises(JournalError):
        call(world, batch, 3, CANCELLED, api=ApiName.CANCEL)


def test_a_cancellation_keeps_the_offboard_call_and_its_own_number(world: World, batch: Batch) -> None:
    call(world, batch, 2, CallOutcome(Verdict.IN_DOUBT, 500), api=ApiName.CANCEL)
    assert row(world, batch, 2).outcome is Outcome.SUBMITTED
    with pytest.raises(JournalError):
        call(world, batch, 2, CANCELLED, api=ApiName.CANCEL)
    call(world, batch, 2, CANCELLED, attempt=2, api=ApiName.CANCEL)
    told = row(world, batch, 2)
    assert (told.outcome, told.action_status, told.attempts) == (Outcome.CANCELLED, "Cancelled", 1)
    assert settlements.cancelled_rows(world.journal, batch.key) == {2}
    assert [(each.number, each.verdict) for each in world.calls("cancel")] == [(1, "in_doubt"), (2, "cancelled")]


@pytest.mark.parametrize(("asked", "outcome"), [(True, Outcome.CANCELLED), (False, Outcome.SUBMITTED)])
def test_an_action_that_turns_out_cancelled_is_cancelled_by_us_only_if_we_asked(
    world: World, batch: Batch, asked: bool, outcome: Outcome
) -> None:
    if asked:
        call(world, batch, 2, CallOutcome(Verdict.IN_DOUBT, 500), api=ApiName.CANCEL)
    settlements.note_actions(world.journal, tenant_key(world), [action(2, "cancelled", 70.0)], ORIGIN)
    told = row(world, batch, 2)
    assert (told.outcome, told.action_status, told.finished_at) == (outcome, "cancelled", ORIGIN + 70)


@pytest.mark.parametrize("answer", [CANCELLED, ANSWERED, CallOutcome(Verdict.IN_DOUBT, 500)])
def test_a_cancellation_that_was_seen_to_come_true_stays_so_whatever_its_answer_says(
    world: World, batch: Batch, answer: CallOutcome
) -> None:
    key, scope = batch.key, batch.scope_key
    world.journal.commit([Start(key, scope, 2, 1, at(1), ApiName.CANCEL)], [])
    settlements.note_actions(world.journal, tenant_key(world), [action(2, "Cancelled", 70.0)], ORIGIN)
    world.journal.commit([], [End(key, scope, 2, 1, at(99), answer, api=ApiName.CANCEL)])
    told = row(world, batch, 2)
    assert (told.outcome, told.action_status, told.finished_at) == (Outcome.CANCELLED, "Cancelled", ORIGIN + 70)


def test_a_cancelled_device_is_free_for_another_batch(world: World, batch: Batch) -> None:
    call(world, batch, 2, CANCELLED, api=ApiName.CANCEL)
    assert device(0) not in reading.known_devices(world.journal, tenant_of(SCOPE)).devices
    again = world.add([0], "again")
    world.journal.prepare(again.key, again.scope_key, at(9))
    assert reading.count(world.journal, again.key).of(JobState.PENDING) == 1


# -- reads --


def test_a_read_has_an_end_once_and_a_quota_of_its_own(world: World, batch: Batch) -> None:
    scope = batch.scope_key
    read = world.journal.begin_read(scope, at(5))
    throttled = CallOutcome(Verdict.THROTTLED, 429, retry_after=30.0)
    world.journal.end_read(ReadEnd(read, scope, at(6), throttled, slower=True))
    with pytest.raises(JournalError):
        world.journal.end_read(ReadEnd(read, scope, at(7), ANSWERED))
    history = reading.call_history(world.journal, SCOPE, ApiName.READ, 10, at(9))
    assert (list(history.ended), list(history.holds)) == ([at(6)], [(at(6), 30.0)])
    assert len(reading.call_history(world.journal, SCOPE, ApiName.OFFBOARD, 10, at(9)).holds) == 0


def test_only_whoever_reads_next_ends_the_reads_that_a_crash_left_open(world: World, batch: Batch) -> None:
    scope = batch.scope_key
    world.journal.begin_read(scope, at(5))
    call(world, batch, 5, ACCEPTED)
    world.journal.take_over(scope, at(20))
    assert [each.verdict for each in world.calls("read")] == [None]
    world.journal.rescue_reads(scope, at(30))
    world.journal.rescue_reads(scope, at(40))
    assert [(each.verdict, each.ended_at) for each in world.calls("read")] == [("in_doubt", ORIGIN + 30)]
