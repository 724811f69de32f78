"""The inbox of unattended runs: a folder that people put sheets into.

A sheet that is taken moves to `working`, and from there to `done` or `failed`, or to `waiting` until other people have
approved it; all of these are folders in the inbox, so that a move is an atomic rename. Nothing here reads a sheet or
decides about it. Files that are not taken stay where they are, and each run reports them with what to do, since the
person who put them there waits for a result.
"""

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from batch_offboard.base.errors import BatchOffboardError, ExitCode, InputError, UsageError
from batch_offboard.base.text import one_line

SUFFIXES: Final = frozenset({".csv", ".txt", ".tsv", ".xlsx", ".xlsm", ".xls", ".xlsb", ".ods"})
HALF_SUFFIXES: Final = (".tmp", ".part", ".filepart", ".crdownload")  # of unfinished downloads and copies
EXPLANATION: Final = ".why.txt"
STALE = 86_400.0  # seconds after which an unfinished download is considered abandoned

# A file unchanged for this long is complete: no copy pauses for longer. The time may be a file server's.
SETTLED = 60.0  # seconds
CLOCKS_DIFFER = 3600.0  # seconds

LONGEST_STEM = 100  # characters of a sheet's name that are kept when it gets a longer one
MOST_NAMES = 999


class InboxError(BatchOffboardError):
    """The inbox cannot be read, or a sheet cannot be moved in it."""

    exit_code = ExitCode.UNFINISHED


@dataclass(frozen=True, slots=True)
class Found:
    """A sheet as found in the inbox. `changed` is in seconds since the epoch; two equal values are the same file, not
    written to in between."""

    path: Path
    size: int
    changed: float
    identity: tuple[int, int]

    def is_settled(self, now: float) -> bool:
        """Whether it was last changed long enough ago; a time far in the future is ignored."""
        return not -CLOCKS_DIFFER <= now - self.changed < SETTLED


@dataclass(frozen=True, slots=True)
class Stranger:
    """An entry of the inbox that is not taken, with a sentence that says what it is and what to do."""

    path: Path
    sentence: str


class Inbox:
    """The folder `path` (resolved) and its subfolders; `unapproved`, named `waiting`, is created when first needed."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.working, self.done, self.failed = (self.path / name for name in ("working", "done", "failed"))
        self.unapproved = self.path / "waiting"

    def prepare(self) -> None:
        """Create the folders. Raises UsageError if there is no inbox, or if something else has a folder's name."""
        if not self.path.is_dir():
            raise UsageError(f"There is no folder {one_line(str(self.path))} (--inbox); make it first.")
        for folder in (self.working, self.done, self.failed):
            try:
                folder.mkdir(exist_ok=True)
            except OSError as error:
                raise UsageError(
                    f"The folder {one_line(str(folder))} cannot be created ({_reason(error)}); nothing was sent. "
                    "Check who may write there."
                ) from error
        for folder in (self.working, self.done, self.failed, self.unapproved):
            if folder.is_symlink():  # a move to another disk is not a rename
                raise UsageError(f"{one_line(str(folder))} leads elsewhere; it must be a folder of the inbox itself.")

    def waiting(self) -> list[Found]:
        """The sheets that were not taken yet, oldest first."""
        return sorted(_files(self.path, _is_sheet), key=_age)

    def strangers(self, now: float) -> list[Stranger]:
        """Entries that are not taken, by name: files of other kinds, folders, links, and unfinished downloads."""
        own = {self.working.name, self.done.name, self.failed.name, self.unapproved.name}
        paths = [self.path / name for name in _names(self.path) if name not in own and not _is_unseen(name)]
        sentences = ((path, _why_not_taken(path, now)) for path in paths)
        return [Stranger(path, sentence) for path, sentence in sentences if sentence]

    def at_work(self) -> list[Path]:
        """The sheets that a run has taken and not finished, oldest first."""
        return [found.path for found in sorted(_files(self.working, _is_sheet), key=_age)]

    def not_approved(self) -> list[Path]:
        """The sheets that wait for an approval, oldest first."""
        if not self.unapproved.is_dir():
            return []
        return [found.path for found in sorted(_files(self.unapproved, _is_sheet), key=_age)]

    def put_aside(self, sheet: Path, why: str) -> Path:
        """Move a taken sheet to `waiting`; `why` says which approval it waits for."""
        try:
            self.unapproved.mkdir(exist_ok=True)
        except OSError as error:
            raise InboxError(_cannot_move(sheet, self.unapproved, error)) from error
        return self.move(sheet, free_name(self.unapproved, sheet.name), why)

    def take_again(self, sheet: Path) -> Path:
        """Move a sheet that has waited for an approval back to `working`; its explanation is deleted."""
        moved = self.move(sheet, free_name(self.working, sheet.name))
        with suppress(OSError):
            sheet.with_name(f"{sheet.name}{EXPLANATION}").unlink(missing_ok=True)
        return moved

    def take(self, found: Found) -> Path | None:
        """Move a sheet to `working`; returns its new path, or None if it is open or was changed."""
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
        """Move a taken sheet to a free name in `done` or `failed`; returns its new path.

        `why` is the reason in plain words; it is written first, so that no sheet is ever there without its reason.
        """
        if why:
            _explain(place, why)
        try:
            return sheet.rename(place)
        except OSError as error:
            raise InboxError(_cannot_move(sheet, place.parent, error)) from error


