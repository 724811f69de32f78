"""The journal in an SQLite file: private, durable, of the right version, or not opened at all."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from json import JSONDecodeError
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import URL, Connection, Engine, RootTransaction, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from batch_offboard.base.errors import JournalError, NoLocksError, UsageError
from batch_offboard.base.filenames import windows_objection
from batch_offboard.base.text import one_line
from batch_offboard.journal.database import Database
from batch_offboard.journal.drives import no_locks
from batch_offboard.journal.holding import Patience, held, held_by, held_file, obstacle, remove
from batch_offboard.journal.migrations import VERSION, migrate, stored_version

# A run waits so long for others that read or plan in the same journal; each of their transactions is short.
BUSY_TIMEOUT = 60.0  # seconds

# How SQLite speaks of a lock that it does not get, whether it is held or the drive gives none.
LOCK_TROUBLE = ("is locked", "disk I/O error", "locking protocol")

# Kept beside the journal and given up when the disk is full, so that the outcomes of the calls that are still in
# flight can be written.
RESERVE = 1 << 20  # bytes

# Of a journal of 300,000 rows or so; its full check takes about two seconds.
LARGEST_FULL_CHECK = 100_000_000  # bytes

# Errors of a commit that leave the rollback file behind, from which SQLite takes the transaction back.
UNDONE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR_DELETE)

MAKING = 2.0  # seconds in which a new journal that has its name has long got its tables


class SQLite(Database):
    """A journal in one file. Opens it, migrated to this version; JournalError if that cannot be done."""

    writes = "BEGIN IMMEDIATE"

    def __init__(self, path: Path, *, create: bool) -> None:
        self._path = path
        self._patience = Patience()
        self.engine = self._patience.until_free(lambda: open_engine(path, create=create))
        self._file = file_at(path)

    def begun(self, **options: Any) -> tuple[Connection, RootTransaction]:
        """A file that another program holds is waited for here, where nothing has happened yet: SQLite opens its files
        before the transaction's first statement."""
        return self._patience.until_free(lambda: super(SQLite, self).begun(**options))

    def explaining(self) -> AbstractContextManager[None]:
        return told(self._path)

    def refuse_if_gone(self) -> None:
        """SQLite goes on in a file that has lost its name, and all that it keeps would be gone with the process."""
        if file_at(self._path) != self._file:
            raise JournalError(
                f"The journal {self._path} was deleted or replaced while it was in use; put it back, then try again. "
                "Nothing more is sent."
            )

    def refuse_if_damaged(self) -> None:
        """A page that a disk has garbled may hold another row's state; SQLite itself finds out only when it must.

        The quick check does not see that rows are out of order, and so cannot be found; it is for journals of which
        the other takes longer than somebody who resumes wants to wait.
        """
        check = "integrity_check" if self._path.stat().st_size <= LARGEST_FULL_CHECK else "quick_check"
        with self.reading() as connection:
            found = connection.execute(text(f"PRAGMA {check}(1)")).scalar()
        if found != "ok":
            raise JournalError(
                f"The journal {self._path} is damaged ({one_line(str(found))}); restore it from a backup, and look "
                "for its latest calls in the portal."
            )

    def hold_reserve(self) -> None:
        self._patience.until_free(self._fill_reserve)

    def _fill_reserve(self) -> None:
        try:
            with self._reserve.open("wb") as file:
                file.write(os.urandom(RESERVE))  # nothing that a file system could compress away
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            file_held = held_by(error, self._reserve)
            if file_held is not None:
                raise held(self._path, file_held) from error
            raise JournalError(
                f"The folder of the journal {self._path} has no space left ({error.strerror}); nothing was sent. "
                "Free some space."
            ) from error

    def give_up_reserve(self) -> None:
        with suppress(OSError):
            self._reserve.unlink(missing_ok=True)

    @property
    def frees_locks_of_the_dead(self) -> bool:
        """The lock on a file beside the journal goes with the process that held it."""
        return True

    @property
    def _reserve(self) -> Path:
        return self._path.with_name(f"{self._path.name}.reserve")


def open_engine(path: Path, *, create: bool) -> Engine:
    """The engine of the journal at `path`, migrated to this version; JournalError if that cannot be."""
    try:
        _prepare_file(path, create=create)
        engine = _engine(path)
        try:
            with told(path):
                _bring_to_version(engine, path)
        except BaseException:
            engine.dispose()
            raise
    except OSError as error:
        file_held = held_by(error, path)
        if file_held is not None:
            raise held(path, file_held) from error
        raise JournalError(
            f"The journal {path} cannot be opened ({error.strerror or error}); change that, or name another with "
            "--journal if nothing was sent with this one."
        ) from error
    return engine


