"""Decides which column holds the device IDs, which the names, and where the rows begin.

Pure: takes the first rows of a table as text and decides once. If there are two candidates it asks the operator and
never guesses.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from batch_offboard.base.errors import InputError
from batch_offboard.core.devices import holds_id, is_guid, may_be_name, shown, trimmed
from batch_offboard.core.rows import NotText
from batch_offboard.sheets.aliases import (
    HASH_HEADERS,
    ID_HEADERS,
    NAME_HEADERS,
    WEAK_ID_HEADERS,
    WEAK_NAME_HEADERS,
    header_key,
)
from batch_offboard.sheets.head import (
    Header,
    HeadRow,
    NamedColumn,
    column_letters,
    columns_of_ids,
    find_header,
    id_option,
    lines_above,
    name_option,
    sample,
    shape,
)

MOST_COLUMNS: Final = 200


@dataclass(frozen=True, slots=True)
class Layout:
    """Column indexes from 0, and the number of the header row (None: no header)."""

    columns: tuple[str, ...]
    id_index: int | None
    name_index: int | None
    header_number: int | None
    notes: tuple[str, ...] = ()


def find_layout(head: Sequence[HeadRow], *, id_column: str | None = None, name_column: str | None = None) -> Layout:
    """Decide the layout from the table's first non-blank rows (at least one).

    Raises InputError if no usable column is found, or more than one may be meant.
    """
    width = max(len(row.cells) for row in head)
    refuse_too_wide(width)
    ids, names = id_option(id_column), name_option(name_column)
    header = find_header(head, width, ids, names)
    search = _Search(header, head, width)
    id_index = search.named(ids) if id_column else search.id_index()
    name_index = search.named(names) if name_column else search.name_index(id_index)
    if id_index is None and name_index is None:
        raise InputError(search.nothing_found())
    if id_index == name_index:
        raise InputError(
            f"Column {column_letters(name_index or 0)} cannot hold both the device IDs and the device names; name "
            "another with --id-column or --name-column."
        )
    if id_index is not None and search.all_guids(id_index):
        search.refuse_guids(id_index, by_name=bool(name_column) and not id_column)
        id_index = None
    number = header.row.number if header else None
    if id_index is None and name_index is not None:
        search.refuse_names_above(name_index)
    return Layout(search.columns, id_index, name_index, number, tuple(search.notes(id_index, name_index)))


def refuse_too_wide(width: int) -> None:
    """Raise InputError for a table with more columns than any real list has."""
    if width > MOST_COLUMNS:
        raise InputError(f"The table has {width} columns in use; at most {MOST_COLUMNS} are read, so remove some.")


def _column_names(header: HeadRow | None, width: int) -> tuple[str, ...]:
    """The header texts; a column without one is named by its letters."""
    names = [header.text(index) if header else "" for index in range(width)]
    return tuple(name or f"Column {column_letters(index)}" for index, name in enumerate(names))


def _long_enough_for_id(cell: str | NotText) -> bool:
    """Distinguish IDs, including damaged ones, from running numbers in a column that is only called `id`."""
    text = cell.shown if isinstance(cell, NotText) else trimmed(cell)
    return len(text) >= 16 or re.search(r"[0-9]e\+?[0-9]", text, re.IGNORECASE) is not None


class _Search:
    """The search for columns below one header row."""

    def __init__(self, header: Header | None, head: Sequence[HeadRow], width: int) -> None:
        row = header.row if header else None
        self.columns = _column_names(row, width)
        self._header = header
        self._head = head
        self._body = [other for other in head if row is None or other.number > row.number]
        self._keys = [row.key(index) if row else "" for index in range(width)]
        self._by_content = False
        self._unused: int | None = None  # a column of Entra or Intune IDs

    def named(self, option: NamedColumn) -> int:
        """The column that the operator named by its header, its letters or its number."""
        flag, typed = option.flag, option.typed or ""
        key = header_key(typed)
        found = [index for index, other in enumerate(self._keys) if key and other == key]
        if len(found) > 1:
            raise InputError(
                f"{flag} '{shown(typed)}': {len(found)} columns have this header ({self._list(found)}); "
                "name one by its letter."
            )
        place = found[0] if found else option.place
        if place is None or place >= len(self.columns):
            raise InputError(
                f"{flag} '{shown(typed)}' names no column; there are {self._list_all()}. Name one by its header or "
                "its letter."
            )
        return place

    def id_index(self) -> int | None:
        strong = self._with_key(ID_HEADERS)
        if strong:
            return self._only(strong, "device IDs", "--id-column")
        weak = [i for i in self._with_key(WEAK_ID_HEADERS) if any(map(_long_enough_for_id, sample(self._body, i)))]
        if weak:
            return self._only(weak, "device IDs", "--id-column")
        found = columns_of_ids(self._body, len(self.columns))
        found = [index for index in found if self._keys[index] not in HASH_HEADERS]
        self._by_content = bool(found)
        return self._only(found, "device IDs", "--id-column") if found else None

    def name_index(self, id_index: int | None) -> int | None:
        for headers in (NAME_HEADERS, WEAK_NAME_HEADERS):
            found = [index for index in self._with_key(headers) if index != id_index]
            if found:
                return self._only(found, "device names", "--name-column")
        return None

    def all_guids(self, index: int) -> bool:
        """True if every filled cell below the header is a GUID."""
        return _all_guids(sample(self._body, index))

    def refuse_guids(self, id_index: int, *, by_name: bool) -> None:
        """Raise InputError for a column of GUIDs, unless the operator has the devices looked up by name."""
        self._unused = id_index
        if not by_name:
            raise InputError(
                f"Column '{shown(self.columns[id_index])}' holds only GUIDs: these are Entra or Intune IDs, not "
                "Defender device IDs; take the 40-digit IDs from the Defender portal's device export, or have the "
                "devices looked up by name with --name-column."
            )

    def refuse_names_above(self, name_index: int) -> None:
        """Raise InputError for a line above the header that may be a device, in a list of names."""
        for row in lines_above(self._head, self._header.row.number if self._header else None):
            if may_be_name(row.text(name_index)):
                raise InputError(
                    f"Row {row.number} ('{shown(row.text(name_index))}') is above the header and may be a device; "
                    "move it below the header, or remove it."
                )

    def nothing_found(self) -> str:
        guids = [index for index in range(len(self.columns)) if _all_guids(sample(self._head[1:], index))]
        letters = ", ".join(map(column_letters, guids))
        hint = f" Column {letters} holds Entra or Intune IDs, which Defender does not accept." if guids else ""
        return (
            f"Could not find a column with device IDs or device names; the columns are {self._list_all()}. Name one "
            f"with --id-column or --name-column, by its letter if the first row is a device, too.{hint}"
        )

    def notes(self, id_index: int | None, name_index: int | None) -> list[str]:
        """Notes on what was decided."""
        lines = []
        if id_index is not None:
            how = ", recognised by its content" if self._by_content else ""
            lines.append(f"Device IDs: column {self._list([id_index])}{how}.")
        elif self._unused is not None:
            lines.append(
                f"Column {self._list([self._unused])} holds Entra or Intune IDs and is not used; devices are looked up "
                "by name."
            )
        else:
            lines.append("No column has device IDs; devices are looked up by name.")
        if name_index is not None:
            lines.append(f"Device names: column {self._list([name_index])}.")
        elif id_index is not None:
            lines += self._unused_names(id_index)
        return [*lines, *self._header_notes()]

    def _unused_names(self, id_index: int) -> list[str]:
        """Notes on columns that look like names and are not used, so that IDs are not compared with names."""
        indexes = [index for index in range(len(self.columns)) if index != id_index and self._looks_like_names(index)]
        if not indexes:
            return []
        columns, are, do = ("Column", "is", "it does") if len(indexes) == 1 else ("Columns", "are", "they do")
        note = (
            f"{columns} {self._list(indexes)} may hold device names and {are} not used, so no ID is compared with its "
            f"device's name; if {do}, add --name-column."
        )
        return [note]

    def _looks_like_names(self, index: int) -> bool:
        if self._keys[index] in HASH_HEADERS or _OTHER_NUMBERS.search(self._keys[index]):
            return False
        texts = [cell for cell in sample(self._body, index) if isinstance(cell, str)]
        named = {text.casefold() for text in texts if _looks_like_name(text)}
        return len(named) * 10 >= len(texts) * 8 > 0

    def _header_notes(self) -> list[str]:
        """Notes on rows that are not blank and not in the plan; none for known headers in row 1."""
        if self._header is None:
            return []
        row = self._header.row
        above = list(lines_above(self._head, row.number))
        notes = [] if self._header.is_known else [f"Row {row.number} is taken as the header: {_cells(row)}."]
        if above:
            listed = ", ".join(f"row {other.number} {_cells(other)}" for other in above[:5])
            more = f" and {len(above) - 5} more" if len(above) > 5 else ""
            notes.append(f"Ignored above the header in row {row.number}: {listed}{more}.")
        return notes

    def _with_key(self, headers: frozenset[str]) -> list[int]:
        return [index for index, key in enumerate(self._keys) if key in headers]

    def _only(self, found: Sequence[int], what: str, flag: str) -> int:
        if len(found) > 1:
            raise InputError(f"More than one column may hold {what}: {self._list(found)}; name one with {flag}.")
        return found[0]

    def _list(self, indexes: Iterable[int]) -> str:
        names = [f"{column_letters(index)} '{shown(self.columns[index])}'" for index in indexes]
        return ", ".join(names[:12]) + (", …" if len(names) > 12 else "")

    def _list_all(self) -> str:
        """The columns by letter, with the first row's texts if no row is known to be the header."""
        first = self._header.row if self._header else self._head[0]
        width = len(self.columns)
        names = [f"{column_letters(index)} '{shown(text)}'" for index, text in enumerate(_column_names(first, width))]
        return ", ".join(names[:12]) + (", …" if len(names) > 12 else "")


# Headers of columns whose values look like computer names and are something else.
_OTHER_NUMBERS = re.compile(
    "serial|serie|asset|inventa|tag|number|nummer|numero|番号|ticket|change|version|build|model|機種|macadd|^mac$|^ip|user"
)


def _looks_like_name(text: str) -> bool:
    """True for a text of letters and digits such as computer names; names of people and places have no digits."""
    return may_be_name(text) and shape(text) is not None and any(map(str.isalpha, text)) and not holds_id(text)


def _all_guids(cells: Sequence[str | NotText]) -> bool:
    return bool(cells) and all(map(is_guid, cells))


def _cells(row: HeadRow) -> str:
    """The first few filled cells of the row, in quotation marks."""
    texts = [f"'{shown(text, 30)}'" for index in range(len(row.cells)) if (text := row.text(index))]
    return ", ".join(texts[:4]) + (", …" if len(texts) > 4 else "")
