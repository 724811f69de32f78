"""The nightly runs in the journal: when they began and ended, and with which exit code."""

from sqlalchemy import insert, select, update

from batch_offboard.core.nights import Night
from batch_offboard.journal.plans import inserted_key
from batch_offboard.journal.schema import nights
from batch_offboard.journal.store import Journal


def last_night(journal: Journal, inbox: str) -> Night | None:
    """The latest run over this inbox."""
    statement = (
        select(nights.c.began_at, nights.c.ended_at, nights.c.exit_code)
        .where(nights.c.inbox == inbox)
        .order_by(nights.c.id.desc())
        .limit(1)
    )
    with journal.reading() as connection:
        line = connection.execute(statement).first()
    return None if line is None else Night(*line)


def begin_night(journal: Journal, inbox: str, at: float) -> int:
    """Record that a run over this inbox begins; returns its key."""
    with journal.writing() as connection:
        return inserted_key(connection.execute(insert(nights).values(inbox=inbox, began_at=at)))


def end_night(journal: Journal, night: int, at: float, exit_code: int) -> None:
    """Record that a run has ended."""
    with journal.writing() as connection:
        connection.execute(update(nights).where(nights.c.id == night).values(ended_at=at, exit_code=exit_code))
