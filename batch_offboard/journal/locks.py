"""One process at a time for a tenant and application, and for a journal.

The operating system releases a lock when the process dies, however it dies. A note beside the lock file says who holds
the lock; it is only informative. A user's locks are in the user's folder, where nobody else can touch them; work that
other users of this computer must not do at the same time takes an additional lock that all of them share.
"""

import hashlib
import json
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from batch_offboard.base.clock import iso_utc, local_time, wall_of
from batch_offboard.base.errors import BusyError, NoLocksError
from batch_offboard.journal.drives import no_locks
from batch_offboard.journal.machine_lock import HeldError, machine_lock


@dataclass(frozen=True, slots=True)
class Shared:
    """The name of a lock that all users of this computer share."""

    name: str


Name = Path | Shared


@contextmanager
def only_process(names: Sequence[Name], doing: str, since: float, *, at_work_on: str = "this tenant") -> Iterator[None]:
    """Hold all the locks for the block, or raise BusyError that names the holder. `since` is in seconds since the
    epoch, `at_work_on` says what the locks protect."""
    with ExitStack() as held:
        for name in names:
            held.enter_context(
                _shared(name, at_work_on) if isinstance(name, Shared) else _one(name, doing, since, at_work_on)
            )
        yield


def run_locks(folder: Path, journal: Path, scope: str, *, simulated: bool = False) -> list[Name]:
    """The locks of a run: the journal's, beside it; the tenant and application's, in the user's folder; and, unless it
    is a rehearsal, the one that excludes other users of this computer from the same tenant."""
    tenant = f"tenant-{_digest(scope)}"
    own: list[Name] = [journal.with_name(f"{journal.name}.lock"), folder / f"{tenant}.lock"]
    return own if simulated else [*own, Shared(tenant)]


def reading_lock(folder: Path, scope: str) -> Path:
    """The lock of the process that reads the tenant, separate from those of the runs."""
    return folder / f"reading-{_digest(scope)}.lock"


def inbox_locks(folder: Path, inbox: Path) -> list[Name]:
    """The locks of the nightly run over an inbox (a resolved path): the user's, and the one that all users share."""
    name = f"inbox-{_digest(os.path.normcase(inbox))}"
    return [folder / f"{name}.lock", Shared(name)]


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:20]


@contextmanager
def _shared(lock: Shared, at_work_on: str) -> Iterator[None]:
    held = machine_lock(lock.name)
    try:
        held.acquire()
    except HeldError as holder:
        raise BusyError(f"Already at work on {at_work_on}: {holder}; wait until it ends, or stop it.") from None
    try:
        yield
    finally:
        held.release()


@contextmanager
def _one(path: Path, doing: str, since: float, at_work_on: str) -> Iterator[None]:
    note = path.with_name(f"{path.name}.holder")
    lock = FileLock(path, mode=0o600, timeout=0)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        reason = no_locks(path.parent)
        if reason is not None:
            raise NoLocksError(
                f"The lock {path} is on a drive that does not support locks ({reason}), and nothing was sent; keep the "
                "journal and the user's state folder on a disk of this computer."
            )
        lock.acquire()
    except Timeout:
        raise BusyError(_holder(note, at_work_on)) from None
    except OSError as error:
        raise BusyError(
            f"The lock {path} cannot be taken ({error.strerror or error}); check the permissions there."
        ) from error
    try:
        _write_note(note, doing, since)
        yield
    finally:
        with suppress(OSError):
            note.unlink(missing_ok=True)
        lock.release()


def _write_note(note: Path, doing: str, since: float) -> None:
    facts = {"pid": os.getpid(), "host": socket.gethostname(), "doing": doing, "since": iso_utc(since)}
    with suppress(OSError):
        descriptor = os.open(note, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(facts, file)


def is_held(lock: Path, doing: str) -> bool:
    """Whether the note beside a lock says that a live process does this. Informative only: used where testing the lock
    by taking it could block another process."""
    try:
        facts = json.loads(lock.with_name(f"{lock.name}.holder").read_text(encoding="utf-8"))
        here = facts["host"] == socket.gethostname()
        return facts["doing"] == doing and (not here or _lives(int(facts["pid"])))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def _lives(pid: int) -> bool:
    """Whether a process of this computer is alive."""
    if sys.platform == "win32":
        import ctypes

        query = 0x1000  # PROCESS_QUERY_LIMITED_INFORMATION
        handle = ctypes.windll.kernel32.OpenProcess(query, False, pid)  # noqa: FBT003
        return bool(handle and ctypes.windll.kernel32.CloseHandle(handle))
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _holder(note: Path, at_work_on: str) -> str:
    try:
        facts = json.loads(note.read_text(encoding="utf-8"))
        since = local_time(wall_of(facts["since"]))
        who = f"process {facts['pid']} on {facts['host']} ({facts['doing']}, since {since})"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        who = "another process"
    return f"Already at work on {at_work_on}: {who}; wait until it ends, or look at it with `batch-offboard list`."