@dataclass(frozen=True, slots=True)
class Companion:
    """A file that a spreadsheet program (`is_lock`) or a browser keeps beside a sheet while the sheet is in use.
    `changed` is in seconds since the epoch."""

    path: Path
    changed: float
    is_lock: bool


def companion(sheet: Path) -> Companion | None:
    """The file beside this sheet that shows that it is in use, or None."""
    locks = [f"~${sheet.name}", f".~lock.{sheet.name}#"]
    for name in [*locks, *(f"{sheet.name}{suffix}" for suffix in HALF_SUFFIXES)]:
        try:
            status = sheet.with_name(name).lstat()
        except OSError:
            continue
        return Companion(sheet.with_name(name), status.st_mtime, name in locks)
    return None


@contextmanager
def copy_of(inbox: Path) -> Iterator[Path]:
    """A temporary folder with copies of an inbox's files, for a rehearsal; the inbox is unchanged."""
    source = Inbox(inbox)
    if not source.path.is_dir():
        raise UsageError(f"There is no folder {one_line(str(source.path))} (--inbox); make it first.")
    with tempfile.TemporaryDirectory(prefix="batch-offboard-night-") as folder:
        for found in _files(source.path, lambda _name: True):
            shutil.copy2(found.path, Path(folder) / found.path.name)
        yield Path(folder)


def sha256_of(sheet: Path) -> str:
    """The SHA-256 of a taken sheet. Raises InputError if it cannot be read."""
    try:
        with sheet.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{one_line(sheet.name)} cannot be read ({_reason(error)}); check who may read it.") from error


def free_name(folder: Path, name: str) -> Path:
    """The path for this name in the folder, or for `name.1.csv` and so on if it is taken."""
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


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise InboxError(
            f"{one_line(str(folder))} cannot be read ({_reason(error)}); check who may read it."
        ) from error


def _files(folder: Path, chosen: Callable[[str], bool]) -> Iterator[Found]:
    for name in _names(folder):
        found = _found(folder / name) if chosen(name) else None
        if found is not None:
            yield found


def _is_sheet(name: str) -> bool:
    return not _is_unseen(name) and Path(name.lower()).suffix in SUFFIXES


def _is_unseen(name: str) -> bool:
    """Whether a program created the file by itself: a hidden file, a lock, folder settings, or a reason written by
    us."""
    lower = name.lower()
    return name.startswith((".", "~$")) or lower in _OF_SYSTEMS or lower.endswith(EXPLANATION)


def _why_not_taken(path: Path, now: float) -> str:
    """Why the file is not taken and what to do; empty for a sheet, and for a file that may still become one."""
    try:
        status = path.lstat()
    except OSError:
        return ""
    suffix, mode = path.suffix.lower(), status.st_mode
    is_document = stat.S_ISREG(mode) or (stat.S_ISDIR(mode) and suffix == ".numbers")
    if getattr(status, "st_file_attributes", 0) & stat.FILE_ATTRIBUTE_HIDDEN:
        why = ""
    elif not is_document:
        why = _not_a_file(mode)
    elif suffix in HALF_SUFFIXES:
        stale = now - status.st_mtime > STALE
        why = "a copy or download that was never finished; put the sheet into the inbox again." if stale else ""
    elif suffix in SUFFIXES:
        why = ""
    else:
        why = "{}; {}.".format(*_OTHER_KINDS.get(suffix, _UNKNOWN))
    return why


