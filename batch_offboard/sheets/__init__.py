"""Owns reading a file of any supported format into rows whose ID cells keep their type: `open_table` determines the
format, the sheet and the columns, and whether the rows can be trusted. It never judges an ID, and never repairs or
drops a row that is not blank.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain
from pathlib import Path

from batch_offboard.base.errors import InputError
from batch_offboard.core.devices import shown
from batch_offboard.core.rows import Source, SourceRow, Table
from batch_offboard.reports.rows import REPORT_COLUMNS
from batch_offboard.sheets.book import Book, Sheet
from batch_offboard.sheets.columns import Layout, find_layout
from batch_offboard.sheets.ending import Ending
from batch_offboard.sheets.head import HeadRow
from batch_offboard.sheets.intake import (
    FileKind,
    InputFile,
    find_input,
    first_bytes,
    kind_of,
    read_whole,
    refuse_other_suffix,
)
from batch_offboard.sheets.reports import (
    failed_rows,
    input_rows,
    refuse_unknown_outcomes,
    repeats_others,
    report_layout,
)
from batch_offboard.sheets.sheet_facts import SheetFacts

__all__ = ["HiddenRows", "open_table"]


class HiddenRows(StrEnum):
    """What happens to rows that are hidden or filtered out in the sheet."""

    REFUSE = "refuse"  # it is not known which rows the operator means
    VISIBLE_ONLY = "visible-only"
    INCLUDE = "include"


@dataclass(frozen=True, slots=True)
class _Request:
    """The operator's options for reading the file."""

    sheet: str | None
    id_column: str | None
    name_column: str | None
    hidden: HiddenRows
    only: frozenset[str] | None
    multiline_text: bool


def open_table(
    path: Path,
    *,
    sheet: str | None = None,
    id_column: str | None = None,
    name_column: str | None = None,
    hidden: HiddenRows = HiddenRows.REFUSE,
    only: frozenset[str] | None = None,
    multiline_text: bool = False,
) -> Table:
    """Open the table in a file: CSV or other separated text, a plain list, XLSX, XLSM, XLS, XLSB, ODS.

    `sheet` is a name or a number from 1; a column is a header, letters (`C`) or a number from 1; `only` keeps the rows
    of a report with these outcomes; `multiline_text` reads lines inside cells as text, which is always done in a
    report. Raises InputError with one sentence if the file as a whole cannot be used; a damaged row is returned as a
    row.
    """
    if only is not None:
        refuse_unknown_outcomes(only)
    request = _Request(sheet, id_column, name_column, hidden, only, multiline_text)
    file = find_input(path)
    if kind_of(first_bytes(file), file.name) is FileKind.TEXT:
        return _text_table(file, request)
    return _book_table(file, request)


def _text_table(file: InputFile, request: _Request) -> Table:
    from batch_offboard.sheets.textfile import TextTable, within_header

    refuse_other_suffix(file.path, "CSV")
    if request.sheet is not None:
        raise InputError(f"{file.name} is a text file and has no sheets; omit --sheet.")
    table = TextTable(file)
    head = table.head()
    layout, is_report = _layout(head, request, file.name)
    layout = within_header(layout, head, file.name)
    rows = table.rows(layout, head, multiline_text=request.multiline_text or is_report)
    if is_report:
        rows = input_rows(rows, request.only, neutralised=True)
    return _table(_source(file, table.survey.sha256, table.kind), layout, rows, is_report=is_report)


