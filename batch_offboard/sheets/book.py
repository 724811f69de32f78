"""Reads the sheets of a workbook through calamine, each cell with its own type.

No cell is converted to text before it is known whether it is an ID: the text of a number can look like a valid ID of
another device.
"""

import datetime as dt
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import chain, islice, repeat
from operator import itemgetter
from pathlib import Path
from typing import Final, TypeVar

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
    load_workbook,
)

from batch_offboard.base.errors import InputError
from batch_offboard.core.devices import shown, trimmed
from batch_offboard.core.rows import CellKind, NotText, SourceRow
from batch_offboard.sheets.columns import Layout, refuse_too_wide
from batch_offboard.sheets.companions import Companion, companion_for
from batch_offboard.sheets.encryption import encrypted
from batch_offboard.sheets.head import HEAD_ROWS, HeadRow
from batch_offboard.sheets.merged import folded_header
from batch_offboard.sheets.sheet_facts import SheetFacts

Value = int | float | str | bool | dt.time | dt.date | dt.datetime | dt.timedelta
_BLOCK: Final = 4096  # rows
_SURELY_FILLED: Final = 4  # characters, blanks aside: a row with such an ID cell is not blank
_Result = TypeVar("_Result")


class Book:
    """An opened workbook; the constructor raises InputError if it is damaged or unsafe."""

    def __init__(self, content: bytes, name: str) -> None:
        self._name = name
        self._companion = companion_for(content, name)
        self._companion.guard()
        self._workbook: CalamineWorkbook = _guarded(name, lambda: load_workbook(BytesIO(self._companion.content)))
        self.kind = self._companion.kind
        self.notes = self._companion.notes
        sheets = [sheet for sheet in self._workbook.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
        self.visible = [sheet.name for sheet in sheets if sheet.visible == SheetVisibleEnum.Visible]
        self.hidden = [sheet.name for sheet in sheets if sheet.visible != SheetVisibleEnum.Visible]

    def sheet(self, name: str) -> "Sheet":
        """Read the sheet into memory; raises InputError if it is damaged or too wide."""
        content = _guarded(self._name, lambda: self._workbook.get_sheet_by_name(name))
        return Sheet(name, content, self._companion)


class Sheet:
    """One sheet in memory: its first rows to decide the columns, then all rows once."""

    def __init__(self, name: str, content: CalamineSheet, companion: Companion) -> None:
        self.name = name
        self._content = content
        self._companion = companion
        self.notes: tuple[str, ...] = ()  # about its header, set once the first rows were read
        # The reader's rows begin at the first column in use; letters count from A.
        self._left = ("",) * (content.start[1] if content.start else 0)
        refuse_too_wide(len(self._left) + content.width)

    def head(self) -> list[HeadRow]:
        """The first non-blank rows; a header of several lines counts as one row."""
        used = ((number, row) for number, row in self._numbered(1) if row.count("") < len(row))
        typed = ((number, [_typed(value) for value in row]) for number, row in used)
        filled = (HeadRow(number, cells) for number, cells in typed if any(map(_is_filled, cells)))
        head = list(islice(filled, HEAD_ROWS))
        merged = self._content.merged_cell_ranges
        folded, notes = folded_header(head, self._companion.facts(self.name, None).merged if merged is None else merged)
        self.notes = tuple(notes)
        return folded

    def facts(self, id_index: int | None) -> SheetFacts:
        """The facts beyond the values, including merged cells over the ID column."""
        facts = self._companion.facts(self.name, id_index)
        for (top, left), (bottom, right) in self._content.merged_cell_ranges or facts.merged:
            if id_index is not None and left <= id_index <= right:
                facts.special.update(dict.fromkeys(range(top + 1, bottom + 2), CellKind.MERGED))
        return facts

    def rows(self, layout: Layout, special: dict[int, CellKind], skip: frozenset[int]) -> Iterator[SourceRow]:
        """All rows below the header that are not blank, except those in `skip`."""
        first = (layout.header_number or 0) + 1
        numbered = self._numbered(first)
        errors = _WithErrors(special, lambda: self._companion.errors(self.name, layout.id_index))
        while block := list(islice(numbered, _BLOCK)):
            quick = None if special or skip else _all_text(block, layout)
            yield from _one_by_one(block, layout, errors, skip) if quick is None else quick

    def _numbered(self, first: int) -> Iterator[tuple[int, Sequence[Value]]]:
        """The sheet's rows from the given number on; each begins at column A."""
        rows = enumerate(islice(self._content.iter_rows(), first - 1, None), first)
        if not self._left:
            return rows
        return ((number, [*self._left, *row]) for number, row in rows)


def _all_text(block: Sequence[tuple[int, Sequence[Value]]], layout: Layout) -> Iterator[SourceRow] | None:
    """The rows of a block in which every cell is text and every ID cell is filled; None for other blocks."""
    if layout.id_index is None:
        return None
    numbers, rows = zip(*block, strict=True)
    if set(map(type, chain.from_iterable(rows))) != {str}:
        return None
    ids = [row[layout.id_index] for row in rows]
    if min(map(len, map(str.strip, ids))) <= _SURELY_FILLED:
        return None
    names = repeat("") if layout.name_index is None else map(itemgetter(layout.name_index), rows)
    return map(SourceRow, numbers, ids, names, map(tuple, rows))


def _one_by_one(
    block: Sequence[tuple[int, Sequence[Value]]], layout: Layout, special: "_WithErrors", skip: frozenset[int]
) -> Iterator[SourceRow]:
    id_index, name_index = layout.id_index, layout.name_index
    for number, values in block:
        if values.count("") == len(values) and special.late(number) is None:
            continue
        cells = _as_texts(values)
        kind = special.get(number)
        if kind is None and (id_index is None or not cells[id_index]):
            kind = special.late(number)
        if (kind is None and _is_blank(cells)) or number in skip:
            continue
        device_id: str | NotText = ""
        if id_index is not None:
            value = values[id_index]
            device_id = value if kind is None and isinstance(value, str) else _not_text(value, kind)
        yield SourceRow(number, device_id, cells[name_index] if name_index is not None else "", cells)


class _WithErrors(dict[int, CellKind]):
    """The special ID cells by row; error values are looked for only when an ID cell seems to be empty."""

    def __init__(self, known: dict[int, CellKind], find: Callable[[], dict[int, CellKind]]) -> None:
        super().__init__(known)
        self._find: Callable[[], dict[int, CellKind]] | None = find

    def late(self, number: int) -> CellKind | None:
        if self._find is not None:
            self.update(self._find() | self)
            self._find = None
        return self.get(number)


def as_text(value: Value) -> str:
    """A value as the report shows it: whole numbers without a point, dates as ISO, TRUE and FALSE."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value)


def _as_texts(values: Sequence[Value]) -> tuple[str, ...]:
    return tuple([value if type(value) is str else as_text(value) for value in values])


def _typed(value: Value) -> str | NotText:
    return value if isinstance(value, str) else _not_text(value, None)


def _not_text(value: Value, kind: CellKind | None) -> NotText:
    return NotText(kind or _kind_of(value), as_text(value))


def _kind_of(value: Value) -> CellKind:
    if isinstance(value, bool):
        return CellKind.BOOLEAN
    return CellKind.NUMBER if isinstance(value, int | float) else CellKind.DATE


def _is_filled(cell: str | NotText) -> bool:
    return isinstance(cell, NotText) or bool(trimmed(cell))


def _is_blank(cells: tuple[str, ...]) -> bool:
    return not any(cells) or not trimmed("".join(cells))


_PANIC: Final = "PanicException"  # the reader raises it for a failed assertion; derives from BaseException


def _guarded(name: str, call: Callable[[], _Result]) -> _Result:
    """Convert every error of the reader to an InputError of one sentence."""
    try:
        with _stderr_discarded():
            return call()
    except PasswordError:
        raise encrypted(name) from None
    except (CalamineError, OSError, ValueError, OverflowError, MemoryError) as error:
        raise _damaged(name, error) from None
    except BaseException as error:
        if type(error).__name__ != _PANIC:
            raise
        raise _damaged(name, error) from None


@contextmanager
def _stderr_discarded() -> Iterator[None]:
    """Discard standard error during the block: on a failure the reader writes to file descriptor 2 itself, past
    Python."""
    try:
        kept = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _damaged(name: str, error: BaseException) -> InputError:
    return InputError(
        f"{name} cannot be read ({shown(str(error))}); open it in a spreadsheet program and save it again."
    )
