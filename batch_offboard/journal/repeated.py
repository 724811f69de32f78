"""Statements that run for every call, thousands of times an hour.

They are compiled once and passed straight to the driver (PEP 249): SQLAlchemy's overhead for each is several times the
cost of the statement itself, and every task waits for the journal meanwhile.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Dialect, Insert, Select, Update
from sqlalchemy.engine.interfaces import DBAPICursor

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement in one database's dialect.

    `keys` are in the order of the placeholders in `text`, or None if these are named; `fixed` are the values that no
    line has, `prepare` converts values for the driver.
    """

    text: str
    fixed: Line
    keys: Sequence[str] | None
    prepare: Mapping[str, Callable[[Any], Any]]

    def parameters(self, line: Line) -> Any:
        values = {**self.fixed, **line}
        for key, prepare in self.prepare.items():
            values[key] = prepare(values[key])
        return values if self.keys is None else [values[key] for key in self.keys]


class Repeated:
    """One such statement; `columns` are those of an insert. Raises the driver's own errors."""

    def __init__(self, statement: Insert | Update | Select[Any], columns: Sequence[str] | None = None) -> None:
        self._statement, self._columns = statement, columns
        self._compiled: dict[str, _Compiled] = {}

    def many(self, connection: Connection, lines: Sequence[Line]) -> int:
        """Execute it for each of the lines; returns the number of affected rows."""
        compiled = self._for(connection.dialect)
        with _cursor(connection) as cursor:
            cursor.executemany(compiled.text, [compiled.parameters(line) for line in lines])
            return cursor.rowcount

    def first(self, connection: Connection, line: Line) -> Any:
        """Execute it for one line; returns the first row, or None."""
        compiled = self._for(connection.dialect)
        with _cursor(connection) as cursor:
            cursor.execute(compiled.text, compiled.parameters(line))
            return cursor.fetchone()

    def _for(self, dialect: Dialect) -> _Compiled:
        if dialect.name not in self._compiled:
            self._compiled[dialect.name] = self._compile(dialect)
        return self._compiled[dialect.name]

    def _compile(self, dialect: Dialect) -> _Compiled:
        compiled = self._statement.compile(dialect=dialect, column_keys=self._columns)
        binds = {name: bind for bind, name in compiled.bind_names.items()}
        prepare = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in binds.items()}
        return _Compiled(
            compiled.string,
            {name: bind.effective_value for name, bind in binds.items() if not bind.required},
            compiled.positiontup if compiled.positional else None,
            {name: prepared for name, prepared in prepare.items() if prepared is not None},
        )


@contextmanager
def _cursor(connection: Connection) -> Iterator[DBAPICursor]:
    with closing(connection.connection.cursor()) as cursor:
        yield cursor
