"""The report as a workbook: a summary to print, a sheet for people to filter, the failed rows to feed back, and what
the tenant reported for each device.

Every text has the cell type text, so no cell is ever a formula, whatever it begins with. Rows are streamed and never
held. Nothing here knows the file's name.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.chart import BarChart, Reference
from openpyxl.chart.label import DataLabelList
from openpyxl.chart.marker import DataPoint
from openpyxl.chart.shapes import GraphicalProperties
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import WorkbookAlreadySaved

from batch_offboard.base.clock import cell_time
from batch_offboard.base.durations import spoken_duration
from batch_offboard.base.text import is_like_formula, visible
from batch_offboard.core.facts import DeviceFacts, remarks
from batch_offboard.reports.rows import (
    DEVICES_SHEET,
    FAILED_SHEET,
    LOOKUP_SHEET,
    REPORT_COLUMNS,
    SIGNS,
    SUMMARY_SHEET,
    Outcome,
    ReportHead,
    ReportRow,
    Summary,
    Tally,
    planned_headline,
    recent_words,
    record,
)

FIRST_YEAR = 1900  # of spreadsheet programs

_Sheet = Any  # openpyxl's write-only sheet: its stubs lack almost everything used here

ROWS_OF_A_SHEET = 1_048_576  # including the header

_LONGEST_TEXT = 32_767  # UTF-16 units; Excel calls a file with a longer text damaged
_CERTAINLY_FITTING = _LONGEST_TEXT // 2  # characters, of at most two units each
_LIKE_AN_ESCAPE = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
_CUT = " … (cut; the journal has it whole)"

_WIDTHS = {
    "row": 8,
    "device_id": 44,
    "device_name": 28,
    "outcome": 14,
    "machine_action_id": 38,
    "action_status": 15,
    "error_code": 26,
    "error_message": 56,
    "http_status": 13,
    "attempts": 11,
    "submitted_at": 22,
    "finished_at": 22,
    "advice": 84,
}
_OUTCOME_AT = REPORT_COLUMNS.index("outcome")
_TIMES_AT = (REPORT_COLUMNS.index("submitted_at"), REPORT_COLUMNS.index("finished_at"))
_COUNTS_AT = (REPORT_COLUMNS.index("row"), REPORT_COLUMNS.index("attempts"))  # followed by a column of text

_INK = "1F2937"
_QUIET_INK = "6B7280"
_WHITE = "FFFFFF"


def _font(*, bold: bool = False, size: int = 11, ink: str = _INK) -> Font:
    """A font with a name: without one, programs choose different fonts, even serif ones."""
    return Font(name="Calibri", bold=bold, size=size, color=ink)


_OWN_HEADER = PatternFill("solid", fgColor="1F3A5F")
_INPUT_HEADER = PatternFill("solid", fgColor="64748B")  # distinguishes the input's own columns
_BANNER = PatternFill("solid", fgColor="7C3AED")
_LINE = Border(bottom=Side(style="thin", color="D1D5DB"))
_MIDDLE = Alignment(vertical="center")
_TOP = Alignment(vertical="top")
_WRAPPED = Alignment(vertical="top", wrap_text=True)
_RIGHT = Alignment(vertical="top", horizontal="right", indent=1)

# Fill and font colour have enough contrast for greyscale as well; the word is always shown.
_COLOURS = {
    Outcome.SUBMITTED: ("D1FAE5", "065F46"),
    Outcome.FAILED: ("FEE2E2", "991B1B"),
    Outcome.SKIPPED: ("E5E7EB", "374151"),
    Outcome.IN_DOUBT: ("FEF3C7", "92400E"),
    Outcome.PENDING: ("DBEAFE", "1E40AF"),
    Outcome.CANCELLED: ("EDE9FE", "5B21B6"),
}
_FILLS = {outcome: PatternFill("solid", fgColor=fill) for outcome, (fill, _) in _COLOURS.items()}
_FONTS = {outcome: _font(bold=True, ink=ink) for outcome, (_, ink) in _COLOURS.items()}


@dataclass(frozen=True, slots=True)
class _Style:
    """A cell's style; None keeps the workbook's default."""

    font: Font | None = None
    fill: PatternFill | None = None
    alignment: Alignment | None = None
    border: Border | None = None
    number_format: str | None = None


_HEADER = _Style(_font(bold=True, ink=_WHITE), _OWN_HEADER, _MIDDLE)
_HEADER_OF_INPUT = _Style(_font(bold=True, ink=_WHITE), _INPUT_HEADER, _MIDDLE)
_HEADER_OF_COUNT = _Style(
    _font(bold=True, ink=_WHITE), _OWN_HEADER, Alignment(vertical="center", horizontal="right", indent=1)
)
_NUMBER = _Style(alignment=_RIGHT)
# A real date, for filters and calculations. Spreadsheet programs have no time zones: the Z says that it is UTC.
_TIME_FORMAT = 'yyyy-mm-dd hh:mm:ss"Z"'
_TIME = _Style(alignment=Alignment(vertical="top", horizontal="left"), number_format=_TIME_FORMAT)
_FACT_TIME = _Style(_font(), None, Alignment(vertical="top", horizontal="left"), _LINE, _TIME_FORMAT)
# The sign is part of the number format; the cell holds only the word, for filters and for reading it back.
_BY_OUTCOME = {
    outcome: _Style(_FONTS[outcome], _FILLS[outcome], _TOP, number_format=f'"{SIGNS[outcome]} "@')
    for outcome in Outcome
}
_TITLE = _Style(_font(bold=True, size=18))
_SIMULATED = _Style(_font(bold=True, size=12, ink=_WHITE), _BANNER, _MIDDLE)
_HEADING = _Style(_font(bold=True, size=13))
_LABEL = _Style(_font(ink=_QUIET_INK), None, _TOP, _LINE)
_PLAIN = _Style(_font(), None, _TOP, _LINE)
_TEXT = _Style(_font())
_SENTENCE = _Style(_font(), None, _WRAPPED, _LINE)
_COUNT = _Style(_font(bold=True), None, _RIGHT, _LINE)


def write_workbook(
    file: BinaryIO, head: ReportHead, rows: Iterable[ReportRow], rows_of_a_sheet: int = ROWS_OF_A_SHEET
) -> None:
    """Write the whole workbook; `rows_of_a_sheet` includes the header."""
    book = Workbook(write_only=True)
    book.properties.creator = "batch-offboard"
    book.properties.title = f"Offboarding report {head.batch_id}"
    tally = Tally(head)
    lookup = _LookupSheets(book, rows_of_a_sheet)
    devices = _RowSheets(book, head, DEVICES_SHEET, rows_of_a_sheet)
    failed = _RowSheets(book, head, FAILED_SHEET, rows_of_a_sheet)
    try:
        devices.begin()
        for row in tally.counting(rows):
            devices.add(row)
            if row.facts is not None:
                lookup.add(row, row.facts)
            if row.outcome is Outcome.FAILED:
                failed.add(row)
        titles = [*devices.end(), *failed.end(), *lookup.end()]
        _write_summary(book, head, tally.summary())
        _order_sheets(book, [SUMMARY_SHEET, *titles])
        book.active = 0
        book.save(file)
    except BaseException:
        _discard(book)
        raise


def _order_sheets(book: Workbook, titles: Sequence[str]) -> None:
    """Put the sheets, which are created when needed, into reading order."""
    for at, title in enumerate(titles):
        book.move_sheet(title, at - book.sheetnames.index(title))


def _discard(book: Workbook) -> None:
    """Delete the temporary files of sheets that will not be saved; openpyxl does that only at exit."""
    for sheet in _sheets(book):
        writer = sheet._writer  # noqa: SLF001  # only the writer has the file's name
        if writer is not None:
            for step in (sheet.close, writer.close, writer.cleanup):
                with suppress(OSError, ValueError, WorkbookAlreadySaved):  # done already, or the disk is full
                    step()


def _sheets(book: Workbook) -> list[_Sheet]:
    return list(book.worksheets)


class _RowSheets:
    """Writes rows to as many sheets of one title as needed, since a sheet has a maximum of rows."""

    def __init__(self, book: Workbook, head: ReportHead, title: str, rows_of_a_sheet: int) -> None:
        self._book = book
        self._head = head
        self._title = title
        self._capacity = rows_of_a_sheet
        self._used = rows_of_a_sheet
        self._sheets: list[_Sheet] = []

    def add(self, row: ReportRow) -> None:
        if self._used == self._capacity:
            self.begin()
        self._sheets[-1].append(self._cells(row))
        self._used += 1

    def begin(self) -> None:
        """Start the next sheet, with its header."""
        self._close()
        count = len(self._sheets)
        sheet = _new_sheet(self._book, f"{self._title} {count + 1}" if count else self._title, pages_wide=2)
        self._sheets.append(sheet)
        sheet.freeze_panes = "A2"
        sheet.print_title_rows = "1:1"
        sheet.row_dimensions[1].height = 20
        sheet.sheet_properties.tabColor = _COLOURS[Outcome.FAILED][1] if self._title == FAILED_SHEET else None
        _set_widths(sheet, [*_WIDTHS.values(), *map(_width_of_input, self._head.columns)])
        own = [_cell(sheet, name, _HEADER) for name in REPORT_COLUMNS]
        sheet.append([*own, *(_cell(sheet, name, _HEADER_OF_INPUT) for name in self._head.columns)])
        # A write-only sheet does not keep a cell after its row was appended, so styled cells are reused.
        self._outcomes = {outcome: _cell(sheet, outcome.value, _BY_OUTCOME[outcome]) for outcome in Outcome}
        self._numbers = {at: _cell(sheet, None, _NUMBER) for at in _COUNTS_AT}
        self._times = {at: _cell(sheet, None, _TIME) for at in _TIMES_AT}
        self._used = 1

    def end(self) -> list[str]:
        """Finish; returns the sheets' titles."""
        self._close()
        return [sheet.title for sheet in self._sheets]

    def _close(self) -> None:
        if self._sheets:
            last = get_column_letter(len(REPORT_COLUMNS) + len(self._head.columns))
            self._sheets[-1].auto_filter.ref = f"A1:{last}{self._used}"
            self._sheets[-1].close()

    def _cells(self, row: ReportRow) -> list[Any]:
        values: list[Any] = record(row, self._head)
        sheet = self._sheets[-1]
        cells = [_text(sheet, value) if isinstance(value, str) else value for value in values]
        cells[_OUTCOME_AT] = self._outcomes[row.outcome]
        for at, cell in self._numbers.items():
            cell.value = cells[at]
            cells[at] = cell
        for (at, cell), wall in zip(self._times.items(), (row.submitted_at, row.finished_at), strict=True):
            cell.value = _date(wall)
            cells[at] = cell
        cells.extend(_text(sheet, cell) for cell in row.cells)
        return cells


