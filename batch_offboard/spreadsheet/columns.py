"""Which column holds the device IDs, which the names, and where the rows begin.

Pure: it sees the first rows of a table as text and decides once. Two candidates are a question to the
operator, never a guess.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from batch_offboard.devices import is_guid, is_id, shown, trimmed
from batch_offboard.errors import InputError
from batch_offboard.rows import NotText
from batch_offboard.spreadsheet.aliases import (
    HASH_HEADERS,
    ID_HEADERS,
    NAME_HEADERS,
    WEAK_ID_HEADERS,
    WEAK_NAME_HEADERS,
    header_key,
)

MOST_COLUMNS: Final = 200
HEAD_ROWS: Final = 1100  # rows that are looked at before the columns are decided
_SAMPLE = 1000  # non-empty cells of a column that decide by content
_HEADER_SEARCH = 20  # rows in which a header below title lines is looked for


@dataclass(frozen=True, slots=True)
class HeadRow:
    """One of the table's first rows: its number in the sheet, and its cells with their types."""

    number: int
    cells: Sequence[str | NotText]

    def cell(self, index: int) -> str | NotText:
        """The cell, empty beyond the row's end."""
        return self.cells[index] if index < len(self.cells) else ""

    def key(self, index: int) -> str:
        """The cell as a header is compared; empty for a cell that is not text."""
        cell = self.cell(index)
        return "" if isinstance(cell, NotText) else header_key(cell)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are: column indexes from 0, and the number of the header row (None: no header)."""

    columns: tuple[str, ...]
    id_index: int | None
    name_index: int | None
    header_number: int | None
    notes: tuple[str, ...] = ()


def column_letters(index: int) -> str:
    """`0` is A, `26` is AA, as spreadsheet programs count."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def column_index(letters: str) -> int:
    """The opposite of `column_letters`, in any case."""
    index = 0
    for letter in letters.upper():
        index = index * 26 + ord(letter) - ord("A") + 1
    return index - 1


def find_layout(head: Sequence[HeadRow], *, id_column: str | None = None, name_column: str | None = None) -> Layout:
    """Decide the layout from the table's first non-blank rows (at least one).

    Raises InputError when nothing usable is found, or more than one column might be meant.
    """
    width = max(len(row.cells) for row in head)
    refuse_too_wide(width)
    header = _header_row(head, width, id_column, name_column)
    body = [row for row in head if header is None or row.number > header.number]
    search = _Search(header, body, _column_names(header, width))
    id_index = search.named(id_column, "--id-column") if id_column else search.id_index()
    name_index = search.named(name_column, "--name-column") if name_column else search.name_index(id_index)
    if id_index is None and name_index is None:
        raise InputError(search.nothing_found())
    if id_index is not None:
        search.refuse_guids(id_index)
    number = header.number if header else None
    return Layout(search.columns, id_index, name_index, number, tuple(search.notes(id_index, name_index)))


def refuse_too_wide(width: int) -> None:
    """Raise InputError for a table of more columns than anybody fills on purpose."""
    if width > MOST_COLUMNS:
        raise InputError(f"The table has {width} columns in use; at most {MOST_COLUMNS} are read, so remove some.")


def _header_row(head: Sequence[HeadRow], width: int, id_column: str | None, name_column: str | None) -> HeadRow | None:
    """The header row, or None if the first row is a device already.

    A row that might be a device is never taken for a header: better one refused row than a lost one.
    """
    mapped = _mapped_header(head[:_HEADER_SEARCH], id_column, name_column)
    if mapped is not None:
        return mapped
    first = head[0]
    if any(first.key(index) in _KNOWN_HEADERS for index in range(width)):
        return first
    if any(is_id(cell) or is_guid(cell) for cell in first.cells):
        return None
    place = _place(id_column)
    if place is None:
        _refuse_lower_header(head[1:_HEADER_SEARCH], width)
        place = next(iter(_columns_of_ids(head, width)), None)
    if place is None:
        return None if _place(name_column) is not None else first
    return first if _is_wording(first.cell(place)) else None


def _mapped_header(head: Sequence[HeadRow], id_column: str | None, name_column: str | None) -> HeadRow | None:
    """The first row with the header that the operator names, or with a known one in the column named."""
    for option, known in ((id_column, _ID_KEYS), (name_column, _NAME_KEYS)):
        if option is None:
            continue
        key, place = header_key(option), _place(option)
        for row in head:
            if any(row.key(index) == key for index in range(len(row.cells))):
                return row
            if place is not None and row.key(place) in known:
                return row
    return None


def _refuse_lower_header(rows: Sequence[HeadRow], width: int) -> None:
    for row in rows:
        for index in range(width):
            if row.key(index) in ID_HEADERS:
                name = shown(trimmed(str(row.cell(index))))
                raise InputError(
                    f"The header '{name}' stands in row {row.number}, below other lines; "
                    f"remove the lines above it, or confirm it with --id-column '{name}'."
                )


def _is_wording(cell: str | NotText) -> bool:
    """True for a cell that cannot be a damaged ID or a name with a number: text without any digit."""
    return isinstance(cell, str) and not any(char.isdigit() for char in cell)


def _place(option: str | None) -> int | None:
    """The column that a letter or a number from 1 names; None for other words."""
    option = trimmed(option or "")
    if re.fullmatch(r"[A-Za-z]{1,3}", option):
        return column_index(option)
    if re.fullmatch(r"[1-9][0-9]{0,3}", option):
        return int(option) - 1
    return None


