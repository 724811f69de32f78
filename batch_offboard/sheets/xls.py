"""Facts that the XLS reader does not return, from the BIFF8 records: hidden rows and columns, filters, formulas,
errors, and stray cells far from the others.

The records are described in Microsoft's [MS-XLS]: BoundSheet8 2.4.28, Row 2.4.221, ColInfo 2.4.53, DefaultRowHeight
2.4.90, WsBool 2.4.351, AutoFilter 2.4.6, Cell 2.5.13.
"""

import struct
from collections.abc import Iterator

from batch_offboard.base.errors import InputError
from batch_offboard.core.rows import CellKind
from batch_offboard.sheets.compound import CompoundFile
from batch_offboard.sheets.encryption import encrypted_with_password, refuse_encrypted
from batch_offboard.sheets.sheet_facts import (
    LAST_ROW,
    LEAST_HEIGHT,
    LEAST_WIDTH,
    ColumnMarks,
    RowMarks,
    SheetFacts,
)

_FORMULA = 0x0006
_EOF = 0x000A
_ENCRYPTED = 0x002F
_SHEET = 0x0085
_MULTIPLE = (0x00BD, 0x00BE)
_STRINGS = 0x00FC
_DIMENSIONS = 0x0200
_BOOLEAN_OR_ERROR = 0x0205
_ROW = 0x0208
_CELLS = frozenset({_FORMULA, 0x00D6, 0x00FD, 0x0203, 0x0204, _BOOLEAN_OR_ERROR, 0x027E})
_NAME_AT = 7  # offset of the flag before a sheet's name
_HIDDEN = 0x20  # fDyZero
_COLLAPSED = 0x10
_LEVEL = 0x07
_USUAL_HEIGHT = 0x8000  # the row has the sheet's default height
_TWIPS = 20  # per point
_USUAL_ROW = 0x0225
_USUALLY_HIDDEN = 0x02  # fDyZero of rows without a record
_COLUMNS = 0x007D
_USUAL_WIDTHS = (0x0055, 0x0099)  # DefColWidth in characters; DxGCol in 1/256 of one comes last and overrides it
_PROPERTIES = 0x0081
_SUMMARY_BELOW = 0x40  # fRowSumsBelow
_CONDITIONS = (0x009E, 0x087E)  # AutoFilter and AutoFilter12: the condition of a column


def workbook_stream(content: bytes, name: str) -> bytes:
    """The stream of BIFF8 records; raises InputError for encrypted workbooks and for other documents."""
    compound = CompoundFile(content, name)
    refuse_encrypted(compound.names, name)
    stream = compound.stream("Workbook")
    if stream is None:
        raise InputError(f"{name} is an old Office file without a worksheet of Excel 97 or later; save it as XLSX.")
    for kind, data in _records(stream, 0):
        if kind == _ENCRYPTED:
            raise encrypted_with_password(name)
        if kind == _STRINGS and len(data) >= 8 and int.from_bytes(data[4:8], "little") > len(stream):
            raise InputError(f"{name} declares more text than it can hold; save it again as XLSX.")
    return stream


def sheet_names(stream: bytes) -> list[str]:
    """The names of the sheets in the order of the workbook."""
    return [_name(data) for kind, data in _records(stream, 0) if kind == _SHEET and len(data) > _NAME_AT]


def sheet_facts(stream: bytes, id_index: int | None) -> list[SheetFacts]:
    """The facts of every sheet in the order of the workbook; `id_index` as for the other formats."""
    places = [
        int.from_bytes(data[:4], "little")
        for kind, data in _records(stream, 0)
        if kind == _SHEET and len(data) > _NAME_AT
    ]
    return [_facts(stream, place, id_index) for place in places]


def _name(data: bytes) -> str:
    """A sheet's name: its length, a flag for two bytes per character, and the characters."""
    length, wide = data[6], data[7] & 1
    return data[8 : 8 + length * (1 + wide)].decode("utf-16-le" if wide else "latin-1", "replace")


def _facts(stream: bytes, place: int, id_index: int | None) -> SheetFacts:
    walk = _Walk(id_index)
    for kind, data in _records(stream, place):
        walk.take(kind, data)
    return walk.result()


