"""Facts that the XLSB reader does not return, from the sheet's binary records: hidden rows and columns, filters,
formulas, and stray cells far from the others.

The records are described in Microsoft's [MS-XLSB]: record 2.1.4, BrtRowHdr, BrtColInfo, BrtWsFmtInfo, BrtWsProp and
BrtBeginAFilter in 2.4, cell 2.5.9.
"""

import struct
from collections.abc import Iterator

from batch_offboard.base.errors import InputError
from batch_offboard.core.rows import CellKind
from batch_offboard.sheets.archive import Archive
from batch_offboard.sheets.sheet_facts import (
    LAST_ROW,
    LEAST_HEIGHT,
    LEAST_WIDTH,
    ColumnMarks,
    RowMarks,
    SheetFacts,
)

_ROW = 0
_BLANK = 1
_ERROR = 3
_LAST_VALUE = 7
_LAST_FORMULA = 11
_SHEET = 156
_HIDDEN_ROW = 0x10  # fDyZero, in the twelfth byte of the row record
_COLLAPSED_ROW = 0x08
_LEVEL = 0x07
_TWIPS = 20  # per point
_COLUMNS = 60
_HIDDEN_COLUMNS = 0x01
_FORMAT = 485
_NO_WIDTH = 0xFFFFFFFF  # in 1/256 of a character; then the width in whole characters applies
_PROPERTIES = 147
_SUMMARY_BELOW = 0x40  # fRowSumsBelow, in the first byte of the sheet's properties
_FILTER = 161
_MERGED = 176
_CONDITIONS = range(165, 176)  # the condition of a column of a filter


def bound_sheets(archive: Archive) -> list[tuple[str, str]]:
    """Name and relation ID of each sheet of the workbook."""
    found = []
    for kind, data in _records(archive, "xl/workbook.bin"):
        if kind == _SHEET:
            relation, rest = _text(data[8:])
            found.append((_text(rest)[0], relation))
    return found


def sheet_facts(archive: Archive, part: str, id_index: int | None) -> SheetFacts:
    """Scan the sheet's records; `id_index` is the column whose formulas and errors are noted."""
    walk = _Walk(id_index)
    for kind, data in _records(archive, part):
        walk.take(kind, data)
    return walk.result()


class _Walk:
    """Collects the facts from the records of one sheet or table."""

    def __init__(self, id_index: int | None) -> None:
        self._facts = SheetFacts()
        self._id_index = id_index
        self._marks = RowMarks()
        self._columns = ColumnMarks()
        self._row = 0
        self._marked = False
        self._filled: set[int] = set()  # of the rows that may be hidden
        self._under = range(0)  # the rows under the filter that is being read

    def take(self, kind: int, data: bytes) -> None:
        """Process the next record."""
        if _BLANK < kind <= _LAST_FORMULA and len(data) >= 4:
            self._cell(kind, data)
        elif kind == _ROW and len(data) >= 12:
            self._start_row(data)
        elif kind == _COLUMNS and len(data) >= 18:
            first, last, width = struct.unpack_from("<3I", data)
            self._columns.add(first, last, hidden=bool(data[16] & _HIDDEN_COLUMNS) or width < LEAST_WIDTH * 256)
        elif kind == _FORMAT and len(data) >= 6:
            width, characters = struct.unpack_from("<IH", data)
            self._columns.usually_hidden = (characters if width == _NO_WIDTH else width) == 0
        elif kind == _PROPERTIES and data:
            self._marks.summary_below = bool(data[0] & _SUMMARY_BELOW)
        elif kind == _FILTER and len(data) >= 8:
            first, last = struct.unpack_from("<2I", data)  # counted from 0, the first one being the header
            self._under = range(first + 2, min(last + 1, LAST_ROW) + 1)
        elif kind == _MERGED and len(data) >= 16:
            top, bottom, left, right = struct.unpack_from("<4I", data)
            self._facts.merged.append(((top, left), (min(bottom, LAST_ROW), right)))
        elif kind in _CONDITIONS:
            self._facts.filters.append(self._under)

    def result(self) -> SheetFacts:
        """The facts, once everything was read."""
        self._facts.hidden_columns = self._columns.hidden()
        self._facts.hidden_rows = self._marks.hidden() & self._filled
        return self._facts

    def _start_row(self, data: bytes) -> None:
        self._row = int.from_bytes(data[:4], "little") + 1
        low = int.from_bytes(data[8:10], "little") < LEAST_HEIGHT * _TWIPS
        self._marked = self._marks.add(
            self._row,
            hidden=bool(data[11] & _HIDDEN_ROW) or low,
            level=data[11] & _LEVEL,
            collapsed=bool(data[11] & _COLLAPSED_ROW),
        )

    def _cell(self, kind: int, data: bytes) -> None:
        facts = self._facts
        column = int.from_bytes(data[:4], "little")
        facts.cells += 1
        facts.last_row = max(facts.last_row, self._row)
        facts.last_column = max(facts.last_column, column)
        if self._marked:
            self._filled.add(self._row)
        if column == self._id_index and (kind > _LAST_VALUE or kind == _ERROR):
            facts.special[self._row] = CellKind.ERROR if kind == _ERROR else CellKind.FORMULA


def _records(archive: Archive, part: str) -> Iterator[tuple[int, bytes]]:
    """The records of a part: a type of one or two bytes, a length of up to four times seven bits, data."""
    content = archive.read(part, limit=1 << 30)
    place = 0
    try:
        while place < len(content):
            kind = content[place]
            place += 1
            if kind & 0x80:
                kind = (kind & 0x7F) | (content[place] & 0x7F) << 7
                place += 1
            length = shift = 0
            while True:
                byte = content[place]
                place += 1
                length |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80 or shift > 21:
                    break
            yield kind, content[place : place + length]
            place += length
    except IndexError:
        raise InputError("The workbook ends in the middle of a record; save the list again.") from None


def _text(data: bytes) -> tuple[str, bytes]:
    """A length-prefixed text, and the data after it."""
    try:
        (length,) = struct.unpack_from("<I", data)
    except struct.error:
        raise InputError("The workbook's list of sheets is damaged; save the list again.") from None
    end = 4 + 2 * int(length)
    return data[4:end].decode("utf-16-le", "replace"), data[end:]