def file_at(path: Path) -> tuple[int, int] | None:
    """Which file has this name, whatever is in it; None if there is none that can be looked at."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turns the database's errors into one sentence for the operator."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        raise _explained(path, error.orig if isinstance(error, DBAPIError) else error) from error
    except (UnicodeDecodeError, JSONDecodeError) as error:  # garbled on the disk, in the tables or what describes them
        raise _explained(path, sqlite3.DatabaseError("malformed")) from error


def _explained(path: Path, error: BaseException | None) -> JournalError:
    reason = str(error)
    if any(sign in reason for sign in LOCK_TROUBLE):
        _refuse_lockless(path)
    file_held = held_file(path)
    if "is locked" in reason:
        file_held = file_held or path
    elif file_held is None:
        cannot_open = "unable to open database file" in reason
        found = obstacle(path) if cannot_open or "disk I/O error" in reason else None
        if found is not None:
            return JournalError(
                f"The journal {path} cannot be used because {found.reason}; {found.remedy}, then try again."
            )
        if not cannot_open:
            return JournalError(f"The journal {path} {_sentence(reason)}")
    # While a file is held, nothing else that SQLite says of the journal can be believed.
    explained = held(path, file_held)
    explained.waited = "is locked" in reason
    explained.undone = getattr(error, "sqlite_errorcode", None) in UNDONE
    return explained


def _refuse_lockless(path: Path) -> None:
    """Tried before SQLite does, which would wait for a minute, and blame another program or the disk."""
    reason = no_locks(path.parent)
    if reason is not None:
        raise NoLocksError(
            f"The journal {path} is on a drive that does not support locks ({reason}); keep it on a disk of this "
            "computer, with journal in the configuration or --journal."
        )


def _sentence(reason: str) -> str:
    remedies = {
        "disk is full": "cannot be written because the disk is full; free some space, then try again.",
        "readonly database": "cannot be written because it is read-only; change that, then try again.",
        "not a database": "is not a journal, or is damaged; restore it from a backup or name another with --journal.",
        "malformed": "is damaged; restore it from a backup, and look for its latest calls in the portal.",
        "disk I/O error": "cannot be written because the disk reports an error; check the disk, then try again.",
    }
    remedy = next((words for sign, words in remedies.items() if sign in reason), None)
    return (
        remedy
        or f"does not work ({reason}); nothing more is sent without it. Check its disk and its folder, then try again."
    )


def _prepare_file(path: Path, *, create: bool) -> None:
    """Make the file and its folder for this user alone, whatever the umask; SQLite's own files take after it."""
    objection = windows_objection(path)
    if objection is not None:
        raise UsageError(f"The journal cannot be {path} on Windows: {objection}; name another with --journal.")
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise JournalError(f"The journal {path} must be a plain file; name another with --journal.")
    if path.exists():
        _refuse_lockless(path)
        if _stays_empty(path):
            file_held = held_file(path)
            if file_held is not None:  # a sync client may be about to write it
                raise held(path, file_held)
            # Ours are never empty for longer than a moment: a memory of calls that is gone must not pass unseen.
            raise JournalError(f"The journal {path} is empty; restore it from a backup, or delete it to start over.")
        return
    if not create:
        raise UsageError(f"There is no journal at {path}; `plan` or `run` a sheet first.")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_lockless(path)
    _make(path)


def _make(path: Path) -> None:
    """A new journal gets its name when it is whole, so that a process that dies over it leaves none behind."""
    unnamed = path.with_name(f"{path.name}.{uuid4().hex}.new")
    try:
        _create(unnamed)
        engine = _engine(unnamed)
        try:
            with told(path):
                _bring_to_version(engine, unnamed)
        finally:
            engine.dispose()
        with suppress(FileExistsError):  # another process was quicker, and theirs is as good
            _name(unnamed, path)
    finally:
        remove(unnamed)


def _name(unnamed: Path, path: Path) -> None:
    """Give the file its name in one step that replaces nothing; FileExistsError if the name is taken."""
    if os.name == "nt":
        unnamed.rename(path)
        return
    try:
        path.hardlink_to(unnamed)
    except FileExistsError:
        raise
    except OSError:  # not every file system has links; there the name is taken first, for the moment of an empty file
        _create(path)
        unnamed.replace(path)


def _create(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _stays_empty(path: Path) -> bool:
    """Whether the file is empty, and not just being made by another process."""
    deadline = time.monotonic() + MAKING
    while path.stat().st_size == 0:
        if time.monotonic() > deadline:
            return True
        time.sleep(0.05)
    return False


def _engine(path: Path) -> Engine:
    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": BUSY_TIMEOUT})

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        # Transactions begin where we say so, not where the driver guesses.
        connection.isolation_level = None
        # A rollback journal rather than WAL: SQLite up to 3.51.2 can lose a WAL at a reset, and EXTRA makes the end
        # of a transaction durable even if the power goes right after it (sqlite.org/pragma.html#pragma_synchronous).
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = EXTRA")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        statement = connection.get_execution_options().get("begin", "BEGIN")
        connection.exec_driver_sql(statement)
        # SQLite opens the rollback file with the first page that changes; here that is the first page, which every
        # transaction changes, and which keeps the number that it has: nobody uses this one.
        connection.exec_driver_sql("PRAGMA schema_version" if statement == "BEGIN" else "PRAGMA user_version = 0")

    return engine


def _bring_to_version(engine: Engine, path: Path) -> None:
    with engine.connect() as connection:
        version = stored_version(connection)
    if version > VERSION:
        raise JournalError(
            f"The journal {path} was written by a newer version of batch-offboard; use that one. Nothing was changed."
        )
    if version == VERSION:
        return
    if version == 0 and path.stat().st_size:
        raise JournalError(f"{path} belongs to another program; name another with --journal.")
    if version:
        _back_up(path, version)
    with engine.connect().execution_options(begin="BEGIN IMMEDIATE") as connection, connection.begin():
        migrate(connection)


def _back_up(path: Path, version: int) -> None:
    """A copy beside the journal, so that an older program can be gone back to."""
    copy = path.with_name(f"{path.name}.version-{version}.backup")
    if not copy.exists():
        _create(copy)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