def _column_names(header: HeadRow | None, width: int) -> tuple[str, ...]:
    """Header texts as they are; a column without one is called by its letters."""
    names = [_header_text(header, index) for index in range(width)]
    return tuple(name or f"Column {column_letters(index)}" for index, name in enumerate(names))


def _header_text(header: HeadRow | None, index: int) -> str:
    if header is None:
        return ""
    cell = header.cell(index)
    return cell.shown if isinstance(cell, NotText) else trimmed(cell)


def _columns_of_ids(rows: Sequence[HeadRow], width: int) -> list[int]:
    """The columns in whose first non-empty cells most are device IDs."""
    return [index for index in range(width) if _mostly_ids(_sample(rows, index))]


def _sample(rows: Sequence[HeadRow], index: int) -> list[str | NotText]:
    cells = (row.cell(index) for row in rows)
    return [cell for cell in cells if isinstance(cell, NotText) or trimmed(cell)][:_SAMPLE]


def _mostly_ids(cells: Sequence[str | NotText]) -> bool:
    return sum(map(is_id, cells)) * 2 > len(cells)


def _long_enough_for_id(cell: str | NotText) -> bool:
    """Tells IDs, damaged ones included, from running numbers in a column that is only called `id`."""
    text = cell.shown if isinstance(cell, NotText) else trimmed(cell)
    return len(text) >= 16 or re.search(r"[0-9]e\+?[0-9]", text, re.IGNORECASE) is not None


class _Search:
    """The search for columns below one header row."""

    def __init__(self, header: HeadRow | None, body: Sequence[HeadRow], columns: tuple[str, ...]) -> None:
        self.columns = columns
        self._body = body
        self._keys = [header.key(index) if header else "" for index in range(len(columns))]
        self._by_content = False

    def named(self, option: str, flag: str) -> int:
        """The column that the operator names by its header, its letters or its number."""
        key = header_key(option)
        found = [index for index, other in enumerate(self._keys) if key and other == key]
        if len(found) > 1:
            raise InputError(
                f"{flag} '{shown(option)}': {len(found)} columns have this header ({self._list(found)}); "
                "name one by its letter."
            )
        place = found[0] if found else _place(option)
        if place is None or place >= len(self.columns):
            raise InputError(
                f"{flag} '{shown(option)}' names no column; there are {self._list(range(len(self.columns)))}."
            )
        return place

    def id_index(self) -> int | None:
        strong = self._with_key(ID_HEADERS)
        if strong:
            return self._only(strong, "device IDs", "--id-column")
        weak = [i for i in self._with_key(WEAK_ID_HEADERS) if any(map(_long_enough_for_id, _sample(self._body, i)))]
        if weak:
            return self._only(weak, "device IDs", "--id-column")
        found = _columns_of_ids(self._body, len(self.columns))
        found = [index for index in found if self._keys[index] not in HASH_HEADERS]
        self._by_content = bool(found)
        return self._only(found, "device IDs", "--id-column") if found else None

    def name_index(self, id_index: int | None) -> int | None:
        for headers in (NAME_HEADERS, WEAK_NAME_HEADERS):
            found = [index for index in self._with_key(headers) if index != id_index]
            if found:
                return self._only(found, "device names", "--name-column")
        return None

    def refuse_guids(self, id_index: int) -> None:
        cells = _sample(self._body, id_index)
        if cells and all(map(is_guid, cells)):
            raise InputError(
                f"Column '{shown(self.columns[id_index])}' holds only GUIDs: these are Entra or Intune IDs, "
                "not Defender device IDs; take the 40-digit IDs from the Defender portal's device export."
            )

    def nothing_found(self) -> str:
        guids = [index for index in range(len(self.columns)) if self._all_guids(index)]
        hint = f" Column {self._list(guids)} holds Entra or Intune IDs, which Defender does not take." if guids else ""
        return (
            f"No column is known to hold device IDs or device names; the columns are "
            f"{self._list(range(len(self.columns)))}. Name one with --id-column or --name-column.{hint}"
        )

    def notes(self, id_index: int | None, name_index: int | None) -> list[str]:
        """What was decided, in words."""
        lines = []
        if id_index is None:
            lines.append("There is no column of device IDs; devices are looked up by name.")
        else:
            how = ", recognised by its content" if self._by_content else ""
            lines.append(f"Device IDs: column {self._list([id_index])}{how}.")
        if name_index is not None:
            lines.append(f"Device names: column {self._list([name_index])}.")
        return lines

    def _all_guids(self, index: int) -> bool:
        cells = _sample(self._body, index)
        return bool(cells) and all(map(is_guid, cells))

    def _with_key(self, headers: frozenset[str]) -> list[int]:
        return [index for index, key in enumerate(self._keys) if key in headers]

    def _only(self, found: Sequence[int], what: str, flag: str) -> int:
        if len(found) > 1:
            raise InputError(f"More than one column may hold {what}: {self._list(found)}; name one with {flag}.")
        return found[0]

    def _list(self, indexes: Iterable[int]) -> str:
        names = [f"{column_letters(index)} '{shown(self.columns[index])}'" for index in indexes]
        return ", ".join(names[:12]) + (", …" if len(names) > 12 else "")


_ID_KEYS: Final = ID_HEADERS | WEAK_ID_HEADERS
_NAME_KEYS: Final = NAME_HEADERS | WEAK_NAME_HEADERS
_KNOWN_HEADERS: Final = _ID_KEYS | _NAME_KEYS | HASH_HEADERS
