"""Statements that go straight to the driver: the same to the database as SQLAlchemy's own way."""

from collections.abc import Iterator

import pytest
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    create_engine,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.postgresql.base import PGDialect

from batch_offboard.core.jobs import JobState
from batch_offboard.journal.repeated import Repeated

things = Table(
    "things",
    MetaData(),
    Column("row", Integer, primary_key=True),
    Column("state", String(12)),
    Column("own", Boolean),
    Column("at", Float),
)
INSERT = insert(things)
SEND = (
    update(things)
    .where(things.c.row == bindparam("r"), things.c.state == JobState.PENDING)
    .values(state=JobState.SENDING, own=bindparam("mine"), at=bindparam("now"))
)
LINES = [{"row": row, "state": state, "own": None, "at": None} for row, state in enumerate(JobState)]
MOVES = [{"r": row, "mine": row % 2 == 0, "now": 5} for row in range(99)]  # more than there are


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        things.create(connection)
        yield connection
    engine.dispose()


def rows(connection: Connection) -> list[tuple[object, ...]]:
    return [tuple(line) for line in connection.execute(select(things).order_by(things.c.row))]


def test_the_rows_are_those_that_sqlalchemy_would_have_left(connection: Connection) -> None:
    connection.execute(INSERT, LINES)
    met = connection.execute(SEND, MOVES).rowcount
    expected = rows(connection)
    connection.execute(things.delete())
    Repeated(INSERT, ["row", "state", "own", "at"]).many(connection, LINES)
    assert Repeated(SEND).many(connection, MOVES) == met == 1
    assert rows(connection) == expected


def test_the_first_row_is_found_or_none(connection: Connection) -> None:
    Repeated(INSERT, ["row", "state", "own", "at"]).many(connection, LINES)
    statement = Repeated(select(things.c.state).where(things.c.row >= bindparam("r")).order_by(things.c.row).limit(1))
    assert statement.first(connection, {"r": 1}) == ("sending",)
    assert statement.first(connection, {"r": 99}) is None


def test_a_value_that_is_missing_is_an_error_and_not_a_null(connection: Connection) -> None:
    with pytest.raises(KeyError):
        Repeated(SEND).many(connection, [{"r": 1, "mine": True}])


def test_values_are_prepared_as_the_database_wants_them(connection: Connection) -> None:
    compiled = Repeated(SEND)._for(connection.dialect)
    assert repr(compiled.parameters({"r": 1, "mine": True, "now": 5})[1:3]) == "[1, 5.0]"


def test_a_database_whose_places_have_names_gets_names() -> None:
    compiled = Repeated(SEND)._for(PGDialect())  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    assert compiled.parameters({"r": 1, "mine": True, "now": 5}) == {
        "r": 1, "mine": True, "now": 5.0, "state": JobState.SENDING, "state_1": JobState.PENDING,
    }  # fmt: skip
