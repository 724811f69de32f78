"""Statements that run with every call, thousands of times an hour.

They are compiled once and go straight to the driver (PEP 249): what SQLAlchemy does around each of them takes several
times as long as the statement itself, and everybody waits for the journal meanwhile.
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
    """A statement in one database's words.

    `keys` are in the order of the places in `text`, or None where the places have names; `fixed` are the values that
    no line gives, `prepare` what some values need before the driver takes them.
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
    """One such statement; `columns` are those of an insert. Errors are the driver's own."""

    def __init__(self, statement: Insert | Update | Select[Any], columns: Sequence[str] | None = None) -> None:
        self._statement, self._columns = statement, columns
        self._compiled: dict[str, _Compiled] = {}

    def many(self, connection: Connection, lines: Sequence[Line]) -> int:
        """Run it with each of the lines; returns how many rows it has met."""
        compiled = self._for(connection.dialect)
        with _cursor(connection) as cursor:
            cursor.executemany(compiled.text, [compiled.parameters(line) for line in lines])
            return cursor.rowcount

    def first(self, connection: Connection, line: Line) -> Any:
        """The first row that it finds with this line, or None."""
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
