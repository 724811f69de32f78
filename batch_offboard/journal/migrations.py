"""Migrates a journal of an earlier version to the current one, step by step, in one transaction.

A step is frozen once it is released: its statements are written out, never derived from the current tables. A test
compares the result of all steps with the tables.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, text

from batch_offboard.journal.schema import metadata


def _first_version(connection: Connection) -> None:
    # Not released yet: until then, the first version is the current tables.
    metadata.create_all(connection, checkfirst=False)


MIGRATIONS: Sequence[Callable[[Connection], None]] = (_first_version,)

VERSION = len(MIGRATIONS)


def stored_version(connection: Connection) -> int:
    """The version of the journal behind the connection; 0 if it is empty."""
    if not connection.dialect.has_table(connection, "schema_version"):
        return 0
    return int(connection.execute(text("SELECT version FROM schema_version")).scalar_one())


def migrate(connection: Connection, steps: Sequence[Callable[[Connection], None]] = MIGRATIONS) -> None:
    """Apply all steps that are missing; the caller's transaction makes it all or nothing."""
    version = stored_version(connection)
    for step in steps[version:]:
        step(connection)
    statement = (
        "UPDATE schema_version SET version = :version" if version else "INSERT INTO schema_version VALUES (:version)"
    )
    connection.execute(text(statement), {"version": len(steps)})