def _book_table(file: InputFile, request: _Request) -> Table:
    content, sha256 = read_whole(file)
    book = Book(content, file.name)
    refuse_other_suffix(file.path, book.kind)
    sheet, layout, is_report = _chosen_sheet(book, request, file.name)
    facts = sheet.facts(layout.id_index)
    hidden = frozenset(number for number in facts.hidden_rows if number > (layout.header_number or 0))
    struck = frozenset(number for number in facts.struck_rows if number > (layout.header_number or 0))
    notes = [
        *sheet.notes,
        *book.notes,
        *_hidden_notes(hidden, request.hidden, sheet.name),
        *_filter_notes(facts, request, sheet),
    ]
    for index, what in ((layout.id_index, "IDs"), (layout.name_index, "names")):
        if index in facts.hidden_columns:
            notes.append(f"The column of device {what} is hidden in the sheet.")
    if struck:
        notes.append(
            f"Struck-through text in {_counted(struck)}; it is read like any other text; remove what is not meant."
        )
    skip = hidden if request.hidden is HiddenRows.VISIBLE_ONLY else frozenset()
    rows = sheet.rows(layout, facts.special, skip)
    if is_report:
        rows = input_rows(rows, request.only, neutralised=False)
    source = _source(file, sha256, f"{book.kind}, sheet '{shown(sheet.name)}'")
    return _table(source, replace(layout, notes=(*layout.notes, *notes)), rows, is_report=is_report)


def _layout(head: Sequence[HeadRow], request: _Request, name: str) -> tuple[Layout, bool]:
    """The table's layout, and whether it is a report of this program."""
    if not head:
        raise InputError(f"{name} holds no devices; it is blank.")
    report = report_layout(head)
    if report is None and request.only is not None:
        raise InputError(f"{name} is not a report of an earlier run, so --only cannot be applied; omit it.")
    if report is None:
        return find_layout(head, id_column=request.id_column, name_column=request.name_column), False
    if request.id_column or request.name_column:
        raise InputError(f"{name} is a report, whose columns are known; omit --id-column and --name-column.")
    return report, True


def _chosen_sheet(book: Book, request: _Request, name: str) -> tuple[Sheet, Layout, bool]:
    """The sheet that the operator named, or the only visible one that holds devices."""
    if request.sheet is not None:
        sheet = book.sheet(_named_sheet(book, request.sheet, name))
        return (sheet, *_layout(sheet.head(), request, name))
    if not book.visible:
        raise InputError(f"{name} has no visible sheet; unhide the sheet that holds the devices.")
    if len(book.visible) == 1:
        sheet = book.sheet(book.visible[0])
        return (sheet, *_layout(sheet.head(), request, name))
    found, problems = _usable_sheets(book, request, name)
    by_id = [entry for entry in found if entry[1].id_index is not None]
    usable = _without_repetitions(by_id or found, name)
    if len(usable) > 1:
        names = ", ".join(f"'{shown(sheet.name)}'" for sheet, _, _ in usable)
        raise InputError(f"{name}: more than one sheet holds devices ({names}); name one with --sheet.")
    if not usable:
        raise next(iter(problems.values()), InputError(f"{name} holds no devices; all its sheets are blank."))
    sheet, layout, is_report = usable[0]
    unread = [other for other in (*(entry[0].name for entry in found), *problems) if other != sheet.name]
    if is_report or not unread:
        return usable[0]
    listed = ", ".join(f"'{shown(other)}'" for other in sorted(unread, key=book.visible.index)[:20])
    return sheet, replace(layout, notes=(*layout.notes, f"Sheets that were not read: {listed}.")), is_report


def _without_repetitions(usable: list[tuple[Sheet, Layout, bool]], name: str) -> list[tuple[Sheet, Layout, bool]]:
    """A report repeats its failed rows on a second sheet, to be repaired there. Both sheets mean the same rows until
    one of them is edited; then it is ambiguous which one is meant."""
    originals = [entry for entry in usable if not (entry[2] and repeats_others(entry[0].name))]
    repeated = [entry for entry in usable if entry not in originals]
    if len(originals) != 1 or not repeated or not originals[0][2]:
        return usable
    whole, *parts = (_failed_rows_on(entry) for entry in (originals[0], *repeated))
    if whole == frozenset().union(*parts):
        return originals
    names = " and ".join(f"'{shown(sheet.name)}'" for sheet, _, _ in usable)
    raise InputError(f"{name}: the failed rows on the sheets {names} differ; name the one that is meant with --sheet.")