class _LookupSheets:
    """Writes what the tenant reported for each device to sheets, for devices that were looked up."""

    _COLUMNS: Mapping[str, int] = {
        "row": 8, "device": 34, "outcome": 14, "platform": 16, "device group": 26, "tags": 34, "last seen": 22,
        "remark": 70,
    }  # fmt: skip

    def __init__(self, book: Workbook, rows_of_a_sheet: int) -> None:
        self._book, self._capacity, self._used = book, rows_of_a_sheet, rows_of_a_sheet
        self._sheets: list[_Sheet] = []

    def add(self, row: ReportRow, facts: DeviceFacts) -> None:
        if self._used == self._capacity:
            self._begin()
        sheet = self._sheets[-1]
        self._number.value, self._time.value = row.row, _date(facts.last_seen)
        sheet.append(
            [
                self._number,
                _text(sheet, row.device_name),
                self._outcomes[row.outcome],
                *(_text(sheet, text) for text in (facts.platform, facts.group, ", ".join(facts.tags))),
                self._time,
                _text(sheet, remarks(facts)),
            ]
        )
        self._used += 1

    def end(self) -> list[str]:
        """Finish; returns the sheets' titles."""
        self._close()
        return [sheet.title for sheet in self._sheets]

    def _begin(self) -> None:
        self._close()
        count = len(self._sheets)
        sheet = _new_sheet(self._book, f"{LOOKUP_SHEET} {count + 1}" if count else LOOKUP_SHEET)
        self._sheets.append(sheet)
        sheet.freeze_panes = "A2"
        sheet.print_title_rows = "1:1"
        sheet.row_dimensions[1].height = 20
        _set_widths(sheet, list(self._COLUMNS.values()))
        sheet.append([_cell(sheet, name, _HEADER) for name in self._COLUMNS])
        self._outcomes = {outcome: _cell(sheet, outcome.value, _BY_OUTCOME[outcome]) for outcome in Outcome}
        self._number, self._time = _cell(sheet, None, _NUMBER), _cell(sheet, None, _TIME)
        self._used = 1

    def _close(self) -> None:
        if self._sheets:
            self._sheets[-1].auto_filter.ref = f"A1:{get_column_letter(len(self._COLUMNS))}{self._used}"
            self._sheets[-1].close()


