"""Detects a text file's encoding: by its byte order mark, NUL bytes or escapes, as UTF-8, or as a common older one."""

import codecs
import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from batch_offboard.base.errors import InputError

MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_UNMARKED = (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2))
_END_OF_FILE = "\x1a\r\n"  # Ctrl-Z, which old programs append to the text, and line ends around it
_TAIL: Final = 256  # bytes

_USUAL = ("cp932", "euc_jp", "gb18030", "big5", "euc_kr", "cp1252", "cp1250", "cp1251", "cp1253", "cp1254")
_LATIN = ("cp1252", "cp1250", "cp1254")
_SHIFTED = ("iso2022_jp", "iso2022_jp_ext", "iso2022_jp_2004", "iso2022_kr")  # 7 bits, tables changed by escapes
_SHIFT = re.compile(rb"\x1b(?:\$[@AB]|\$[()][A-Z]|\([BIJ])")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_EVIDENCE = 128 << 10  # bytes of lines with characters outside ASCII
_SHOWN: Final = {
    "utf-8": "UTF-8",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "utf-32-le": "UTF-32",
    "utf-32-be": "UTF-32",
    "cp932": "Shift-JIS",
    "euc_jp": "EUC-JP",
    "gb18030": "GB18030",
    "big5": "Big5",
    "euc_kr": "EUC-KR",
    "iso2022_jp": "ISO-2022-JP",
    "iso2022_jp_ext": "ISO-2022-JP",
    "iso2022_jp_2004": "ISO-2022-JP",
    "iso2022_kr": "ISO-2022-KR",
}


def mark_of(start: bytes) -> tuple[str | None, int]:
    """The encoding that a byte order mark names and the mark's length, or None and 0."""
    for mark, encoding in MARKS:
        if start.startswith(mark):
            return encoding, len(mark)
    return None, 0


def unmarked(start: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark, by the NUL bytes of its ASCII characters; None for any other text."""
    if b"\0" not in start:
        return None
    for encoding, width in _UNMARKED:
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(start[: len(start) // width * width])
        except UnicodeDecodeError:
            continue
        if "\0" not in text and sum(map(str.isascii, text)) * 4 > len(text):
            return encoding
    return None


def length_of_end(tail: bytes, encoding: str) -> int:
    """How many bytes at the file's end are not text: an old end-of-file mark (Ctrl-Z) with the line ends around it.

    `tail` is the end of the file and begins with a whole character.
    """
    width = next((width for name, width in _UNMARKED if name == encoding), 1)
    text = tail.decode(encoding if width > 1 else "latin-1", "replace")
    end = text[len(text.rstrip(_END_OF_FILE)) :]
    return len(end) * width if "\x1a" in end else 0


def tail_of(path: Path) -> bytes:
    """The last bytes of a file; they begin with a whole character, whatever its width."""
    with path.open("rb") as opened:
        size = opened.seek(0, io.SEEK_END)
        opened.seek(max(0, (size - _TAIL) // 4 * 4) if size > _TAIL else 0)
        return opened.read()


def line_of_nul(path: Path, encoding: str | None) -> tuple[int, bool]:
    """The line, from 1, of the first NUL character (there must be one), and whether only NULs follow."""
    line = 1
    with path.open(encoding=encoding or "latin-1", errors="replace") as opened:
        while text := opened.read(1 << 20):
            before, nul, after = text.partition("\0")
            line += before.count("\n")
            if nul:
                rest = iter([after, *iter(lambda: opened.read(1 << 20), "")])
                return line, not any(piece.strip("\0\n") for piece in rest)
    return line, False


def shown_encoding(encoding: str) -> str:
    """The encoding's usual name."""
    return _SHOWN.get(encoding, encoding.replace("cp", "Windows-"))


def shifted_encoding(path: Path, name: str) -> str | None:
    """The encoding of a file of 7-bit characters and escape sequences, as Japanese mail programs and mainframes use it.

    None if the escapes are not those of such an encoding; raises InputError if they are and none of them fits.
    """
    with path.open("rb") as opened:
        shifts = any(_SHIFT.search(line) for line in opened)
    if not shifts:
        return None
    for encoding in _SHIFTED:
        if _decodes(path, encoding):
            return encoding
    raise InputError(f"{name} is not text in ISO-2022-JP or a related encoding; save it again as CSV (UTF-8).")


def older_encoding(path: Path, name: str) -> str:
    """The encoding of a file that is not UTF-8; raises InputError if no common one fits the whole file."""
    evidence = _lines_beyond_ascii(path)
    if _CONTROL.search(evidence):
        raise InputError(f"{name} holds control bytes and is not text; save it again as CSV (UTF-8).")
    for encoding in _ranked(evidence):
        if encoding in _LATIN and _is_mixed(evidence):
            raise InputError(f"{name} mixes UTF-8 with an older encoding; save it again as CSV (UTF-8).")
        if _decodes(path, encoding):
            return encoding
    raise InputError(f"{name} is not text in a known encoding; save it again as CSV (UTF-8).")


def _lines_beyond_ascii(path: Path) -> bytes:
    lines: list[bytes] = []
    size = 0
    with path.open("rb") as opened:
        for line in opened:
            if not line.isascii():
                lines.append(line[:4096].rstrip(b"\x1a"))
                size += len(line)
                if size > _EVIDENCE:
                    break
    return b"".join(lines)


def _ranked(evidence: bytes) -> Iterable[str]:
    """The common encodings that fit the evidence, the best first."""
    from charset_normalizer import from_bytes

    fits = [match.encoding for match in from_bytes(evidence, cp_isolation=list(_USUAL))]
    latin = sorted(_LATIN, key=lambda encoding: _strangeness(evidence, encoding))
    ranked = [latin[0] if encoding in _LATIN else encoding for encoding in fits]
    if (not ranked or ranked[0] in _LATIN) and _looks_japanese(evidence, latin[0]):
        ranked.insert(0, "cp932")
    return dict.fromkeys([*ranked, *latin])


def _looks_japanese(evidence: bytes, latin: str) -> bool:
    """Shift-JIS if it fits and Latin gives mostly symbols: a few Japanese words are not enough for statistics."""
    try:
        text = evidence.decode("cp932")
    except UnicodeDecodeError:
        return False
    private = any("\ue000" <= char <= "\uf8ff" for char in text)
    foreign = sum(byte > 0x7F for byte in evidence)
    return not private and _strangeness(evidence, latin) * 3 >= foreign


def _strangeness(evidence: bytes, encoding: str) -> int:
    """How many characters are not letters: a wrong Latin table turns letters into symbols such as `¹` and `³`."""
    text = evidence.decode(encoding, "replace")
    return sum(ord(char) > 0x7F and not char.isalpha() for char in text)


def _is_mixed(evidence: bytes) -> bool:
    """True if some lines are UTF-8 and others are not: two files were joined, and one of them would be misread."""
    verdicts = {_is_utf8(line) for line in evidence.splitlines() if not line.isascii()}
    return verdicts == {True, False}


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with path.open("rb") as opened:
            while piece := opened.read(io.DEFAULT_BUFFER_SIZE * 16):
                decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
