"""Checks a file before any reader opens it: regular, readable, not too large, and of which format.

The format is determined from the content. A suffix that contradicts it is an error: one of the two is wrong, and a
reader that guesses would hide it.
"""

import hashlib
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from batch_offboard.base.errors import InputError
from batch_offboard.base.filenames import length_objection, name_of, windows_objection
from batch_offboard.core.devices import shown

LARGEST_TEXT: Final = 1 << 30  # bytes
_REMEDY: Final = "save the list as CSV or XLSX"
LARGEST_WORKBOOK: Final = 256 << 20  # bytes; a workbook is held in memory while it is read


class FileKind(StrEnum):
    """The supported kinds of content; a ZIP is examined further."""

    TEXT = "text"
    ZIP = "ZIP"
    OLE = "OLE"


@dataclass(frozen=True, slots=True)
class InputFile:
    """A regular file as it was found; `mtime_ns` and `size` show later whether it has changed."""

    path: Path
    size: int  # bytes
    mtime_ns: int

    @property
    def name(self) -> str:
        """The file's own name, safe to print."""
        return shown(name_of(self.path))

    def refuse_changed(self) -> None:
        """Raise InputError if the file has changed since it was found."""
        if find_input(self.path) != self:
            raise changed(self)


def changed(file: InputFile) -> InputError:
    """The error for a file that is written to while it is read."""
    return InputError(f"{file.name} was changed while it was being read; close it elsewhere and try again.")


def find_input(path: Path) -> InputFile:
    """Check the file without opening it; raises InputError unless it can be a table."""
    name = shown(name_of(path))
    objection = windows_objection(path)
    if objection is not None:
        raise InputError(f"{shown(str(path), 300)} is not a file on Windows: {objection}; name the spreadsheet itself.")
    try:
        status = path.stat()
    except FileNotFoundError:
        too_long = length_objection(path.absolute())
        if too_long is not None:
            raise InputError(f"{name} was not found: {too_long}; move it to a shorter path.") from None
        raise InputError(f"{shown(str(path), 300)} does not exist; check the path.") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{name} cannot be reached ({shown(str(error))}); check the path.") from None
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{name} is a folder; name the spreadsheet itself.")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{name} is a device, a pipe or a socket, not a file; name a spreadsheet.")
    if status.st_size == 0:
        raise InputError(f"{name} is empty (0 bytes); export the list again.")
    if status.st_size > LARGEST_TEXT:
        raise InputError(f"{name} has {status.st_size} bytes; at most {LARGEST_TEXT} are read, split it.")
    return InputFile(path, status.st_size, status.st_mtime_ns)


def first_bytes(file: InputFile) -> bytes:
    """The beginning of the file, enough to determine its kind; raises InputError if it cannot be opened."""
    try:
        with file.path.open("rb") as opened:
            return opened.read(4096)
    except OSError as error:
        raise unreadable(file, error) from None


def unreadable(file: InputFile, error: OSError) -> InputError:
    """The error for a file that cannot be read."""
    if isinstance(error, PermissionError):
        return InputError(
            f"{file.name} cannot be opened; close it in other programs, or ask for permission to read it."
        )
    return InputError(f"{file.name} cannot be read ({shown(error.strerror or str(error))}); check its disk.")


def read_whole(file: InputFile) -> tuple[bytes, str]:
    """All bytes of the file and their SHA-256; raises InputError if it is too large or changes meanwhile."""
    if file.size > LARGEST_WORKBOOK:
        limit = LARGEST_WORKBOOK
        raise InputError(f"{file.name} has {file.size} bytes; workbooks are read up to {limit}, save it as CSV.")
    try:
        content = file.path.read_bytes()
    except OSError as error:
        raise unreadable(file, error) from None
    if len(content) != file.size:
        raise changed(file)
    file.refuse_changed()
    return content, hashlib.sha256(content).hexdigest()


def kind_of(head: bytes, name: str) -> FileKind:
    """The kind of content that begins with `head`; raises InputError for an unsupported kind and names it if known."""
    for magic, what in _OTHERS:
        if head.startswith(magic):
            raise InputError(f"{name} is {what} by its content, not a spreadsheet; save the list as CSV or XLSX.")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] == b"<":
        raise InputError(f"{name} is an HTML or XML page by its content; {_REMEDY}.")
    if text[:1] in (b"{", b"[") and b'"' in text[:64]:
        raise InputError(f"{name} is JSON by its content, not a spreadsheet; {_REMEDY}.")
    if head.startswith(b"PK"):
        return FileKind.ZIP
    return FileKind.OLE if head.startswith(_OLE) else FileKind.TEXT


def refuse_other_suffix(path: Path, kind: str) -> None:
    """Raise InputError if the suffix belongs to another kind than this one (CSV, XLSX, XLS, XLSB, ODS)."""
    promised = _SUFFIXES.get(path.suffix.lower())
    if promised is not None and promised != kind:
        what = "text, such as CSV," if kind == "CSV" else f"an {kind} workbook"
        raise InputError(
            f"{shown(path.name)} is {what} by its content, but its name says {promised}; "
            "give it the right name, or save it again."
        )


_OLE = bytes.fromhex("d0cf11e0a1b11ae1")

_SUFFIXES: Final = {
    ".csv": "CSV",
    ".txt": "CSV",
    ".tsv": "CSV",
    ".tab": "CSV",
    ".xlsx": "XLSX",
    ".xlsm": "XLSX",
    ".xls": "XLS",
    ".xlsb": "XLSB",
    ".ods": "ODS",
}

_OTHERS: Final = (
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"MZ\x90", "a program"),
    (b"\x7fELF", "a program"),
    (b"{\\rtf", "an RTF document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\xfd7zXZ", "an XZ archive"),
    (b"SQLite format 3", "a SQLite database"),
    (b"PAR1", "a Parquet file"),
    (b"\x09\x08", "a workbook of Excel 4 or older"),
)