def _date(wall: float | None) -> datetime | None:
    """A time as a cell's value; None for a time outside the calendar."""
    if wall is None:
        return None
    try:
        found = cell_time(wall)
    except (OverflowError, ValueError, OSError):
        return None
    return found if found.year >= FIRST_YEAR else None


def _new_sheet(book: Workbook, title: str, pages_wide: int = 1) -> _Sheet:
    sheet: _Sheet = book.create_sheet(title)
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.paperSize = 9  # A4
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = pages_wide, 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    sheet.oddFooter.right.text = "&P / &N"
    return sheet


def _set_widths(sheet: _Sheet, widths: Sequence[int]) -> None:
    for number, width in enumerate(widths, 1):
        sheet.column_dimensions[get_column_letter(number)].width = width


def _width_of_input(name: str) -> int:
    return min(32, max(14, len(name) + 4))


def _text(sheet: _Sheet, text: str) -> Any:
    """A value for a text cell without a style. Most are passed as str: a cell object costs ten times as much."""
    if len(text) <= _CERTAINLY_FITTING and text.isalnum():
        return text
    shown = _cell_text(text)
    return _guarded(sheet, shown) if shown.startswith("#") or is_like_formula(shown) else shown or None


def _guarded(sheet: _Sheet, text: str) -> Any:
    """A cell for a text that openpyxl would write as a formula or an error.

    It is like one typed with an apostrophe in front in Excel: text, and still text after editing.
    """
    cell = WriteOnlyCell(sheet, text)
    cell.data_type = "s"
    cell.quotePrefix = True
    return cell


