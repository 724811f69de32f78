"""SQL compiled once for all journals of a process; importing this changes SQLAlchemy's engines for SQLite.

SQLAlchemy keeps what it has compiled for each engine alone. A program has one engine; these tests open thousands, and
spent a sixth of their time on compiling the same statements. All of them have the same SQLite and the same options.
"""

from typing import Any

from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import Engine
from sqlalchemy.util import LRUCache

_COMPILED: LRUCache[Any, Any] = LRUCache(2000)
_init = Engine.__init__


def _init_with_shared_cache(engine: Engine, *arguments: Any, **options: Any) -> None:
    _init(engine, *arguments, **options)
    if type(engine.dialect) is SQLiteDialect_pysqlite:
        engine._compiled_cache = _COMPILED


# The dialect is a part of what a compiled statement is found by.
SQLiteDialect_pysqlite.__eq__ = lambda self, other: type(self) is type(other)  # type: ignore[method-assign]
SQLiteDialect_pysqlite.__hash__ = lambda self: hash(type(self))  # type: ignore[method-assign]
Engine.__init__ = _init_with_shared_cache  # type: ignore[method-assign,assignment]