def _failed_rows_on(entry: tuple[Sheet, Layout, bool]) -> frozenset[object]:
    sheet, layout, _ = entry
    return failed_rows(sheet.rows(layout, {}, frozenset()))


def _usable_sheets(
    book: Book, request: _Request, name: str
) -> tuple[list[tuple[Sheet, Layout, bool]], dict[str, InputError]]:
    """The visible sheets with unambiguous columns, and the problem of each other sheet that is not blank."""
    found = []
    problems = {}
    for sheet_name in book.visible:
        sheet = book.sheet(sheet_name)
        head = sheet.head()
        if not head:
            continue
        try:
            found.append((sheet, *_layout(head, request, name)))
        except InputError as error:
            problems[sheet_name] = InputError(f"Sheet '{shown(sheet_name)}': {error}")
    return found, problems


def _named_sheet(book: Book, wanted: str, name: str) -> str:
    if wanted in book.visible:
        return wanted
    if wanted in book.hidden:
        raise InputError(
            f"{name}: the sheet '{shown(wanted)}' is hidden; if it is meant, unhide it, or copy its rows to a "
            "visible sheet."
        )
    if wanted.isascii() and wanted.isdigit() and 1 <= int(wanted[:6]) <= len(book.visible):
        return book.visible[int(wanted) - 1]
    names = ", ".join(f"'{shown(sheet)}'" for sheet in book.visible[:20])
    raise InputError(f"{name} has no sheet '{shown(wanted)}'; the sheets are {names}.")


def _hidden_notes(hidden: frozenset[int], wish: HiddenRows, sheet: str) -> list[str]:
    """Notes about hidden rows; raises InputError unless an option says what to do with them."""
    if not hidden:
        return []
    count = _counted(hidden, "hidden or filtered-out ")
    if wish is HiddenRows.REFUSE:
        raise InputError(
            f"Sheet '{shown(sheet)}' has {count}; add --visible-only to skip them, or --include-hidden to take them."
        )
    return [f"{count} left out." if wish is HiddenRows.VISIBLE_ONLY else f"{count} included with the others."]


def _filter_notes(facts: SheetFacts, request: _Request, sheet: Sheet) -> list[str]:
    """Notes about a filter that has conditions and hides nothing; raises InputError unless all rows are meant."""
    if not facts.has_filter_without_marks:
        return []
    if request.hidden is not HiddenRows.INCLUDE:
        raise InputError(
            f"Sheet '{shown(sheet.name)}' has a filter, but the file does not say which rows it hides; apply it again "
            "in a spreadsheet program and save, or remove it, or add --include-hidden to take all rows."
        )
    return ["The sheet has a filter that hides no row; all rows are taken."]


def _counted(rows: frozenset[int], what: str = "") -> str:
    return f"{len(rows)} {what}row{'s' if len(rows) > 1 else ''}"


def _source(file: InputFile, sha256: str, kind: str) -> Source:
    return Source(str(file.path), file.path.name, sha256, file.size, kind, file.mtime_ns / 1e9)


def _table(source: Source, layout: Layout, rows: Iterator[SourceRow], *, is_report: bool) -> Table:
    """The table, once it is known to have a first row; a report has no row of totals."""
    ending = Ending(rows)
    rows = rows if is_report else iter(ending)
    first = next(rows, None)
    if first is None:
        raise InputError(f"{shown(source.name)} holds no devices; it has no data rows.")
    return Table(
        source=source,
        columns=layout.columns[len(REPORT_COLUMNS) :] if is_report else layout.columns,
        id_column=None if layout.id_index is None else layout.columns[layout.id_index],
        name_column=None if layout.name_index is None else layout.columns[layout.name_index],
        notes=layout.notes,
        rows=chain((first,), rows),
        closing_notes=ending.notes,
    )
