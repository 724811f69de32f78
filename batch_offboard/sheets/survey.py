"""The first pass over a text file: its SHA-256, its encoding, and whether it is text at all.

Only a sample is kept; what cannot be decided cheaply in this pass is flagged for the second one.
"""

import codecs
import hashlib
from dataclasses import dataclass
from typing import Final

from batch_offboard.base.errors import InputError
from batch_offboard.sheets.encodings import (
    length_of_end,
    line_of_nul,
    mark_of,
    older_encoding,
    shifted_encoding,
    tail_of,
    unmarked,
)
from batch_offboard.sheets.intake import InputFile, changed, unreadable

LONGEST_FIELD: Final = 32 << 10  # characters; what a spreadsheet cell can hold
SAMPLE: Final = 1 << 20  # bytes
_PIECE = 1 << 20
_BLOCK = LONGEST_FIELD // 2


@dataclass(frozen=True, slots=True)
class Survey:
    """The result of the first pass."""

    file: InputFile
    sha256: str
    encoding: str
    mark_length: int  # bytes of the byte order mark
    length: int  # bytes of the text between that mark and an end-of-file mark
    sample: str  # the beginning, up to the last complete line
    is_whole: bool  # the sample is the whole file
    needs_field_checks: bool  # quotation marks or long lines: fields may be long or hold line breaks


def survey_text(file: InputFile) -> Survey:
    """Read the file once; raises InputError for NUL bytes, endless lines and undecodable text."""
    try:
        return _surveyed(file)
    except OSError as error:
        raise unreadable(file, error) from None


def _surveyed(file: InputFile) -> Survey:
    digest = hashlib.sha256()
    start = b""
    watch = None
    with file.path.open("rb") as opened:
        while piece := opened.read(_PIECE):
            digest.update(piece)
            if watch is None:
                start = piece
                watch = _Watch(file, *_encoding_at(piece))
            watch.feed(piece)
    if watch is None:
        raise changed(file)
    encoding = watch.encoding or older_encoding(file.path, file.name)
    if watch.has_escapes:
        encoding = shifted_encoding(file.path, file.name) or encoding
    length = file.size - watch.mark_length - length_of_end(tail_of(file.path), encoding)
    file.refuse_changed()
    text = start[watch.mark_length :][:length].decode(encoding, "ignore")
    whole = len(start) == file.size
    if not whole:
        text = text[: max(text.rfind("\n"), text.rfind("\r")) + 1]
    return Survey(file, digest.hexdigest(), encoding, watch.mark_length, length, text, whole, watch.needs_field_checks)


def _encoding_at(start: bytes) -> tuple[str | None, int]:
    """The encoding shown by the file's beginning, and the length of its mark; None if there is no sign of one."""
    encoding, length = mark_of(start)
    return encoding or unmarked(start), length


class _Watch:
    """Examines every piece of the file once."""

    def __init__(self, file: InputFile, encoding: str | None, mark_length: int) -> None:
        self.mark_length = mark_length
        self.needs_field_checks = False
        self.has_escapes = False  # in a file of 7-bit characters
        self._file = file
        self._name = file.name
        self._marked = encoding
        self._decoder = codecs.getincrementaldecoder(encoding or "utf-8")()
        self._is_utf8 = True
        self._is_ascii = True
        self._wide = encoding is not None and encoding != "utf-8"

    @property
    def encoding(self) -> str | None:
        """The encoding, or None if the file is not UTF-8 and has no mark."""
        return self._marked or ("utf-8" if self._is_utf8 else None)

    def feed(self, piece: bytes) -> None:
        """Check one piece of the file."""
        self._decode(piece)
        if self._wide:
            self.needs_field_checks = True
            return
        if b"\0" in piece:
            raise self._nul()
        self._is_ascii = self._is_ascii and piece.isascii()
        self.has_escapes = self._is_ascii and (self.has_escapes or b"\x1b" in piece)
        ends = (b"\n", b"\r")
        if len(piece) == _PIECE and not any(end in piece for end in ends):
            raise self._endless()
        if not self.needs_field_checks:
            blocks = (piece[at : at + _BLOCK] for at in range(0, len(piece) - _BLOCK, _BLOCK))
            self.needs_field_checks = b'"' in piece or not all(any(e in b for e in ends) for b in blocks)

    def _decode(self, piece: bytes) -> None:
        if not self._is_utf8:
            return
        try:
            text = self._decoder.decode(piece)
        except UnicodeDecodeError:
            if self._marked:
                raise InputError(
                    f"{self._name} begins as {self._marked.upper()} and continues as something else; save it again."
                ) from None
            self._is_utf8 = False
            return
        if self._wide and "\0" in text:
            raise self._nul()
        if self._wide and len(piece) == _PIECE and "\n" not in text and "\r" not in text:
            raise self._endless()

    def _nul(self) -> InputError:
        line, is_end = line_of_nul(self._file.path, self._marked if self._wide else None)
        if is_end:
            return InputError(
                f"{self._name} ends with NUL bytes from line {line} on, as after a copy that failed, and rows may be "
                "missing; save the list again as CSV."
            )
        return InputError(f"{self._name}, line {line}: the line holds NUL bytes; save the list again as CSV.")

    def _endless(self) -> InputError:
        return InputError(
            f"{self._name} has a line of more than a million bytes; it is not a list of devices; name another file."
        )
