"""The disk under a process: every write to the journal and to a file is a step, at which the process can be struck.

SQLite itself is real, and so are its files. A process that is killed in the middle of a transaction leaves the hot
journal that a real one leaves.
"""

import errno
import io
import os
import random
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch
from uuid import UUID
from zipfile import ZipFile

from openpyxl.writer import excel
from sqlalchemy import Engine, create_engine, event

from batch_offboard.commands import access, desk, locking
from batch_offboard.config import Config, load_config
from batch_offboard.journal import locks as lock
from batch_offboard.journal import sqlite as opening
from batch_offboard.journal import store
from tests.simulation.host import Blow, OsLock, OsMachineLock, Process, current_process
from tests.simulation.loop import OWNER

_ERRORS = {
    Blow.DISK_FULL: (errno.ENOSPC, "No space left on device", "database or disk is full"),
    Blow.IO_ERROR: (errno.EIO, "Input/output error", "disk I/O error"),
}


DURABLE = {"journal_mode": "delete", "synchronous": 3}  # the latter is EXTRA: the directory is synced as well

_HAS_JOBS = "SELECT 1 FROM sqlite_master WHERE name = 'jobs'"
_WATCH = (
    "CREATE TEMP TRIGGER job_moves AFTER UPDATE OF state ON main.jobs WHEN OLD.state <> NEW.state"
    " BEGIN SELECT job_moves(OLD.state, NEW.state); END"
)


def _owner() -> Process | None:
    owner = OWNER.get()
    return owner if isinstance(owner, Process) else None


class Connection(sqlite3.Connection):
    """A process's connection to its journal."""

    def __init__(self, database: str, *arguments: Any, **options: Any) -> None:
        super().__init__(database, *arguments, **options)
        self.path = Path(database)
        self.process = current_process()
        self.process.connections.append(self)
        self._watched = False

    def cursor(self, _factory: Any = None) -> "Cursor":  # type: ignore[override]  # there is one kind here
        self.process.check()
        return super().cursor(Cursor)

    def watch(self) -> None:
        """Have every move of a job told, whichever statement makes it."""
        if self._watched:
            return
        safety = {name: super(Connection, self).execute(f"PRAGMA {name}").fetchone()[0] for name in DURABLE}
        assert safety == DURABLE, f"a transaction would not be durable: {safety}"
        if super().execute(_HAS_JOBS).fetchone():
            self.create_function("job_moves", 2, self.process.host.on_move)
            super().execute(_WATCH)
            self._watched = True

    def commit(self) -> None:
        if not self.in_transaction:
            return
        blow = self.process.step("journal", "commit")
        if blow is Blow.IO_ERROR_AFTER:
            super().commit()
            raise sqlite3.OperationalError("disk I/O error")
        try:
            fail_if_broken(self.process)
        except sqlite3.OperationalError:
            super().rollback()
            raise
        super().commit()

    def rollback(self) -> None:
        self.process.check()
        super().rollback()

    def close(self) -> None:
        with suppress(ValueError):
            self.process.connections.remove(self)
        super().close()

    def abandon(self) -> None:
        """The process is gone. Its open transaction stays in the files as it is, unless others have them open."""
        if not self.in_transaction:
            return
        if any(each.path == self.path for each in self._others()):
            super().rollback()  # what the next one to open it would do
            return
        paths = [self.path.with_name(self.path.name + suffix) for suffix in ("", "-journal")]
        left = {path: path.with_name(f"{path.name}.{self.process.name}.left") for path in paths if path.exists()}
        for path, copy in left.items():
            shutil.copyfile(path, copy)
        super().rollback()  # now, since whenever it is closed SQLite would delete the hot journal by its name
        for path, copy in left.items():
            copy.replace(path)

    def _others(self) -> Iterator["Connection"]:
        for process in self.process.host.processes:
            if process is not self.process and process.is_running:
                yield from process.connections


class Cursor(sqlite3.Cursor):
    def execute(self, statement: str, *arguments: Any) -> "Cursor":
        if statement.startswith("BEGIN IMMEDIATE"):
            process = self.connection.process  # type: ignore[attr-defined]  # ours is a Connection of above
            self.connection.watch()  # type: ignore[attr-defined]
            process.step("journal", "begin")
            fail_if_broken(process)
        super().execute(statement, *arguments)
        return self


def fail_if_broken(process: Process) -> None:
    if process.disk_is is not None:
        raise sqlite3.OperationalError(_ERRORS[process.disk_is][2])


def _file_step(what: str) -> None:
    """A process is about to change a file."""
    process = _owner()
    if process is None:
        return
    process.step("file", what)
    if process.disk_is is not None and not what.startswith("unlink"):
        number, words, _ = _ERRORS[process.disk_is]
        raise OSError(number, words)


class _File(io.FileIO):
    def write(self, data: Any) -> int:
        _file_step("write")
        return super().write(data)


