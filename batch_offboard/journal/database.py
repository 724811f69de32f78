"""What the journal needs from a database besides SQL: the interface for more than one kind of database."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, RootTransaction

from batch_offboard.core.actor import Actor


class Database(ABC):
    """One open database. Subclasses have the parts that differ between kinds of database."""

    engine: Engine
    writes: str  # the statement that begins a writing transaction

    @contextmanager
    def writing(self, actor: Actor) -> Iterator[Connection]:
        """A transaction that is durable when the block ends, or rolled back; `actor` is named in its audit records.
        Raises JournalError."""
        connection, transaction = self.begun(begin=self.writes, actor=actor)
        with self.explaining(), connection, transaction:
            self.refuse_if_gone()  # it may have been waited for, and replaced meanwhile
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees what was committed. Raises JournalError."""
        connection, _transaction = self.begun()
        with self.explaining(), connection:
            yield connection

    def close(self) -> None:
        self.engine.dispose()

    def begun(self, **options: Any) -> tuple[Connection, RootTransaction]:
        """A connection with these execution options, and its transaction, which is begun. Raises JournalError."""
        self.refuse_if_gone()
        with self.explaining():
            connection = self.engine.connect().execution_options(**options)
            try:
                return connection, connection.begin()
            except BaseException:
                connection.invalidate()  # whatever kept it from beginning, the next one must open its files anew
                connection.close()
                raise

    @abstractmethod
    def explaining(self) -> AbstractContextManager[None]:
        """Convert the database's errors inside the block to JournalError, with one sentence for the operator."""

    @abstractmethod
    def refuse_if_gone(self) -> None:
        """Raise JournalError if writes would be lost because the database is no longer where it was opened."""

    @abstractmethod
    def refuse_if_damaged(self) -> None:
        """Raise JournalError if the database's integrity check fails."""

    @abstractmethod
    def hold_reserve(self) -> None:
        """Reserve space for the outcomes of calls in flight. Raises JournalError if there is none."""

    @abstractmethod
    def give_up_reserve(self) -> None:
        """Release that space; never raises."""

    @property
    @abstractmethod
    def frees_locks_of_the_dead(self) -> bool:
        """Whether holding the lock that is taken before a lease proves that the last holder is dead. Otherwise a lease
        that was not released can only be taken once it has expired."""
