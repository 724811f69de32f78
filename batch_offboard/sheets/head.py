"""Finds the header among the first rows of a table.

Pure. A row that may be a device is never the header: a surplus row ends up in the report with a reason, a missing one
is a device that is lost without a trace.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from batch_offboard.base.errors import InputError
from batch_offboard.core.devices import holds_id, is_guid, is_id, may_be_name, shown, trimmed
from batch_offboard.core.rows import NotText
from batch_offboard.sheets.aliases import (
    HASH_HEADERS,
    ID_HEADERS,
    NAME_HEADERS,
    WEAK_ID_HEADERS,
    WEAK_NAME_HEADERS,
    header_key,
)

HEAD_ROWS: Final = 1100  # rows that are read before the columns are decided
_SAMPLE = 1000  # non-empty cells of a column that are examined to recognise it by content
_SEARCHED = 20  # rows in which a header below title lines is searched
_ID_KEYS: Final = ID_HEADERS | WEAK_ID_HEADERS
_NAME_KEYS: Final = NAME_HEADERS | WEAK_NAME_HEADERS
_KNOWN: Final = _ID_KEYS | _NAME_KEYS | HASH_HEADERS
_WORD_ENDS = re.compile(r"[\s_-]+|(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class HeadRow:
    """One of the table's first rows: its number in the sheet, and its cells with their types."""

    number: int
    cells: Sequence[str | NotText]

    def cell(self, index: int) -> str | NotText:
        """The cell; empty beyond the row's end."""
        return self.cells[index] if index < len(self.cells) else ""

    def text(self, index: int) -> str:
        """The cell as displayed, without surrounding blanks."""
        cell = self.cell(index)
        return cell.shown if isinstance(cell, NotText) else trimmed(cell)

    def key(self, index: int) -> str:
        """The cell's key as a header; empty for a cell that is not text."""
        cell = self.cell(index)
        return "" if isinstance(cell, NotText) else header_key(cell)


@dataclass(frozen=True, slots=True)
class Header:
    """The header row; unless `is_known`, it may be something else, and a note says which row was taken."""

    row: HeadRow
    is_known: bool


@dataclass(frozen=True, slots=True)
class NamedColumn:
    """What the operator typed for a column: a header's text, letters or a number from 1; and the option's name."""

    flag: str  # --id-column or --name-column
    typed: str | None
    usual: str  # the header to suggest for such a column
    known: frozenset[str]  # the headers that such a column usually has

    @property
    def place(self) -> int | None:
        """The column from 0 for letters or a number; None for other text."""
        option = trimmed(self.typed or "")
        if re.fullmatch(r"[A-Za-z]{1,3}", option):
            return column_index(option)
        if re.fullmatch(r"[1-9][0-9]{0,3}", option):
            return int(option) - 1
        return None


def id_option(typed: str | None) -> NamedColumn:
    """The column of device IDs as named by the operator."""
    return NamedColumn("--id-column", typed, "Device ID", _ID_KEYS)


def name_option(typed: str | None) -> NamedColumn:
    """The column of computer names as named by the operator."""
    return NamedColumn("--name-column", typed, "Device name", _NAME_KEYS)


