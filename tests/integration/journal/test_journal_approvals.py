"""Approvals in the journal: bound to the plan, recorded with it, and checked where a run begins."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from batch_offboard.base.clock import Moment
from batch_offboard.base.errors import GuardError, JournalError
from batch_offboard.core.actor import Actor
from batch_offboard.core.audit import Kind
from batch_offboard.core.batches import Batch
from batch_offboard.core.consent import APPROVAL_LIFE, Approval, Conditions, Demand, SetAside
from batch_offboard.core.plan import Amendment, PlannedRow, Reason
from batch_offboard.journal import audited, reading
from batch_offboard.journal.approving import approvals_of, decide
from batch_offboard.journal.schema import rows as rows_table
from batch_offboard.journal.store import Journal
from tests.examples import add_batch

T0 = 1_795_500_000.0
NAME = "20261124-0815-abcd"
CONDITIONS = Conditions({"max_devices": 500}, SetAside(), "")
ONE = Demand(1, CONDITIONS, ("ann",))
ANN, BOB = (Actor(person, "pc-7", "cli") for person in ("ann", "bob"))
CY = Actor("cy", "pc-8", "cli")


def row(number: int, reason: Reason | None = None) -> PlannedRow:
    return PlannedRow(number, f"d{number:039d}", f"LT-{number}", reason, "why" if reason else "", None, ())


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.db", create=True, actor=ANN)
    yield journal
    journal.close()


def add(journal: Journal, rows: Sequence[PlannedRow], name: str = NAME, amended: Sequence[Amendment] = ()) -> Batch:
    return add_batch(
        journal,
        rows,
        amended,
        batch_id=name,
        scope="tenant/app",
        columns=(),
        reading={"sheet": None},
        conditions=CONDITIONS,
    )


@pytest.fixture
def batch(journal: Journal) -> Batch:
    return add(journal, [row(2), row(3), row(4, Reason.MERGED)])


def word(actor: Actor, *, granted: bool = True) -> Approval:
    reason = "" if granted else "row 3 is in use"
    return Approval(actor.person, actor.machine, "cli", T0, "typed", "", T0 + APPROVAL_LIFE, granted, reason)


def say(journal: Journal, batch: Batch, actor: Actor, *, granted: bool = True) -> None:
    theirs = Journal(journal.path, actor=actor)
    decide(theirs, batch.key, CONDITIONS, word(actor, granted=granted))
    theirs.close()


def begin(journal: Journal, batch: Batch, demand: Demand = ONE, seconds: float = 60.0) -> None:
    journal.prepare(batch.key, batch.scope_key, Moment(T0 + seconds, seconds, "boot-1"), demand=demand)


def state(journal: Journal) -> str:
    found = reading.find_batch(journal, NAME)
    return found.state if found is not None else ""


def test_a_plan_keeps_its_digest(journal: Journal, batch: Batch) -> None:
    assert approvals_of(journal, batch.key, ONE, T0).plan_sha256 == batch.plan_sha256


def test_the_digest_is_of_the_amended_decisions(journal: Journal, batch: Batch) -> None:
    amended = add(journal, [row(2), row(3), row(4)], "20261124-0815-efgh", [Amendment(4, Reason.MERGED, "why")])
    assert amended.plan_sha256 == batch.plan_sha256


def test_a_run_without_its_approval_does_not_begin(journal: Journal, batch: Batch) -> None:
    with pytest.raises(GuardError, match="waits for 1 approval by somebody other than ann"):
        begin(journal, batch)
    assert state(journal) == "planned"


def test_an_approved_run_begins_and_keeps_who_approved_it(journal: Journal, batch: Batch) -> None:
    say(journal, batch, BOB)
    begin(journal, batch)
    found = reading.find_batch(journal, NAME)
    assert found is not None
    assert (found.state, found.findings["approved"]) == ("running", [{"who": "bob@pc-7", "at": T0, "how": "typed"}])
    records = [(each.kind, json.loads(each.content)) for each in audited.records(journal)]
    approved = next(content for kind, content in records if kind == Kind.APPROVED)
    assert (approved["who"], approved["plan_sha256"]) == ("bob@pc-7", batch.plan_sha256)
    assert next(content for kind, content in records if kind == Kind.STARTED)["approved"] == ["bob@pc-7"]


def test_the_submitters_own_approval_does_not_begin_it(journal: Journal, batch: Batch) -> None:
    say(journal, batch, ANN)
    with pytest.raises(GuardError, match="nobody approves what they submit themselves"):
        begin(journal, batch)


@pytest.mark.fault(114, "A changed guard or protected list voids every approval; the run is refused and says why.")
@pytest.mark.parametrize(
    "changed",
    [
        replace(CONDITIONS, guards={"max_devices": 501}),
        replace(CONDITIONS, protected_sha256="f" * 64),
        replace(CONDITIONS, set_aside=SetAside(max_devices=900)),
    ],
)
def test_a_changed_guard_or_protected_list_voids_every_approval(
    journal: Journal, batch: Batch, changed: Conditions
) -> None:
    say(journal, batch, BOB)
    with pytest.raises(GuardError, match="the plan, a guard or the protected list has changed since"):
        begin(journal, batch, replace(ONE, conditions=changed))


def test_a_row_that_was_changed_in_the_journal_voids_every_approval(journal: Journal, batch: Batch) -> None:
    say(journal, batch, BOB)
    with journal.writing() as connection:
        other = update(rows_table).where(rows_table.c.row == 2).values(device_id=row(9).device_id)
        connection.execute(other)
    with pytest.raises(GuardError, match="has changed since"):
        begin(journal, batch)


@pytest.mark.fault(114, "An expired approval does not count.")
def test_an_approval_expires_but_not_for_a_run_that_goes_on(journal: Journal, batch: Batch) -> None:
    say(journal, batch, BOB)
    with pytest.raises(GuardError, match="it has expired"):
        begin(journal, batch, seconds=APPROVAL_LIFE)
    begin(journal, batch, replace(ONE, command="resume"), seconds=APPROVAL_LIFE)
    assert state(journal) == "running"


def test_a_denial_keeps_a_run_from_beginning_and_is_recorded_with_its_reason(journal: Journal, batch: Batch) -> None:
    say(journal, batch, BOB)
    say(journal, batch, CY, granted=False)
    with pytest.raises(GuardError, match="cy@pc-8 denied batch 20261124-0815-abcd: row 3 is in use"):
        begin(journal, batch)
    denied = [json.loads(each.content) for each in audited.records(journal) if each.kind == Kind.DENIED]
    assert [(each["who"], each["reason"]) for each in denied] == [("cy@pc-8", "row 3 is in use")]


def at_once(*deeds: Callable[[], None]) -> None:
    """Let these happen in threads of their own, begun together."""
    barrier = Barrier(len(deeds))

    def begun(deed: Callable[[], None]) -> None:
        barrier.wait()
        deed()

    with ThreadPoolExecutor(len(deeds)) as threads:
        for done in [threads.submit(begun, deed) for deed in deeds]:
            done.result()


@pytest.mark.fault(123, "Both approvals are recorded, and each counts.")
def test_two_who_approve_at_once_are_both_recorded(journal: Journal, batch: Batch) -> None:
    at_once(lambda: say(journal, batch, BOB), lambda: say(journal, batch, CY))
    begin(journal, batch, replace(ONE, needed=2))
    found = reading.find_batch(journal, NAME)
    assert found is not None
    assert sorted(each["who"] for each in found.findings["approved"]) == ["bob@pc-7", "cy@pc-8"]


@pytest.mark.fault(123, "A denial beside an approval keeps the run from beginning, whichever is recorded first.")
def test_of_an_approval_and_a_denial_at_once_the_denial_counts(journal: Journal, batch: Batch) -> None:
    at_once(lambda: say(journal, batch, BOB), lambda: say(journal, batch, CY, granted=False))
    with pytest.raises(GuardError, match="cy@pc-8 denied batch"):
        begin(journal, batch)
    assert {each.kind for each in audited.records(journal)} >= {Kind.DENIED}


def test_a_denial_without_a_reason_is_refused_by_the_table(journal: Journal, batch: Batch) -> None:
    with pytest.raises((JournalError, IntegrityError)):
        decide(journal, batch.key, CONDITIONS, replace(word(BOB), granted=False))


def test_a_plan_that_was_approved_can_be_forgotten(journal: Journal, batch: Batch) -> None:
    say(journal, batch, BOB)
    assert journal.forget_plan(batch.key, batch.batch_id, T0)
    assert reading.find_batch(journal, NAME) is None
