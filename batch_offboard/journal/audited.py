"""Reads the audit record in chunks, each in its own transaction, so that writers do not have to wait."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Select, func, select

from batch_offboard.base.errors import JournalError
from batch_offboard.core.audit import Anchor, Record, instant
from batch_offboard.core.tenant import ApiName
from batch_offboard.journal import trail
from batch_offboard.journal.schema import audit, calls
from batch_offboard.journal.store import ROWS_AT_A_TIME, Journal

_RECORDS: Select[Any] = select(
    audit.c.number, audit.c.at, audit.c.kind, audit.c.content, audit.c.previous, audit.c.hash
).order_by(audit.c.number)


def last_anchor(journal: Journal) -> Anchor:
    """The anchor of the current end of the record; number 0 if it is empty."""
    with journal.reading() as connection:
        return trail.last_of(connection)


def calls_made(journal: Journal) -> tuple[int, int]:
    """The number of calls to offboard or cancel in the journal, and the number of the last record at that moment."""
    made = select(func.count()).where(calls.c.api.in_([ApiName.OFFBOARD, ApiName.CANCEL]))
    with journal.reading() as connection:
        return int(connection.execute(made).scalar_one()), trail.last_of(connection).number


def records(journal: Journal, since: float | None = None, until: float | None = None) -> Iterator[Record]:
    """Every record in order, optionally of a period (seconds since the epoch; `until` is excluded)."""
    statement = _RECORDS
    if since is not None:
        statement = statement.where(audit.c.at >= instant(since))
    if until is not None:
        statement = statement.where(audit.c.at < instant(until))
    piece = statement
    while lines := _piece(journal, piece):
        yield from lines
        piece = statement.where(audit.c.number > lines[-1].number)


def _piece(journal: Journal, statement: Select[Any]) -> Sequence[Record]:
    statement = statement.limit(ROWS_AT_A_TIME)
    try:
        with journal.reading() as connection:
            return [Record(*line) for line in connection.execute(statement)]
    except JournalError:
        return [_readable(journal, number) for number in _numbers(journal, statement)]


def _numbers(journal: Journal, statement: Select[Any]) -> Sequence[int]:
    with journal.reading() as connection:
        return connection.execute(statement.with_only_columns(audit.c.number)).scalars().all()


def _readable(journal: Journal, number: int) -> Record:
    """One record; a field that is no longer text is returned empty."""
    try:
        with journal.reading() as connection:
            return Record(*connection.execute(_RECORDS.where(audit.c.number == number)).one())
    except JournalError:
        return Record(number, 0, "", "", "", "")