def column_letters(index: int) -> str:
    """`0` is A, `26` is AA, as spreadsheet programs count."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def column_index(letters: str) -> int:
    """The inverse of `column_letters`, for upper and lower case."""
    index = 0
    for letter in letters.upper():
        index = index * 26 + ord(letter) - ord("A") + 1
    return index - 1


def sample(rows: Sequence[HeadRow], index: int) -> list[str | NotText]:
    """The first non-empty cells of a column."""
    cells = (row.cell(index) for row in rows)
    return [cell for cell in cells if isinstance(cell, NotText) or trimmed(cell)][:_SAMPLE]


def columns_of_ids(rows: Sequence[HeadRow], width: int) -> list[int]:
    """The columns where most of the first non-empty cells are device IDs."""
    samples = (sample(rows, index) for index in range(width))
    return [index for index, cells in enumerate(samples) if sum(map(is_id, cells)) * 2 > len(cells)]


def find_header(head: Sequence[HeadRow], width: int, ids: NamedColumn, names: NamedColumn) -> Header | None:
    """The header among the table's first non-blank rows (at least one), or None if the first row is data already.

    Raises InputError if a row may be the header or a device, or if the header is below other lines.
    """
    header = _header(head, width, ids, names)
    if header is not None:
        _refuse_ids_above(head, header.row)
    return header


def _header(head: Sequence[HeadRow], width: int, ids: NamedColumn, names: NamedColumn) -> Header | None:
    for option in (ids, names):
        typed = _row_with_text(head, option, width)
        if typed is not None:
            return Header(typed, has_own_header(typed))
    first = head[0]
    if has_own_header(first):
        return Header(first, is_known=True)
    for option in (ids, names):
        placed = _row_with_known_at(head, option)
        if placed is not None:
            return Header(placed, has_own_header(placed))
    if _holds_device(first):
        return None
    if _has_known(first, head) and not _may_be_named(first, head, names.place, strict=True):
        return Header(first, is_known=False)
    place = ids.place
    if place is None:
        _refuse_lower_header(head[1:_SEARCHED], width)
        place = next(iter(columns_of_ids(head[1:], width)), None)
    if ids.typed is None and names.typed is None:
        _refuse_lower_names(head)
    is_header = _heads_names(first, head, names.place) if place is None else _heads_ids(first, head, place, names)
    return Header(first, is_known=False) if is_header else None


def _row_with_text(head: Sequence[HeadRow], option: NamedColumn, width: int) -> HeadRow | None:
    """The row that has the text typed by the operator as a header.

    A letter or a number means a column, unless it is the text of a header that is known as one by other signs.
    """
    key = header_key(option.typed or "")
    means_column = option.place is not None and option.place < width
    for row in head[:_SEARCHED] if key else ():
        index = next((index for index in range(len(row.cells)) if row.key(index) == key), None)
        if index is None or _holds_device(row):
            continue
        if _has_known(row, head):
            return row
        if means_column:
            continue
        is_name = option.known == _NAME_KEYS
        if _is_data(row, head) or (is_name and _may_be_named(row, head, index, strict=True)):
            raise InputError(
                f"{option.flag} '{shown(option.typed or '')}' is in row {row.number}, which may be a device itself; if "
                f"it is, name the column by its letter ({option.flag} {column_letters(index)}), otherwise change the "
                f"header to '{option.usual}'."
            )
        return row
    return None


def _row_with_known_at(head: Sequence[HeadRow], option: NamedColumn) -> HeadRow | None:
    """The first row with a usual header in the column that the operator named by letter or number.

    Only titles may be above it: a value that happens to be such a word does not make the rows above it titles.
    """
    place = option.place
    for at, row in enumerate(head[:_SEARCHED] if place is not None else ()):
        if place is None or row.key(place) not in option.known or _holds_device(row):
            continue
        above = head[:at]
        names = option.known == _NAME_KEYS
        if any(_holds_device(other) or (names and may_be_name(other.text(place))) for other in above):
            continue
        return None if _is_data(row, head) and not has_own_header(row) else row
    return None


def _has_known(row: HeadRow, head: Sequence[HeadRow]) -> bool:
    """True if the row has a listed header, and is not a row of data that has such a word as a value."""
    if has_own_header(row):
        return True
    return any(row.key(index) in _KNOWN for index in range(len(row.cells))) and not _is_data(row, head)


def has_own_header(row: HeadRow) -> bool:
    """True if the row has a listed header that is neither a computer's name nor a usual value: of several words, with
    letters that computer names do not have, or one for device IDs. "Computer", "Host" and "Device" are also values."""
    if _holds_device(row):
        return False
    return any(_is_own(row.text(index), row.key(index)) for index in range(len(row.cells)))


def _is_own(text: str, key: str) -> bool:
    foreign = key in NAME_HEADERS and not text.isascii()
    return key in ID_HEADERS or foreign or (key in _KNOWN and len(_WORD_ENDS.split(text)) > 1)


def _is_data(row: HeadRow, head: Sequence[HeadRow]) -> bool:
    """True if a cell of the row resembles those in other rows: the same text, or letters and digits in the same order.

    Identical rows do not count: a list that was printed in pages repeats its header.
    """
    rows = [other for other in head if other.cells != row.cells]
    for index in range(len(row.cells)):
        text = row.text(index).casefold()
        form = shape(text)
        others = [other.text(index).casefold() for other in rows] if text else []
        if text in others or (form is not None and form in map(shape, others)):
            return True
    return False


def shape(text: str) -> str | None:
    """The pattern of letters and digits: `lt-0101.example` is a-0.a; None for a text without digits, whose pattern is
    not significant."""
    text = trimmed(text)[:100]
    if not any(char.isdigit() for char in text):
        return None
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", text))


def _may_be_named(row: HeadRow, head: Sequence[HeadRow], place: int | None, *, strict: bool) -> bool:
    """True if the cell in the column of names may be the name of a computer and is not a usual header.

    `strict`: also if it has no digit, provided that most of the names below it have none either.
    """
    if place is None or row.key(place) in _KNOWN or not may_be_name(row.text(place)):
        return False
    if shape(row.text(place)) is not None:
        return True
    below = [shown_text(cell) for cell in sample([other for other in head if other.number > row.number], place)]
    return strict and sum(shape(text) is None for text in below) * 2 >= len(below)


def shown_text(cell: str | NotText) -> str:
    """The cell as displayed."""
    return cell.shown if isinstance(cell, NotText) else trimmed(cell)


def _heads_ids(first: HeadRow, head: Sequence[HeadRow], place: int, names: NamedColumn) -> bool:
    """True if the first row is a header above a column of IDs, judged only by its wording."""
    return (
        _is_wording(first.cell(place))
        and not _is_data(first, head)
        and not _may_be_named(first, head, names.place, strict=False)
    )


def _heads_names(first: HeadRow, head: Sequence[HeadRow], place: int | None) -> bool:
    """True if the first row is a header above a column of names: it cannot be a name, and another column of numbers or
    IDs has words there. A list with only names gives no such evidence."""
    if place is None or not _is_wording(first.cell(place)) or may_be_name(first.text(place)) or _is_data(first, head):
        return False
    below = head[1:]
    others = (index for index in range(len(first.cells)) if index != place and _is_wording(first.cell(index)))
    return any(cells and all(map(_is_number_or_id, cells)) for cells in (sample(below, index) for index in others))


def _is_number_or_id(cell: str | NotText) -> bool:
    return isinstance(cell, NotText) or is_id(cell) or is_guid(cell) or re.fullmatch(r"[\d.,:/ -]+", cell) is not None


def _is_wording(cell: str | NotText) -> bool:
    """True for text without any digit, which cannot be a damaged ID or a name with a number."""
    return isinstance(cell, str) and bool(trimmed(cell)) and not any(char.isdigit() for char in cell)


def _holds_device(row: HeadRow) -> bool:
    """True if a cell is a device ID, intact or damaged."""
    return any(holds_id(cell) for cell in row.cells)


def _refuse_lower_header(rows: Sequence[HeadRow], width: int) -> None:
    for row in rows:
        for index in range(width):
            if row.key(index) in ID_HEADERS:
                raise _lower_header(row, index, "--id-column")


def _refuse_lower_names(head: Sequence[HeadRow]) -> None:
    """Raise InputError for the header of a list of names that is below other lines which are not devices."""
    for at, row in enumerate(head[:_SEARCHED]):
        if _holds_device(row):
            return
        index = next((index for index in range(len(row.cells)) if row.key(index) in NAME_HEADERS), None)
        if at == 0 or index is None or _is_data(row, head):
            continue
        if not any(may_be_name(other.text(index)) for other in head[:at]):
            raise _lower_header(row, index, "--name-column")


def _lower_header(row: HeadRow, index: int, flag: str) -> InputError:
    name = shown(row.text(index))
    return InputError(
        f"The header '{name}' is in row {row.number}, below other lines; "
        f"remove the lines above it, or confirm it with {flag} '{name}'."
    )


def _refuse_ids_above(head: Sequence[HeadRow], header: HeadRow) -> None:
    for row in lines_above(head, header.number):
        if _holds_device(row):
            raise InputError(
                f"Row {row.number} holds a device ID and is above the header in row {header.number}; move it "
                "below the header, or remove it."
            )


def lines_above(head: Sequence[HeadRow], number: int | None) -> Iterator[HeadRow]:
    """The rows above the header with this number; none if there is no header."""
    return (row for row in head if number is not None and row.number < number)
