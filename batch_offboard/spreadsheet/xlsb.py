"""What the reader of XLSB does not tell, from the sheet's binary records: hidden rows, formulas, far cells.

The records are described in Microsoft's [MS-XLSB], sections 2.1.4 (record), 2.4.709 (row) and 2.5.9 (cell).
"""

import struct
from collections.abc import Iterator

from batch_offboard.errors import InputError
from batch_offboard.rows import CellKind
from batch_offboard.spreadsheet.archive import Archive
from batch_offboard.spreadsheet.sheet_facts import SheetFacts

_ROW = 0
_BLANK = 1
_ERROR = 3
_LAST_VALUE = 7
_LAST_FORMULA = 11
_SHEET = 156
_HIDDEN_ROW = 0x10  # fDyZero, in the twelfth byte of the row record


def bound_sheets(archive: Archive) -> list[tuple[str, str]]:
    """Name and relation ID of each sheet of the workbook."""
    found = []
    for kind, data in _records(archive, "xl/workbook.bin"):
        if kind == _SHEET:
            relation, rest = _text(data[8:])
            found.append((_text(rest)[0], relation))
    return found


def sheet_facts(archive: Archive, part: str, id_index: int | None) -> SheetFacts:
    """Walk over the sheet's records; `id_index` is the column whose formulas and errors are of interest."""
    facts = SheetFacts()
    row, hidden = 0, False
    for kind, data in _records(archive, part):
        if kind == _ROW and len(data) >= 12:
            row, hidden = int.from_bytes(data[:4], "little") + 1, bool(data[11] & _HIDDEN_ROW)
        elif _BLANK < kind <= _LAST_FORMULA and len(data) >= 4:
            column = int.from_bytes(data[:4], "little")
            facts.cells += 1
            facts.last_row = max(facts.last_row, row)
            facts.last_column = max(facts.last_column, column)
            if hidden:
                facts.hidden_rows.add(row)
            if column == id_index and (kind > _LAST_VALUE or kind == _ERROR):
                facts.special[row] = CellKind.ERROR if kind == _ERROR else CellKind.FORMULA
    return facts


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
    """A text with its length in front, and what follows it."""
    try:
        (length,) = struct.unpack_from("<I", data)
    except struct.error:
        raise InputError("The workbook's list of sheets is damaged; save the list again.") from None
    end = 4 + 2 * int(length)
    return data[4:end].decode("utf-16-le", "replace"), data[end:]
