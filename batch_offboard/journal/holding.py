"""Files of the journal that another program holds for a moment: told apart from files that stay unusable, and waited
for.

On Windows a program can open a file without sharing it. Virus scanners, backups, indexers and sync clients do so with
files that have just changed, and the journal changes with every call.
"""

import errno
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from batch_offboard.base.errors import JournalError

T = TypeVar("T")

# SQLite itself tries for 1.4 s on Windows (ten times, 25 ms more between them each time: SQLITE_WIN32_IOERR_RETRY in
# its os_win.c), which outlasts a scanner's look at a small file. A backup reads 100 MB, a journal of 300,000 rows or
# so, in 10 s from a slow disk; this is three times that.
PATIENCE = 30.0  # seconds
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds

# What SQLite calls its files; those of the write-ahead log are there only if another program has switched it on.
SUFFIXES = ("", "-journal", "-wal", "-shm")

HANDLES = 3  # the journal, its rollback file, their folder

SHARING_VIOLATION, LOCK_VIOLATION = 32, 33  # of Windows (winerror.h): another program has it open, or locked a part
HELD = (SHARING_VIOLATION, LOCK_VIOLATION)

# A file that was deleted while another program has it open keeps its name until that one closes it, and nobody can open
# it or make it anew. SQLite deletes the files beside the journal, so that this says nothing of permissions there.
ACCESS_DENIED, DELETE_PENDING = 5, 303
HELD_BESIDE = (*HELD, ACCESS_DENIED, DELETE_PENDING)


class JournalHeldError(JournalError):
    """Another program holds a file of the journal. `waited`: it was waited for already. `undone`: the transaction has
    certainly had no effect, so that it can be repeated."""

    waited = undone = False


def held(path: Path, file: Path | None) -> JournalHeldError:
    """The error for a journal of which `file` is held; None if that was concluded, and not seen."""
    holds = f"holds {file}" if file is not None else f"seems to hold the journal {path}"
    return JournalHeldError(
        f"Another program, such as a virus scanner, backup, indexer or sync client, {holds}; nothing is lost. Wait "
        f"until it is done or close it, or exclude the folder {path.parent} from it, then type the same command "
        "again, or `batch-offboard resume` if a run was under way."
    )


def held_file(path: Path) -> Path | None:
    """The first of the journal's files that the system says another program holds."""
    return next((file for file in files_of(path) if refusal(file) in (HELD if file == path else HELD_BESIDE)), None)


def files_of(path: Path) -> list[Path]:
    return [path.with_name(f"{path.name}{suffix}") for suffix in SUFFIXES]


def held_by(error: OSError, *files: Path) -> Path | None:
    """Which of the files another program holds, if that is why the system refused a call about them."""
    # The C library's calls, such as `open`, say EACCES for a held file and for a missing permission alike.
    seen = next((file for file in files if refusal(file) in HELD), None) if isinstance(error, PermissionError) else None
    return seen or (files[0] if getattr(error, "winerror", None) in HELD else None)


class Obstacle(NamedTuple):
    """Why the journal's files cannot be used however long one waits, and what to do; two clauses."""

    reason: str
    remedy: str


def obstacle(path: Path) -> Obstacle | None:
    """The first that is found, or None."""
    try:
        return _obstacle(path)
    except OSError as error:  # the folder's permissions, or the disk
        return Obstacle(f"of an error ({error.strerror or error})", "check the disk and who may read and write there")


def _obstacle(path: Path) -> Obstacle | None:
    for file in files_of(path):
        if file.is_symlink() or (file.exists() and not file.is_file()):
            return Obstacle(f"{file} is not a plain file", "move that away")
        denied = not os.access(file, os.R_OK | os.W_OK) or (file == path and refusal(file) == ACCESS_DENIED)
        if file.exists() and denied:
            return Obstacle(f"this account may not read and write {file}", "change its permissions")
    if not path.exists():
        return Obstacle("it is not there", "put it back")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return Obstacle(f"this account may not write in the folder {path.parent}", "change its permissions")
    if _has_no_handles():
        return Obstacle("too many files are open", "close other programs or raise the limit on open files")
    return None


def _has_no_handles() -> bool:
    """Whether this process cannot have as many files open as SQLite needs for a transaction."""
    with ExitStack() as opened:
        try:
            for _ in range(HANDLES):
                opened.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            return error.errno in (errno.EMFILE, errno.ENFILE)
    return False


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel.CreateFileW.restype = wintypes.HANDLE
    _kernel.CreateFileW.argtypes = (
        wintypes.LPCWSTR,
        wintypes.DWORD,
        wintypes.DWORD,
        wintypes.LPVOID,
        wintypes.DWORD,
        wintypes.DWORD,
        wintypes.HANDLE,
    )
    _kernel.ReadFile.argtypes = (
        wintypes.HANDLE,
        wintypes.LPVOID,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.DWORD),
        wintypes.LPVOID,
    )
    _kernel.CloseHandle.argtypes = (wintypes.HANDLE,)

    def refusal(file: Path) -> int:
        """Windows' error when the file is opened for reading and writing, shared with everybody, and its first byte is
        read, which SQLite never locks; 0 if there is none."""
        read_and_write, share_all, open_existing = 0xC0000000, 0x7, 3
        handle = _kernel.CreateFileW(str(file), read_and_write, share_all, None, open_existing, 0, None)
        if handle == wintypes.HANDLE(-1).value:
            return ctypes.get_last_error()
        try:
            byte, number = ctypes.create_string_buffer(1), wintypes.DWORD()
            done = _kernel.ReadFile(handle, byte, 1, ctypes.byref(number), None)
            return 0 if done else ctypes.get_last_error()
        finally:
            _kernel.CloseHandle(handle)

else:

    def refusal(file: Path) -> int:  # noqa: ARG001
        """Always 0: here no program can keep a file from others. It must not be opened to find out, since closing it
        would drop all locks that this process has on it (fcntl(2))."""
        return 0


@dataclass(slots=True)
class Patience:
    """Waits for held files, in the thread that needs them, as SQLite itself waits for locks.

    Once it is exhausted nothing is waited for until a file could be used again: many outcomes may be left to write, and
    a run that cannot go on must end. `ticks` and `sleep` are of seconds.
    """

    ticks: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    exhausted: bool = False

    def until_free(self, work: Callable[[], T]) -> T:
        """The result of `work`, which is tried again when it raises JournalHeldError, and must have had no effect then.
        The last such error when `PATIENCE` is over."""
        deadline, pause = self.ticks() + PATIENCE, FIRST_PAUSE
        while True:
            try:
                result = work()
            except JournalHeldError as error:
                if error.waited or self.exhausted or self.ticks() + pause > deadline:
                    self.exhausted = True
                    raise
            else:
                self.exhausted = False
                return result
            self.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


def remove(file: Path) -> None:
    """Delete a file that nobody needs; one that another program holds stays."""
    with suppress(PermissionError):
        file.unlink(missing_ok=True)