class _Walk:
    """Collects the facts from the records of one sheet."""

    def __init__(self, id_index: int | None) -> None:
        self._facts = SheetFacts()
        self._id_index = id_index
        self._marks = RowMarks()
        self._columns = ColumnMarks()
        self._described: set[int] = set()
        self._filled: set[int] = set()
        self._usually_hidden = False

    def take(self, kind: int, data: bytes) -> None:
        """Process the next record."""
        if kind in _CELLS or kind in _MULTIPLE:
            self._cell(kind, data)
        elif kind == _ROW and len(data) >= 14:
            self._row(data)
        elif kind == _DIMENSIONS:
            _stretch(self._facts, data)
        elif kind == _COLUMNS and len(data) >= 10:
            first, last, width, _, flags = struct.unpack_from("<5H", data)
            self._columns.add(first, last, hidden=bool(flags & 1) or width < LEAST_WIDTH * 256)
        elif kind in _USUAL_WIDTHS and len(data) >= 2:
            self._columns.usually_hidden = data[:2] == b"\0\0"
        elif kind == _USUAL_ROW and data:
            self._usually_hidden = bool(data[0] & _USUALLY_HIDDEN)
        elif kind == _PROPERTIES and data:
            self._marks.summary_below = bool(data[0] & _SUMMARY_BELOW)
        elif kind in _CONDITIONS:
            self._facts.filters.append(range(1, LAST_ROW + 1))  # its rows are only given by a formula

    def result(self) -> SheetFacts:
        """The facts, once the whole sheet was read."""
        self._facts.hidden_columns = self._columns.hidden()
        hidden = self._marks.hidden()
        if self._usually_hidden:
            hidden |= self._filled - self._described
        self._facts.hidden_rows = hidden & self._filled
        return self._facts

    def _cell(self, kind: int, data: bytes) -> None:
        facts = self._facts
        row, first, last = _span(kind, data)
        self._filled.add(row)
        facts.cells += last - first + 1
        facts.last_row = max(facts.last_row, row)
        facts.last_column = max(facts.last_column, last)
        if first == self._id_index:
            _mark(facts, row, kind, data)

    def _row(self, data: bytes) -> None:
        row, _, _, height = struct.unpack_from("<4H", data)
        low = not height & _USUAL_HEIGHT and height < LEAST_HEIGHT * _TWIPS
        self._described.add(row + 1)
        self._marks.add(
            row + 1,
            hidden=bool(data[12] & _HIDDEN) or low,
            level=data[12] & _LEVEL,
            collapsed=bool(data[12] & _COLLAPSED),
        )


def _span(kind: int, data: bytes) -> tuple[int, int, int]:
    """Row from 1, first and last column from 0 of a cell record."""
    if len(data) < 6:
        raise InputError("The workbook has a cell that is cut off; save the list again as XLSX.")
    row, first = struct.unpack_from("<HH", data)
    last = int.from_bytes(data[-2:], "little") if kind in _MULTIPLE else first
    return row + 1, first, max(first, last)


def _mark(facts: SheetFacts, row: int, kind: int, data: bytes) -> None:
    if kind == _FORMULA:
        facts.special[row] = CellKind.FORMULA
    elif kind == _BOOLEAN_OR_ERROR and len(data) >= 8 and data[7]:
        facts.special[row] = CellKind.ERROR


def _stretch(facts: SheetFacts, data: bytes) -> None:
    """Include the declared dimensions, since the reader reserves memory for them."""
    if len(data) not in (10, 14):
        raise InputError("The workbook's dimensions are damaged; save the list again as XLSX.")
    first_row, last_row, first_column, last_column = struct.unpack_from("<IIHH" if len(data) == 14 else "<4H", data)
    if first_row > last_row or first_column > last_column:
        raise InputError("The workbook's dimensions are damaged; save the list again as XLSX.")
    facts.last_row = max(facts.last_row, last_row)
    facts.last_column = max(facts.last_column, last_column - 1)


def _records(stream: bytes, place: int) -> Iterator[tuple[int, bytes]]:
    """The records from an offset up to the end of the substream."""
    while place + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, place)
        if kind == _EOF:
            return
        yield kind, stream[place + 4 : place + 4 + length]
        place += 4 + length
