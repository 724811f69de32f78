"""What the journal needs from a database besides SQL: the interface for more than one kind of database."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Connection, Engine

from batch_offboard.core.actor import Actor


class Database(ABC):
    """One open database. Subclasses have the parts that differ between kinds of database."""

    engine: Engine
    writes: str  # the statement that begins a writing transaction

    @contextmanager
    def writing(self, actor: Actor) -> Iterator[Connection]:
        """A transaction that is durable when the block ends, or rolled back; `actor` is named in its audit records.
        Raises JournalError."""
        self.refuse_if_gone()
        with (
            self.explaining(),
            self.engine.connect().execution_options(begin=self.writes, actor=actor) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees what was committed. Raises JournalError."""
        with self.explaining(), self.engine.connect() as connection:
            yield connection

    def close(self) -> None:
        self.engine.dispose()

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