def _not_a_file(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a link, which is not followed; put the sheet itself into the inbox."
    if stat.S_ISDIR(mode):
        return "a folder; put the sheets in it into the inbox itself."
    return "no file; remove it from the inbox."


def _age(found: Found) -> tuple[float, str]:
    return (found.changed, found.path.name)


def _found(path: Path) -> Found | None:
    """The file as it is now; None for a folder, a link, a hidden file, or one that no longer exists."""
    try:
        status = path.lstat()
    except OSError:
        return None
    hidden = (
        getattr(status, "st_file_attributes", 0) & stat.FILE_ATTRIBUTE_HIDDEN
    )  # on Windows an attribute, not part of the name
    if not stat.S_ISREG(status.st_mode) or hidden:
        return None
    return Found(path, status.st_size, status.st_mtime_ns / 1e9, (status.st_dev, status.st_ino))


def _cannot_move(sheet: Path, folder: Path, error: OSError) -> str:
    places = f"{one_line(str(sheet))} cannot be moved to {one_line(str(folder))}"
    return f"{places} ({_reason(error)}); check who may write there."


def _reason(error: OSError) -> str:
    return one_line(error.strerror or str(error) or type(error).__name__)


_OF_SYSTEMS: Final = frozenset({"desktop.ini", "thumbs.db", "ehthumbs.db", "icon\r"})

_UNKNOWN: Final = ("a file of a kind that is not read", "save the list as XLSX or CSV, or move the file elsewhere")
_UNPACK: Final = "unpack it and put the sheet itself into the inbox"
_SAVE: Final = "save the list as XLSX or CSV"
_COPY: Final = "put the list itself into a sheet, as XLSX or CSV"


def _kinds(what: str, remedy: str, suffixes: str) -> dict[str, tuple[str, str]]:
    return {f".{suffix}": (what, remedy) for suffix in suffixes.split()}


_OTHER_KINDS: Final = {
    **_kinds("a ZIP archive", _UNPACK, "zip zipx"),
    **_kinds("an archive", _UNPACK, "7z rar tar gz tgz bz2 xz zst cab lzh iso"),
    **_kinds("an Apple Numbers document", "export it from Numbers as Excel or CSV", "numbers"),
    **_kinds("only a link to a Google sheet", "download the sheet as XLSX or CSV", "gsheet"),
    **_kinds("only a link to a Google document", "download the list as XLSX or CSV", "gdoc"),
    **_kinds("only a link", "put the sheet itself into the inbox", "url lnk webloc desktop"),
    **_kinds("a PDF", "export the list as XLSX or CSV from where the PDF came from", "pdf"),
    **_kinds("a Word document", _COPY, "doc docx docm dot dotx"),
    **_kinds("a text document", _COPY, "odt rtf pages md"),
    **_kinds("a presentation", _COPY, "ppt pptx odp key"),
    **_kinds("a mail", "save its attachment, or its list as XLSX or CSV, into the inbox", "eml msg"),
    **_kinds("a web page", _SAVE, "htm html mht mhtml"),
    **_kinds("a file for programs", _SAVE, "json jsonl ndjson xml yaml yml parquet"),
    **_kinds("a database", "export the list as XLSX or CSV", "mdb accdb db sqlite sqlite3 dbf"),
    **_kinds(
        "a spreadsheet of a kind that is not read", _SAVE, "fods ots xlt xltx xltm xlam xlw slk dif et wk1 123 wps"
    ),
    **_kinds("a picture", _COPY, "png jpg jpeg gif bmp tif tiff heic webp svg"),
    **_kinds(
        "encrypted by a sensitivity label",
        "save an unprotected copy as XLSX or CSV",
        "pfile pxlsx pxls pxlsm pcsv ptxt",
    ),
}
