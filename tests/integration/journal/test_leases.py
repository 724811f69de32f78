"""Only the holder of the lease writes, and so only it sends: two processes with the same journal, as two objects."""

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sqlalchemy import select

from batch_offboard.base.clock import Moment
from batch_offboard.base.errors import BusyError, JournalError
from batch_offboard.core.batches import Batch
from batch_offboard.core.jobs import CallOutcome, JobState, Verdict
from batch_offboard.core.plan import Decision, PlannedRow, Reason
from batch_offboard.journal import leases as lease_table
from batch_offboard.journal.attempts import End, Start
from batch_offboard.journal.leases import TTL, FencedError
from batch_offboard.journal.reading import count
from batch_offboard.journal.schema import calls, jobs, leases
from batch_offboard.journal.store import Journal
from batch_offboard.journal.writer import JournalWriter
from tests.commands import ANN
from tests.examples import add_batch

T0 = 1_795_500_000.0
ACCEPTED = CallOutcome(Verdict.SUBMITTED, 201, "action-1", "Pending")


def at(seconds: float) -> Moment:
    return Moment(T0 + seconds, 1000 + seconds, "boot-1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with closing(Journal(path, create=True, actor=ANN)) as journal:
        yield journal


@pytest.fixture
def other(journal: Journal, path: Path) -> Iterator[Journal]:
    with closing(Journal(path, actor=ANN)) as other:
        assert journal.path == other.path
        yield other


def add(journal: Journal, rows: int = 3, name: str = "batch-1", scope: str = "tenant/application") -> Batch:
    """A planned batch with devices of its own, in rows from 2 on."""
    planned = [PlannedRow(row, f"{name}{row:0{40 - len(name)}d}", "", None, "", None, ()) for row in range(2, 2 + rows)]
    return add_batch(journal, planned, batch_id=name, scope=scope)


def start(journal: Journal, batch: Batch, row: int, seconds: float = 1) -> None:
    journal.commit([Start(batch.key, batch.scope_key, row, 1, at(seconds))], ())


def jobs_of(journal: Journal, batch: Batch) -> dict[JobState, int]:
    return dict(count(journal, batch.key).jobs)


WRITES: dict[str, Callable[[Journal, Batch], object]] = {
    "intent": lambda journal, batch: start(journal, batch, 3),
    "outcome": lambda journal, batch: journal.commit((), [End(batch.key, batch.scope_key, 2, 1, at(2), ACCEPTED)]),
    "outcome at last": lambda journal, batch: journal.commit_at_last(
        End(batch.key, batch.scope_key, 2, 1, at(2), ACCEPTED)
    ),
    "skip": lambda journal, batch: journal.skip(batch.key, [(4, Decision(Reason.NOT_FOUND, "gone"))], T0),
    "end": lambda journal, batch: journal.end_batch(batch.key, at(2), ""),
    "abandoned": lambda journal, batch: journal.abandon(at(2)),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_process_whose_lease_was_taken_writes_nothing_any_more(journal: Journal, other: Journal, write: str) -> None:
    batch = add(journal)
    journal.prepare(batch.key, batch.scope_key, at(0))
    start(journal, batch, 2)
    other.take_over(batch.scope_key, at(30))
    before = jobs_of(other, batch)
    assert before == {JobState.IN_DOUBT: 1, JobState.PENDING: 2}
    with pytest.raises(FencedError, match="taken over this tenant"):
        WRITES[write](journal, batch)
    assert jobs_of(other, batch) == before


@pytest.mark.parametrize("write", WRITES)
def test_the_holder_of_the_lease_may_write(journal: Journal, write: str) -> None:
    batch = add(journal)
    journal.prepare(batch.key, batch.scope_key, at(0))
    start(journal, batch, 2)
    WRITES[write](journal, batch)


async def test_an_intent_of_a_fenced_process_never_becomes_durable(journal: Journal, other: Journal) -> None:
    batch = add(journal)
    journal.prepare(batch.key, batch.scope_key, at(0))
    async with JournalWriter(journal) as writer:
        await writer.write(Start(batch.key, batch.scope_key, 2, 1, at(1)))
        other.take_over(batch.scope_key, at(30))
        with pytest.raises(JournalError, match="taken over this tenant"):
            await writer.write(Start(batch.key, batch.scope_key, 3, 1, at(31)))
    assert jobs_of(other, batch) == {JobState.IN_DOUBT: 1, JobState.PENDING: 2}


def test_taking_over_leaves_other_scopes_and_the_epoch_that_begins_alone(journal: Journal, other: Journal) -> None:
    batch, apart = add(journal), add(journal, name="batch-2", scope="tenant/another")
    journal.prepare(batch.key, batch.scope_key, at(0))
    start(journal, batch, 2)
    other.prepare(apart.key, apart.scope_key, at(1))
    start(other, apart, 2)
    assert jobs_of(journal, batch) == {JobState.SENDING: 1, JobState.PENDING: 2}
    journal.abandon(at(5))
    assert jobs_of(journal, batch) == {JobState.IN_DOUBT: 1, JobState.PENDING: 2}
    assert jobs_of(journal, apart) == {JobState.SENDING: 1, JobState.PENDING: 2}


def test_a_device_that_another_application_has_under_way_is_not_sent(journal: Journal, other: Journal) -> None:
    batch = add(journal, rows=1)
    journal.prepare(batch.key, batch.scope_key, at(0))
    start(journal, batch, 2)
    with journal.reading() as connection:
        device = connection.execute(select(jobs.c.device_id).where(jobs.c.batch == batch.key)).scalar_one()
    apart = add_batch(
        other, [PlannedRow(2, device, "", None, "", None, ())], batch_id="batch-2", scope="tenant/another"
    )
    other.prepare(apart.key, apart.scope_key, at(1))
    assert dict(count(other, apart.key).jobs) == {JobState.SKIPPED: 1}


def test_an_intent_names_the_epoch_and_the_owner_of_its_lease(journal: Journal) -> None:
    batch = add(journal)
    journal.take_over(batch.scope_key, at(0))
    journal.prepare(batch.key, batch.scope_key, at(0))
    start(journal, batch, 2)
    with journal.reading() as connection:
        [(epoch, owner)] = connection.execute(select(calls.c.epoch, calls.c.owner)).all()
        holder = connection.execute(select(leases.c.holder)).scalar_one()
    assert (epoch, owner) == (2, holder)
    assert owner.startswith("pc-7/")


def test_a_lease_is_renewed_by_every_write_and_free_once_it_is_given_back(journal: Journal) -> None:
    batch = add(journal)
    journal.prepare(batch.key, batch.scope_key, at(0))
    start(journal, batch, 2, seconds=7)
    _, holder, renewed = lease_of(journal)
    assert (holder is None, renewed) == (False, T0 + 7)
    journal.give_back()
    assert lease_of(journal)[:2] == (1, None)


def lease_of(journal: Journal) -> tuple[int, str | None, float]:
    with journal.reading() as connection:
        [line] = connection.execute(select(leases.c.epoch, leases.c.holder, leases.c.renewed_at)).all()
    return line[0], line[1], line[2]


def test_a_lease_that_could_not_be_taken_is_not_held(journal: Journal) -> None:
    batch = add(journal)
    journal.prepare(batch.key, batch.scope_key, at(0))
    epoch = lease_of(journal)[0]
    with pytest.raises(JournalError):
        journal.prepare(batch.key + 1, batch.scope_key, at(1))  # there is no such batch
    assert lease_of(journal)[0] == epoch


@pytest.mark.parametrize(("after", "taken"), [(TTL - 1, False), (TTL + 1, True)])
def test_without_a_lock_that_proves_the_holder_dead_a_lease_is_taken_only_once_it_has_expired(
    journal: Journal, after: float, taken: bool
) -> None:
    scope = add(journal).scope_key
    with journal.database.writing(ANN) as connection:
        first = lease_table.take(connection, scope, "one", T0, last_is_dead=False)
    with journal.database.writing(ANN) as connection:
        if taken:
            assert lease_table.take(connection, scope, "two", T0 + after, last_is_dead=False).epoch == first.epoch + 1
        else:
            with pytest.raises(BusyError, match="Another process works on this tenant"):
                lease_table.take(connection, scope, "two", T0 + after, last_is_dead=False)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=some.lists(some.tuples(some.sampled_from(["take", "give back"]), some.booleans()), max_size=12))
def test_epochs_only_rise_and_never_two_journals_hold_the_lease(
    journal: Journal, other: Journal, steps: list[tuple[str, bool]]
) -> None:
    scope = journal.scope_key("tenant/application")
    epochs = [0]
    for number, (step, first) in enumerate(steps):
        acting = journal if first else other
        if step == "take":
            acting.take_over(scope, at(number))
            epochs.append(lease_of(journal)[0])
        else:
            acting.give_back()
        holders = sum(_may_write(each) for each in (journal, other))
        assert holders <= 1
    journal.give_back()
    other.give_back()
    assert all(one < two for one, two in pairwise(epochs))


def _may_write(journal: Journal) -> bool:
    """Whether the journal has a lease that holds."""
    if not journal.has_lease:
        return False
    try:
        with journal.writing():
            return True
    except FencedError:
        return False
