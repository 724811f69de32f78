"""Detects quotation marks that turned rows of a text file into lines of one cell.

CSV grammar cannot detect that: a ditto mark in one row and another in the next form a valid quoted cell. So each line
of such a record is checked as if there were no quotation mark above it: a line that would be a row of this table may be
a device, and only the operator can confirm that it is text.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from batch_offboard.core.devices import is_id, may_be_id, may_be_name, trimmed
from batch_offboard.sheets.columns import Layout
from batch_offboard.sheets.head import HeadRow, shape

LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class RowLook:
    """The properties of this table's rows."""

    delimiter: str
    width: int  # cells of the header
    has_header: bool  # without one, the first line of each record shows how wide a row may be
    widths: frozenset[int]  # actual numbers of cells in the first rows
    fewest_delimiters: int  # in any line that can be a row
    id_index: int | None
    name_index: int | None
    name_shapes: frozenset[str]  # of the names in the first rows, see `shape`
    has_names_with_blanks: bool
    has_nothing: bool  # in these columns of the first rows, so that any line of the right width may be a row

    def swallowed(self, lines: Sequence[str], cells: Sequence[str]) -> bool:
        """True if one of the record's lines from the second on would be a row of its own.

        `lines` are the file's lines of the record; `cells` are its cells.
        """
        if any(self._holds_several(cells, index) for index in (self.id_index, self.name_index)):
            return True
        own = frozenset[int]() if self.has_header else frozenset((len(self._fields(LINE_END.sub("", lines[0]))),))
        rows = [line for line in lines[1:] if self._is_row(line, own)]
        return bool(rows) and (not all(map(self._only_ends_a_cell, rows)) or self._is_row(lines[0], own))

    def _holds_several(self, cells: Sequence[str], index: int | None) -> bool:
        """True if the ID or name cell holds one on each of several lines."""
        if index is None or index >= len(cells):
            return False
        parts = [part for part in LINE_END.split(cells[index]) if trimmed(part)]
        usable = [part for part in parts if may_be_id(part) or (index == self.name_index and may_be_name(part))]
        return len(usable) > 1

    def _only_ends_a_cell(self, line: str) -> bool:
        """True for the line on which a quoted text ends, without a delimiter in it: the cells after it belong to the
        record, and their position is not evidence. A lone quotation mark does not end a text; it may be the stray
        one."""
        part, mark, _ = line.partition('"')
        return bool(mark and trimmed(part)) and self.delimiter not in part

    def _is_row(self, line: str, widths: frozenset[int]) -> bool:
        """True if the line is a row, with its quotation marks as quoting or as plain characters."""
        if line.count(self.delimiter) < self.fewest_delimiters:  # the fastest check, and true for most lines of text
            return False
        text = LINE_END.sub("", line)
        plain = text.split(self.delimiter)
        return self._are_row(self._fields(text), widths) or ('"' in text and self._are_row(plain, widths))

    def _are_row(self, fields: Sequence[str], widths: frozenset[int]) -> bool:
        id_field = self._field(fields, self.id_index)
        name_field = self._field(fields, self.name_index)
        if len(fields) in self.widths or len(fields) in widths:
            return self.has_nothing or may_be_id(id_field) or self._may_be_name(name_field)
        has_id = may_be_id(id_field) and is_id(id_field)
        if has_id and id_field == trimmed(id_field) and may_be_name(name_field):
            return name_field == trimmed(name_field)
        return len(fields) > self.width and (has_id or shape(name_field) in self.name_shapes)

    def _fields(self, text: str) -> list[str]:
        try:
            return next(csv.reader([text], delimiter=self.delimiter), [])
        except csv.Error:
            return []

    def _field(self, fields: Sequence[str], index: int | None) -> str:
        """The cell without an unpaired quotation mark at its beginning or end on this line."""
        return fields[index].replace('"', "") if index is not None and index < len(fields) else ""

    def _may_be_name(self, text: str) -> bool:
        return may_be_name(text) or (self.has_names_with_blanks and bool(trimmed(text)))


def row_look(delimiter: str, layout: Layout, widths: Iterable[int], head: Sequence[HeadRow]) -> RowLook:
    """The properties of a table's rows, from its first rows; `widths` are their actual numbers of cells."""
    below = [row for row in head if row.number > (layout.header_number or 0)]
    ids, names = _one_line(below, layout.id_index), _one_line(below, layout.name_index)
    width = len(layout.columns)
    counts = (width, *widths)
    places = [index for index in (layout.id_index, layout.name_index) if index is not None]
    return RowLook(
        delimiter,
        width,
        layout.header_number is not None,
        frozenset(counts),
        0 if layout.header_number is None else min(*counts, max(places, default=0) + 1) - 1,
        layout.id_index,
        layout.name_index,
        frozenset(found for found in map(shape, names) if found is not None),
        any(not may_be_name(name) for name in names),
        not any(map(may_be_id, ids)) and not names,
    )


def _one_line(rows: Sequence[HeadRow], index: int | None) -> list[str]:
    """The filled cells of a column that are a single line."""
    texts = [] if index is None else [row.text(index) for row in rows]
    return [text for text in texts if text and not LINE_END.search(text)]