def _cell(sheet: _Sheet, value: str | int | datetime | None, style: _Style) -> Any:
    cell = WriteOnlyCell(sheet)
    if isinstance(value, int | datetime):
        cell.value = value
    elif value:  # an empty text cell would not be valid
        cell.value = _cell_text(value)
        cell.data_type = "s"
        cell.quotePrefix = is_like_formula(cell.value)
    for name in ("font", "fill", "alignment", "border", "number_format"):
        part = getattr(style, name)
        if part is not None:
            setattr(cell, name, part)
    return cell


def _cell_text(text: str) -> str:
    """The text as stored in a cell.

    Programs read `_x001B_` as the character of that number (ECMA-376, ST_Xstring), so a text that happens to look like
    that is written with its underscore escaped.
    """
    return _fitting(_LIKE_AN_ESCAPE.sub("_x005F_", visible(text)))


def _fitting(text: str) -> str:
    """The text, cut to the maximum length of a cell."""
    if len(text) <= _CERTAINLY_FITTING or len(text.encode("utf-16-le")) <= 2 * _LONGEST_TEXT:
        return text
    units = text.encode("utf-16-le")[: 2 * (_LONGEST_TEXT - len(_CUT))]
    return units.decode("utf-16-le", "ignore") + _CUT


# ── the summary ───────────────────────────────────────────────────────────────────────────────────────────


