"""What the journal needs of a database besides SQL: the seam for more kinds of database than one."""

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
        """A transaction that is durable when the block ends, or has no effect; `actor` is named in its audit records.
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
        """Turns the database's errors within the block into JournalError, one sentence for the operator."""

    @abstractmethod
    def refuse_if_gone(self) -> None:
        """Raise JournalError if what is written would be lost, since the database is no longer where it was opened."""

    @abstractmethod
    def refuse_if_damaged(self) -> None:
        """Raise JournalError if the database finds that it is not whole."""

    @abstractmethod
    def hold_reserve(self) -> None:
        """Set space aside for the outcomes of calls in flight. Raises JournalError if there is none."""

    @abstractmethod
    def give_up_reserve(self) -> None:
        """Free that space; never raises."""

    @property
    @abstractmethod
    def frees_locks_of_the_dead(self) -> bool:
        """Whether the lock that comes before a lease proves that its last holder is dead. Otherwise a lease that was
        not given back can only be taken once it has expired."""
