"""Batches move along one table, and the database itself refuses what cannot be."""

from collections.abc import Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from batch_offboard.base.clock import Moment
from batch_offboard.base.errors import JournalError
from batch_offboard.core.batches import BATCH_MOVES, Batch, BatchState
from batch_offboard.core.plan import PlannedRow
from batch_offboard.journal import settlements
from batch_offboard.journal.reading import find_batch
from batch_offboard.journal.schema import batches
from batch_offboard.journal.store import Journal
from tests.commands import ANN
from tests.examples import add_batch

S = BatchState
AT = Moment(1_795_500_000.0, 10.0, "boot")

# The times and the reason that a batch has in each state, as the database demands.
FACTS: dict[BatchState, dict[str, Any]] = {
    S.PLANNING: {"started_at": None, "ended_at": None, "halted_because": ""},
    S.PLANNED: {"started_at": None, "ended_at": None, "halted_because": ""},
    S.RUNNING: {"started_at": 1.0, "ended_at": None, "halted_because": ""},
    S.STOPPED: {"started_at": 1.0, "ended_at": 2.0, "halted_because": ""},
    S.HELD: {"started_at": 1.0, "ended_at": 2.0, "halted_because": "A brake stopped it."},
    S.FINISHED: {"started_at": 1.0, "ended_at": 2.0, "halted_because": ""},
}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(tmp_path / "journal.db", create=True, actor=ANN)) as journal:
        yield journal


def batch_in(journal: Journal, state: BatchState, *, rows: int = 0) -> int:
    """A batch in this state, with as many pending rows."""
    planned = [PlannedRow(row, f"{row:040d}", "", None, "", None, ()) for row in range(2, 2 + rows)]
    key = add_batch(journal, planned).key
    with journal.writing() as connection:
        connection.execute(update(batches).where(batches.c.id == key).values(state=state, **FACTS[state]))
    return key


def state_of(journal: Journal, key: int) -> BatchState:
    with journal.reading() as connection:
        return BatchState(connection.execute(select(batches.c.state).where(batches.c.id == key)).scalar_one())


def scope_of(journal: Journal) -> int:
    return journal.scope_key("tenant/application")


def arrive(journal: Journal, key: int, new: BatchState) -> None:
    """What the program does to bring a batch into a state."""
    match new:
        case S.RUNNING:
            journal.prepare(key, scope_of(journal), AT)
        case S.STOPPED | S.HELD | S.FINISHED:
            journal.end_batch(key, AT, "A brake stopped it." if new is S.HELD else "", held=new is S.HELD)
        case _:
            raise AssertionError(new)


@pytest.mark.parametrize(("old", "new"), list(product(S, [S.RUNNING, S.STOPPED, S.HELD, S.FINISHED])))
def test_a_batch_moves_along_the_table_and_another_move_changes_nothing(
    journal: Journal, old: BatchState, new: BatchState
) -> None:
    key = batch_in(journal, old, rows=0 if new is S.FINISHED else 1)
    if new in BATCH_MOVES[old]:
        arrive(journal, key, new)
        assert state_of(journal, key) is new
    else:
        with pytest.raises(JournalError, match=rf"has the batch as {old}, from which it cannot become {new}"):
            arrive(journal, key, new)
        assert state_of(journal, key) is old


@pytest.mark.parametrize(("old", "new"), list(product(S, S)))
def test_the_database_refuses_a_state_without_what_belongs_to_it(
    journal: Journal, old: BatchState, new: BatchState
) -> None:
    key = batch_in(journal, old)
    statement = update(batches).where(batches.c.id == key).values(state=new)
    if _fits(FACTS[old], new):
        with journal.writing() as connection:
            connection.execute(statement)
        assert state_of(journal, key) is new
    else:
        with pytest.raises(JournalError, match="constraint failed"), journal.writing() as connection:
            connection.execute(statement)
        assert state_of(journal, key) is old


def _fits(facts: dict[str, Any], state: BatchState) -> bool:
    begun, ended = facts["started_at"] is not None, facts["ended_at"] is not None
    expected = FACTS[state]
    if (begun, ended) != (expected["started_at"] is not None, expected["ended_at"] is not None):
        return False
    return state is not S.HELD or facts["halted_because"] != ""


def test_the_database_knows_no_other_state(journal: Journal) -> None:
    key = batch_in(journal, S.PLANNED)
    with pytest.raises(JournalError, match="known_batch_state"), journal.writing() as connection:
        connection.execute(update(batches).where(batches.c.id == key).values(state="paused"))


@pytest.mark.parametrize("old", S)
def test_holding_holds_what_was_begun_and_is_not_finished(journal: Journal, old: BatchState) -> None:
    key = batch_in(journal, old, rows=1)
    journal.hold(key, "Its machine actions were cancelled.", AT.wall)
    assert state_of(journal, key) is (S.HELD if old in {S.RUNNING, S.STOPPED, S.HELD} else old)


@pytest.mark.parametrize("old", S)
def test_doubts_that_are_settled_finish_a_stopped_batch_alone(journal: Journal, old: BatchState) -> None:
    key = batch_in(journal, old)
    settlements.finish_settled(journal, key)
    assert state_of(journal, key) is (S.FINISHED if old in {S.STOPPED, S.HELD} else old)


def test_a_held_batch_is_shown_as_a_stopped_one_that_needs_a_person(journal: Journal) -> None:
    batch_in(journal, S.HELD, rows=1)
    batch: Batch | None = find_batch(journal, "batch-1")
    assert batch is not None
    assert (batch.state.word, batch.held, batch.needs_person) == ("stopped", True, True)
    assert batch.why_it_waits == "A brake stopped it."
