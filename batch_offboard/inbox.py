"""The inbox of unattended runs: a folder in which people put sheets, and what lies in it.

A sheet that is taken moves to `working`, and from there to `done` or `failed`; all of them lie in the inbox itself, so
that a move is a rename and nothing is ever there twice or half. Nothing here reads a sheet or decides what becomes of
it.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from batch_offboard.errors import BatchOffboardError, ExitCode, InputError, UsageError
from batch_offboard.safe_text import one_line

SUFFIXES: Final = frozenset({".csv", ".txt", ".tsv", ".xlsx", ".xlsm", ".xls", ".xlsb", ".ods"})
HALF_SUFFIXES: Final = (".tmp", ".part", ".filepart", ".crdownload")  # of what browsers and others have not finished
EXPLANATION: Final = ".why.txt"

# Whoever writes to a file for so long without a pause is not copying a sheet; a file's time may be a file server's.
SETTLED = 60.0  # seconds
CLOCKS_DIFFER = 3600.0  # seconds

LONGEST_STEM = 100  # characters of a sheet's own name that are kept when it is given a longer one
MOST_NAMES = 999


class InboxError(BatchOffboardError):
    """The inbox cannot be read, or a sheet cannot be moved in it."""

    exit_code = ExitCode.UNFINISHED


@dataclass(frozen=True, slots=True)
class Found:
    """A sheet as it was found in the inbox. `changed` is in seconds since the epoch; two that are equal are one file
    that nobody has written to in between."""

    path: Path
    size: int
    changed: float
    identity: tuple[int, int]

    def is_settled(self, now: float) -> bool:
        """Whether it was last changed long enough ago; a time far in the future says nothing."""
        return not -CLOCKS_DIFFER <= now - self.changed < SETTLED


class Inbox:
    """The folder `path`, which is resolved, and the three folders in it."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.working, self.done, self.failed = (self.path / name for name in ("working", "done", "failed"))

    def prepare(self) -> None:
        """Make the folders. UsageError if there is no inbox, or something else has a folder's name."""
        if not self.path.is_dir():
            raise UsageError(f"There is no folder {one_line(str(self.path))} (--inbox); make it first.")
        for folder in (self.working, self.done, self.failed):
            try:
                folder.mkdir(exist_ok=True)
            except OSError as error:
                raise UsageError(
                    f"The folder {one_line(str(folder))} cannot be made ({_reason(error)}); nothing was sent. "
                    "Check who may write there."
                ) from error
            if folder.is_symlink():  # a move to another disk is no rename
                raise UsageError(f"{one_line(str(folder))} leads elsewhere; it must be a folder of the inbox itself.")

    def waiting(self) -> list[Found]:
        """The sheets that nobody has taken yet, the oldest first."""
        return sorted(_files(self.path, _is_sheet), key=_age)

    def strangers(self) -> list[Path]:
        """The files that are no sheets by their names, and are left where they are."""
        return [found.path for found in _files(self.path, _is_stranger)]

    def at_work(self) -> list[Path]:
        """The sheets that a run has taken and not finished with, the oldest first."""
        return [found.path for found in sorted(_files(self.working, _is_sheet), key=_age)]

    def take(self, found: Found) -> Path | None:
        """Move a sheet to `working`; returns where it is, or None if somebody has it open or has changed it."""
        target = free_name(self.working, found.path.name)
        try:
            found.path.rename(target)
        except OSError as error:
            if isinstance(error, PermissionError | FileNotFoundError):
                return None
            raise InboxError(_cannot_move(found.path, self.working, error)) from error
        taken = _found(target)
        if taken is not None and (taken.size, taken.changed) == (found.size, found.changed):
            return target
        target.rename(free_name(self.path, found.path.name))
        return None

    def move(self, sheet: Path, place: Path, why: str = "") -> Path:
        """Move a sheet that was taken to its place, a name in `done` or `failed` that is free; returns the place.

        `why` says in plain words why it lies there, and is written first: no sheet is ever found without its reason.
        """
        if why:
            _explain(place, why)
        try:
            return sheet.rename(place)
        except OSError as error:
            raise InboxError(_cannot_move(sheet, place.parent, error)) from error


@dataclass(frozen=True, slots=True)
class Companion:
    """A file that a spreadsheet program (`is_lock`) or a browser puts beside a sheet while it is not done with it.
    `changed` is in seconds since the epoch."""

    path: Path
    changed: float
    is_lock: bool


def companion(sheet: Path) -> Companion | None:
    """What says that somebody is not done with this sheet."""
    locks = [f"~${sheet.name}", f".~lock.{sheet.name}#"]
    for name in [*locks, *(f"{sheet.name}{suffix}" for suffix in HALF_SUFFIXES)]:
        try:
            status = sheet.with_name(name).lstat()
        except OSError:
            continue
        return Companion(sheet.with_name(name), status.st_mtime, name in locks)
    return None


def sha256_of(sheet: Path) -> str:
    """The SHA-256 of a sheet that was taken; InputError if it cannot be read."""
    try:
        with sheet.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{one_line(sheet.name)} cannot be read ({_reason(error)}); check who may read it.") from error


def free_name(folder: Path, name: str) -> Path:
    """The path of this name in the folder, or of `name.1.csv` and so on if there is one already."""
    stem, suffix = Path(name).stem[:LONGEST_STEM], Path(name).suffix
    for number in range(MOST_NAMES):
        candidate = folder / (f"{stem}.{number}{suffix}" if number else f"{stem}{suffix}")
        if not os.path.lexists(candidate):
            return candidate
    raise InboxError(f"{one_line(str(folder))} holds {MOST_NAMES} files called {one_line(name)}; tidy it up.")


def _explain(sheet: Path, text: str) -> None:
    target = sheet.with_name(f"{sheet.name}{EXPLANATION}")
    try:
        target.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise InboxError(
            f"{one_line(str(target))} cannot be written ({_reason(error)}); check who may write there."
        ) from error


def _files(folder: Path, chosen: Callable[[str], bool]) -> Iterator[Found]:
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise InboxError(
            f"{one_line(str(folder))} cannot be read ({_reason(error)}); check who may read it."
        ) from error
    for name in names:
        found = _found(folder / name) if chosen(name) else None
        if found is not None:
            yield found


def _is_sheet(name: str) -> bool:
    plain = not name.startswith((".", "~$")) and not name.lower().endswith(EXPLANATION)
    return plain and Path(name.lower()).suffix in SUFFIXES


def _is_stranger(name: str) -> bool:
    return not name.startswith((".", "~$")) and not name.lower().endswith((*SUFFIXES, *HALF_SUFFIXES))


def _age(found: Found) -> tuple[float, str]:
    return (found.changed, found.path.name)


def _found(path: Path) -> Found | None:
    """The file as it stands; None for a folder, a link, a hidden file, and one that is gone."""
    try:
        status = path.lstat()
    except OSError:
        return None
    hidden = getattr(status, "st_file_attributes", 0) & stat.FILE_ATTRIBUTE_HIDDEN  # on Windows a mark, not a name
    if not stat.S_ISREG(status.st_mode) or hidden:
        return None
    return Found(path, status.st_size, status.st_mtime_ns / 1e9, (status.st_dev, status.st_ino))


def _cannot_move(sheet: Path, folder: Path, error: OSError) -> str:
    places = f"{one_line(str(sheet))} cannot be moved to {one_line(str(folder))}"
    return f"{places} ({_reason(error)}); check who may write there."


def _reason(error: OSError) -> str:
    return one_line(error.strerror or str(error) or type(error).__name__)