_Line = tuple[float, list[Any]]  # height in points, cells

_POINTS = 16.0  # one line of text
_SUMMARY_WIDTHS = (20, 30, 12, 104)


def _write_summary(book: Workbook, head: ReportHead, summary: Summary) -> None:
    sheet = _new_sheet(book, SUMMARY_SHEET)
    sheet.sheet_view.showGridLines = False
    _set_widths(sheet, _SUMMARY_WIDTHS)
    asked = [*_title_lines(sheet, head), *_planned_lines(sheet, head, summary), *_fact_lines(sheet, head)]
    lines = [*asked, *_outcome_lines(sheet, summary), *_reason_lines(sheet, summary)]
    for number, (height, cells) in enumerate(lines, 1):
        sheet.row_dimensions[number].height = height  # not every program adjusts it to wrapped text
        sheet.append(cells)
    sheet.add_chart(_chart(sheet, header=len(asked) + 3), f"D{len(asked) + 2}")
    sheet.close()


def _chart(sheet: _Sheet, header: int) -> BarChart:
    """The counts by outcome as bars, beside their table, whose header is in this row."""
    chart = BarChart()
    chart.type, chart.gapWidth, chart.legend = "bar", 30, None
    chart.width, chart.height = 18, 5.2  # centimetres; as high as the table
    last = header + len(Outcome)
    chart.add_data(Reference(sheet, min_col=2, min_row=header + 1, max_row=last))
    chart.set_categories(Reference(sheet, min_col=1, min_row=header + 1, max_row=last))
    chart.x_axis.delete = chart.y_axis.delete = False
    chart.x_axis.scaling.orientation = "maxMin"  # from top to bottom, as in the table
    chart.y_axis.delete, chart.y_axis.majorGridlines = True, None
    bars = chart.series[0]
    bars.dLbls = DataLabelList(showVal=True, showSerName=False, showCatName=False, showLegendKey=False)
    for at, outcome in enumerate(Outcome):
        bars.dPt.append(DataPoint(idx=at, spPr=GraphicalProperties(solidFill=_COLOURS[outcome][1])))
    return chart


def _title_lines(sheet: _Sheet, head: ReportHead) -> Iterator[_Line]:
    yield 28, [_cell(sheet, "Offboarding report", _TITLE)]
    if head.simulated:
        banner = "SIMULATED: this was a rehearsal, nothing was sent to Microsoft"
        yield 24, [_cell(sheet, text, _SIMULATED) for text in (banner, None, None, None)]


def _heading(sheet: _Sheet, text: str) -> Iterator[_Line]:
    yield _POINTS, []
    yield 22, [_cell(sheet, text, _HEADING)]


def _fact_lines(sheet: _Sheet, head: ReportHead) -> Iterator[_Line]:
    yield from _heading(sheet, "Request")
    for label, fact in _facts(head):
        yield (
            _POINTS,
            [
                _cell(sheet, label, _LABEL),
                _cell(sheet, fact, _FACT_TIME if isinstance(fact, datetime) else _PLAIN),
                *(_cell(sheet, None, _PLAIN) for _ in range(2)),
            ],
        )