class _Archive(ZipFile):
    """A workbook's. One over which a process has died stays unfinished; Python would try when it is collected."""

    def __del__(self) -> None: ...


def _wrapped(original: Callable[..., Any], what: str) -> Callable[..., Any]:
    def wrapper(*arguments: Any, **options: Any) -> Any:
        _file_step(f"{what} {Path(str(arguments[0])).suffix}".rstrip() if isinstance(arguments[0], Path) else what)
        return original(*arguments, **options)

    return wrapper


def _unlinking(original: Callable[..., None]) -> Callable[..., None]:
    def unlink(path: Any, *arguments: Any, **options: Any) -> None:
        _file_step("unlink")
        original(path, *arguments, **options)
        process = _owner()
        if process is not None and process.disk_is is Blow.DISK_FULL and str(path).endswith(".reserve"):
            process.disk_is = None  # there is room again

    return unlink


def _opening(original: Callable[..., int]) -> Callable[..., int]:
    def opened(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            _file_step("open")
        return original(path, flags, *arguments, **options)

    return opened


def _path_opening(original: Callable[..., Any]) -> Callable[..., Any]:
    def opened(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if mode.startswith(("w", "a", "x")):
            _file_step("open")
        return original(path, mode, *arguments, **options)

    return opened


def _fdopen(original: Callable[..., Any]) -> Callable[..., Any]:
    def opened(descriptor: int, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if _owner() is None or mode != "w+b":
            return original(descriptor, mode, *arguments, **options)
        return io.BufferedRandom(_File(descriptor, "r+b"))

    return opened


def _connect(_dialect: object, _record: object, _arguments: object, options: dict[str, Any]) -> None:
    if _owner() is not None:
        options["factory"] = Connection


@contextmanager
def machine(draw: Random) -> Iterator[None]:
    """For the block, what processes ask of the machine is answered by the simulation, and its chance by `draw`."""

    # A stream of its own: libraries ask for random bytes once in the life of a Python process.
    bytes_ = Random(draw.random())  # noqa: S311  # the same each time is the point

    # And one for the names that the journal keeps, so that no library's asking moves them.
    names = Random(bytes_.random())  # noqa: S311

    def drawn_name() -> UUID:
        return UUID(int=names.getrandbits(128))

    def urandom(size: int) -> bytes:
        return bytes_.randbytes(min(size, 4096)).ljust(size, b"\1")

    event.listen(Engine, "do_connect", _connect)
    try:
        with ExitStack() as stack:
            for target, name, new in (
                (os, "open", _opening(os.open)),
                (os, "fdopen", _fdopen(os.fdopen)),
                (os, "fsync", _wrapped(os.fsync, "fsync")),
                (os, "replace", _wrapped(os.replace, "rename")),
                (os, "rename", _wrapped(os.rename, "rename")),
                (os, "link", _wrapped(os.link, "link")),
                (os, "unlink", _unlinking(os.unlink)),
                (Path, "open", _path_opening(Path.open)),
                (os, "urandom", urandom),
                (random, "_urandom", urandom),
                (store, "uuid4", drawn_name),
                (secrets, "choice", draw.choice),
                (excel, "ZipFile", _Archive),
                (lock, "FileLock", OsLock),
                (lock, "machine_lock", OsMachineLock),
                (lock, "no_locks", _has_locks),
                (opening, "no_locks", _has_locks),
                (access, "lock_folder", _lock_folder),
                (locking, "lock_folder", _lock_folder),
                (opening, "create_engine", _THRIFT.engine),
                (access, "load_config", _THRIFT.config),
                (desk, "load_config", _THRIFT.config),
            ):
                stack.enter_context(patch.object(target, name, new))
            yield
    finally:
        event.remove(Engine, "do_connect", _connect)


class _Thrift:
    """What every command computes anew and what is the same each time: here it is computed once.

    SQLAlchemy keeps compiled statements for each engine and dialect, and every command makes its own.
    """

    def __init__(self) -> None:
        self._first: Engine | None = None
        self._configs: dict[tuple[Path, bytes], Config] = {}

    def engine(self, *arguments: Any, **options: Any) -> Engine:
        engine = create_engine(*arguments, **options)
        if self._first is None:
            self._first = engine
        else:
            engine.dialect = engine.pool._dialect = self._first.dialect
            engine._compiled_cache = self._first._compiled_cache
        return engine

    def config(self, path: Path | None, environ: Mapping[str, str], cwd: Path) -> Config:
        text = (cwd / "config.yaml").read_bytes()
        if (cwd, text) not in self._configs:
            self._configs[cwd, text] = load_config(path, environ, cwd)
        return self._configs[cwd, text]


_THRIFT = _Thrift()


def _has_locks(_folder: Path) -> None:
    """What `no_locks` says of a drive that gives locks."""


def _lock_folder() -> Path:
    return current_process().host.folder / "locks"