def _planned_lines(sheet: _Sheet, head: ReportHead, summary: Summary) -> Iterator[_Line]:
    """For a plan: which devices will lose their protection, and how long that takes."""
    planned = summary.planned
    if planned is None:
        return
    yield from _heading(sheet, planned_headline(planned))
    if planned.known:
        yield _POINTS, [_cell(sheet, recent_words(planned), _TEXT)]
    if head.expected is not None:
        yield _POINTS, [_cell(sheet, f"A run takes about {spoken_duration(head.expected)}.", _TEXT)]
    if head.refusals:
        yield _POINTS, [_cell(sheet, "`run` will refuse this plan:", _TEXT)]
        yield from ((_POINTS, [_cell(sheet, why, _TEXT)]) for why in head.refusals)
    for name, counts in planned.tables.items():
        yield _POINTS, []
        yield 20, [_cell(sheet, name.lower(), _HEADER), _cell(sheet, "devices", _HEADER_OF_COUNT)]
        for entry, devices in counts.items():
            yield _POINTS, [_cell(sheet, entry, _LABEL), _cell(sheet, devices, _COUNT)]


def _outcome_lines(sheet: _Sheet, summary: Summary) -> Iterator[_Line]:
    yield from _heading(sheet, "How the rows ended")
    yield 20, [_cell(sheet, "outcome", _HEADER), _cell(sheet, "rows", _HEADER_OF_COUNT)]
    for outcome, rows in summary.outcomes.items():
        yield _POINTS, [_cell(sheet, outcome.value, _BY_OUTCOME[outcome]), _cell(sheet, rows, _COUNT)]
    yield _POINTS, [_cell(sheet, "all rows", _LABEL), _cell(sheet, summary.rows, _COUNT)]


def _reason_lines(sheet: _Sheet, summary: Summary) -> Iterator[_Line]:
    yield from _heading(sheet, "Why, and what to do")
    styles = (_HEADER, _HEADER, _HEADER_OF_COUNT, _HEADER)
    names = ("outcome", "error_code", "rows", "advice")
    yield 20, [_cell(sheet, name, style) for name, style in zip(names, styles, strict=True)]
    for reason in summary.reasons:
        yield (
            _lines_of(reason.advice) * _POINTS,
            [
                _cell(sheet, reason.outcome.value, _BY_OUTCOME[reason.outcome]),
                _cell(sheet, reason.error_code or None, _PLAIN),
                _cell(sheet, reason.rows, _COUNT),
                _cell(sheet, reason.advice, _SENTENCE),
            ],
        )


def _lines_of(text: str) -> int:
    """The approximate number of lines that the text takes in the column of advice."""
    return 1 + len(text) // _SUMMARY_WIDTHS[-1]


def _facts(head: ReportHead) -> Iterator[tuple[str, str | datetime]]:
    yield "batch", head.batch_id
    yield "state", head.state
    yield "spreadsheet", head.source_name
    yield "its SHA-256", head.source_sha256
    yield "tenant", head.tenant
    yield "API", head.api_url
    yield "comment", head.comment
    yield from (("overridden", each) for each in head.overrides)
    yield from _fact_of_time("planned at", head.planned_at)
    yield from _fact_of_people("planned by", head.planned_by)
    yield from _fact_of_people("approved by", ", ".join(head.approved_by))
    yield from _fact_of_people("denied by", "; ".join(head.denied))
    yield from _fact_of_time("started at", head.started_at)
    yield from _fact_of_time("ended at", head.ended_at)
    yield from _fact_of_people("run by", ", ".join(head.run_by))
    yield from _fact_of_time("report written at", head.written_at)
    yield "batch-offboard", head.tool_version
    if head.audit:
        yield "audit record", head.audit


def _fact_of_time(label: str, wall: float | None) -> Iterator[tuple[str, datetime]]:
    date = _date(wall)
    if date is not None:
        yield label, date


def _fact_of_people(label: str, names: str) -> Iterator[tuple[str, str]]:
    if names:
        yield label, names
