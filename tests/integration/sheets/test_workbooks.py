"""Workbooks: the cell's type survives, hidden things are never taken silently, and sheets are not guessed."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
import xlwt
from openpyxl import Workbook as Book
from openpyxl.styles import Font
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from openpyxl.worksheet.worksheet import Worksheet

from batch_offboard.core.devices import Refusal as Reason
from batch_offboard.core.devices import judge_id
from batch_offboard.core.rows import CellKind, NotText, SourceRow, Table
from batch_offboard.sheets import HiddenRows

AnId = Callable[[int], str]
Workbook = Callable[..., Path]
Taken = Callable[..., list[SourceRow]]
Opened = Callable[..., Table]
Refusal = Callable[..., str]
Cell = Callable[[str, str], str]
HEADER = ("Device ID", "Device name", "Note")


def ids(rows: list[SourceRow]) -> list[str | NotText]:
    return [row.device_id for row in rows]


def test_rows_come_with_their_own_numbers_and_blank_rows_are_left_out(
    opened: Opened, workbook: Workbook, an_id: AnId
) -> None:
    blank: list[tuple[object, ...]] = [(), (None, " ", "\u00a0"), *[()] * 20]
    table = opened(workbook([HEADER, (an_id(1), "lt-1", 7), *blank, (an_id(2), "lt-2", None)]))
    assert table.source.kind == "XLSX, sheet 'Devices'"
    assert list(table.rows) == [
        SourceRow(2, an_id(1), "lt-1", (an_id(1), "lt-1", "7")),
        SourceRow(25, an_id(2), "lt-2", (an_id(2), "lt-2", "")),
    ]


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        (1.234567890123457e39, CellKind.NUMBER, "1.234567890123457e+39"),
        (12345, CellKind.NUMBER, "12345"),
        (1.5, CellKind.NUMBER, "1.5"),
        (True, CellKind.BOOLEAN, "TRUE"),
        (dt.date(2026, 11, 20), CellKind.DATE, "2026-11-20"),
        (dt.datetime(2026, 11, 20, 10, 30), CellKind.DATE, "2026-11-20 10:30:00"),  # noqa: DTZ001 - as stored
        (dt.time(10, 30), CellKind.DATE, "10:30:00"),
        (dt.timedelta(hours=30, minutes=5), CellKind.DATE, "1 day, 6:05:00"),
        ("=A2", CellKind.FORMULA, ""),
        ("#N/A", CellKind.ERROR, ""),
        ("#REF!", CellKind.ERROR, ""),
    ],
)
def test_a_cell_that_is_not_text_keeps_its_type_and_is_refused(
    taken: Taken, workbook: Workbook, an_id: AnId, value: object, kind: CellKind, shown: str
) -> None:
    rows = taken(workbook([HEADER, (an_id(1), "lt-1", ""), (value, "lt-2", ""), (an_id(3), "lt-3", "")]))
    assert ids(rows) == [an_id(1), NotText(kind, shown), an_id(3)]
    assert isinstance(judge_id(rows[1].device_id), Reason)


def test_a_row_with_nothing_but_an_error_is_a_row(taken: Taken, workbook: Workbook, an_id: AnId) -> None:
    rows = taken(workbook([HEADER, (an_id(1), "", ""), ("#N/A", "", ""), (an_id(2), "", "")]))
    assert ids(rows) == [an_id(1), NotText(CellKind.ERROR, ""), an_id(2)]


def test_a_formula_with_a_stored_result_is_not_trusted(
    taken: Taken, archive: Workbook, xlsx_parts: Callable[..., dict[str, str]], text_cell: Cell, an_id: AnId
) -> None:
    stored = f'<c r="A2" t="str"><f>B2</f><v>{an_id(1)}</v></c>'
    rows = f'<row r="1">{text_cell("A1", "Device ID")}</row><row r="2">{stored}</row>'
    rows += f'<row r="3">{text_cell("A3", an_id(2))}<c r="B3" t="str"><f>A3</f><v>x</v></c></row>'
    assert ids(taken(archive(xlsx_parts(rows)))) == [NotText(CellKind.FORMULA, an_id(1)), an_id(2)]


def test_the_same_text_is_the_same_whether_inline_shared_or_string(
    taken: Taken, archive: Workbook, xlsx_parts: Callable[..., dict[str, str]], text_cell: Cell, an_id: AnId
) -> None:
    shared = '<c r="A3" t="s"><v>0</v></c>'
    plain = f'<c r="A4" t="str"><v>{an_id(1)}</v></c>'
    rich = f'<c r="A5" t="inlineStr"><is><r><t>{an_id(1)[:9]}</t></r><r><t>{an_id(1)[9:]}</t></r></is></c>'
    cells = [text_cell("A1", "Device ID"), text_cell("A2", an_id(1)), shared, plain, rich]
    parts = xlsx_parts("".join(f'<row r="{at}">{cell}</row>' for at, cell in enumerate(cells, 1)))
    parts["xl/sharedStrings.xml"] = (
        f'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>{an_id(1)}</t></si></sst>'
    )
    assert ids(taken(archive(parts))) == [an_id(1)] * 4


def test_an_apostrophe_that_is_only_excels_mark_is_not_part_of_the_id(
    taken: Taken, workbook: Workbook, an_id: AnId
) -> None:
    def mark(sheet: Worksheet) -> None:
        sheet["A2"].quotePrefix = True

    assert ids(taken(workbook([HEADER, (an_id(1), "", "")], mark))) == [an_id(1)]


def test_merged_id_cells_are_refused_and_other_merged_cells_are_not(
    taken: Taken, workbook: Workbook, an_id: AnId
) -> None:
    def merge(sheet: Worksheet) -> None:
        sheet.merge_cells("A3:A4")
        sheet.merge_cells("B5:C5")

    rows = taken(workbook([HEADER, *[(an_id(n), "x", "y") for n in (1, 2, 3, 4)]], merge))
    merged = [NotText(CellKind.MERGED, an_id(2)), NotText(CellKind.MERGED, "")]
    assert ids(rows) == [an_id(1), *merged, an_id(4)]


def hide(*numbers: int) -> Callable[[Worksheet], None]:
    def change(sheet: Worksheet) -> None:
        for number in numbers:
            sheet.row_dimensions[number].hidden = True

    return change


def test_hidden_rows_are_refused_with_their_count(refusal: Refusal, workbook: Workbook, an_id: AnId) -> None:
    path = workbook([HEADER, *[(an_id(n), "x", "y") for n in range(9)]], hide(3, 4, 7))
    sentence = refusal(path)
    assert "3 hidden or filtered-out rows" in sentence
    assert "--visible-only" in sentence
    assert "--include-hidden" in sentence


def test_the_operator_decides_about_hidden_rows(opened: Opened, workbook: Workbook, an_id: AnId) -> None:
    path = workbook([HEADER, *[(an_id(n), "x", "y") for n in range(4)]], hide(3, 4))
    visible = opened(path, hidden=HiddenRows.VISIBLE_ONLY)
    assert [row.number for row in visible.rows] == [2, 5]
    assert "2 hidden or filtered-out rows left out." in visible.notes
    included = opened(path, hidden=HiddenRows.INCLUDE)
    assert [row.number for row in included.rows] == [2, 3, 4, 5]
    assert "2 hidden or filtered-out rows included with the others." in included.notes


def test_a_hidden_row_that_is_blank_or_the_header_does_not_count(taken: Taken, workbook: Workbook, an_id: AnId) -> None:
    path = workbook([HEADER, (an_id(1), "x", "y"), (), (an_id(2), "x", "y")], hide(1, 3))
    assert [row.number for row in taken(path)] == [2, 4]


def test_a_hidden_column_of_ids_is_told(opened: Opened, workbook: Workbook, an_id: AnId) -> None:
    def change(sheet: Worksheet) -> None:
        sheet.column_dimensions["A"].hidden = True

    table = opened(workbook([HEADER, (an_id(1), "x", "y")], change))
    assert "The column of device IDs is hidden in the sheet." in table.notes


def test_rows_that_are_struck_through_are_counted_and_taken(opened: Opened, workbook: Workbook, an_id: AnId) -> None:
    def strike(sheet: Worksheet) -> None:
        for place in ("A1", "A3", "B3", "C5", "A7"):
            sheet[place].font = Font(strike=True)
        sheet["A2"].font = Font(bold=True)

    table = opened(workbook([HEADER, *[(an_id(n), "x", "y") for n in range(4)], (), ()], strike))
    assert "Struck-through text in 2 rows; it is read like any other text; remove what is not meant." in table.notes
    assert [row.number for row in table.rows] == [2, 3, 4, 5]


def test_a_font_that_is_not_struck_through_is_not_told(opened: Opened, workbook: Workbook, an_id: AnId) -> None:
    def change(sheet: Worksheet) -> None:
        sheet["A2"].font = Font(strike=False, bold=True)
        sheet["A9"].font = Font(strike=True)  # an empty cell

    table = opened(workbook([HEADER, (an_id(1), "x", "y")], change))
    assert not [note for note in table.notes if "Struck" in note]


def test_dates_counted_from_1904_are_dates_and_ids_beside_them_are_ids(
    taken: Taken, workbook: Workbook, an_id: AnId
) -> None:
    def change(sheet: Worksheet) -> None:
        book = sheet.parent
        assert isinstance(book, Book)
        book.epoch = CALENDAR_MAC_1904
        sheet["A3"] = dt.date(2026, 11, 20)

    rows = taken(workbook([HEADER, (an_id(1), "x", "y"), ("", "x", "y")], change))
    assert ids(rows) == [an_id(1), NotText(CellKind.DATE, "2026-11-20")]


def test_a_hidden_sheet_is_never_chosen(refusal: Refusal, workbook: Workbook, an_id: AnId) -> None:
    def change(sheet: Worksheet) -> None:
        sheet.sheet_state = "veryHidden"

    path = workbook([HEADER, (an_id(1), "x", "y")], change, more={"Cover": [("Read me",)]})
    assert "the columns are A 'Read me'" in refusal(path)
    assert "'Devices' is hidden" in refusal(path, sheet="Devices")


def test_the_only_sheet_with_ids_is_taken_and_the_others_are_named(
    opened: Opened, workbook: Workbook, an_id: AnId
) -> None:
    more = {"Read me": [("Text",), ("More text",)], "Names": [("Device name",), ("lt-1",)], "Blank": []}
    table = opened(workbook([HEADER, (an_id(1), "x", "y")], more=more))
    assert table.source.kind == "XLSX, sheet 'Devices'"
    assert table.notes[-1] == "Sheets that were not read: 'Read me', 'Names'."
    assert not [note for note in opened(workbook([HEADER, (an_id(1), "x", "y")])).notes if "not read" in note]


def test_two_sheets_with_ids_are_a_question_that_a_name_or_a_number_answers(
    refusal: Refusal, taken: Taken, workbook: Workbook, an_id: AnId
) -> None:
    path = workbook([HEADER, (an_id(1), "x", "y")], more={"Spare": [HEADER, (an_id(2), "x", "y")]})
    assert "more than one sheet holds devices ('Devices', 'Spare'); name one with --sheet" in refusal(path)
    assert ids(taken(path, sheet="Spare")) == ids(taken(path, sheet="2")) == [an_id(2)]
    assert "has no sheet 'Gone'; the sheets are 'Devices', 'Spare'" in refusal(path, sheet="Gone")
    assert "has no sheet '3'" in refusal(path, sheet="3")


def test_a_table_that_does_not_begin_in_a1_keeps_its_letters_and_numbers(
    opened: Opened, workbook: Workbook, an_id: AnId
) -> None:
    def move(sheet: Worksheet) -> None:
        sheet.move_range("A1:C2", rows=4, cols=2)

    table = opened(workbook([HEADER, (an_id(1), "lt-1", "y")], move), id_column="C")
    assert table.columns == ("Column A", "Column B", *HEADER)
    assert list(table.rows) == [SourceRow(6, an_id(1), "lt-1", ("", "", an_id(1), "lt-1", "y"))]


def test_thousands_of_rows_mixed_with_bad_ones_keep_their_numbers(
    taken: Taken, workbook: Workbook, an_id: AnId
) -> None:
    values: list[tuple[object, ...]] = [(an_id(n), f"lt-{n}", "") for n in range(9000)]
    values[8500] = (5, "lt", "")
    values[8600] = ()
    rows = taken(workbook([HEADER, *values]))
    assert len(rows) == 8999
    assert rows[8500] == SourceRow(8502, NotText(CellKind.NUMBER, "5"), "lt", ("5", "lt", ""))
    assert rows[-1].number == 9001


def xls(path: Path, an_id: AnId, change: Callable[[xlwt.Worksheet], None], rows: int = 4) -> Path:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Gerät")
    sheet.write(0, 0, "Device ID")
    for row in range(1, rows + 1):
        sheet.write(row, 0, an_id(row))
    change(sheet)
    book.save(str(path))
    return path


def test_an_xls_workbook_is_read_with_its_hidden_rows_and_formulas(
    opened: Opened, refusal: Refusal, tmp_path: Path, an_id: AnId
) -> None:
    def change(sheet: xlwt.Worksheet) -> None:
        sheet.row(2).hidden = True
        sheet.write(5, 0, xlwt.Formula("A2"))
        sheet.write(6, 0, 1.23e39)
        sheet.write_merge(7, 8, 0, 0, an_id(7))
        sheet.write(8, 1, "beside the lower half")

    path = xls(tmp_path / "list.xls", an_id, change)
    assert "1 hidden or filtered-out row;" in refusal(path)
    table = opened(path, hidden=HiddenRows.VISIBLE_ONLY)
    assert table.source.kind == "XLS, sheet 'Gerät'"
    rows = list(table.rows)
    assert [row.number for row in rows] == [2, 4, 5, 6, 7, 8, 9]
    kinds = [cell.kind for cell in ids(rows) if isinstance(cell, NotText)]
    assert kinds == [CellKind.FORMULA, CellKind.NUMBER, CellKind.MERGED, CellKind.MERGED]


def test_hidden_rows_and_formulas_are_seen_in_a_binary_workbook(
    opened: Opened, refusal: Refusal, xlsb: Callable[..., Path], an_id: AnId
) -> None:
    path = xlsb(
        [("Device ID", False, False), (an_id(1), False, False), (an_id(2), True, False), (an_id(3), False, True)]
    )
    assert "1 hidden or filtered-out row;" in refusal(path)
    rows = list(opened(path, hidden=HiddenRows.VISIBLE_ONLY).rows)
    assert [(row.number, row.device_id) for row in rows] == [
        (2, an_id(1)),
        (4, NotText(CellKind.FORMULA, an_id(3))),
    ]


def test_a_cell_far_away_in_a_binary_workbook_is_refused(
    refusal: Refusal, xlsb: Callable[..., Path], an_id: AnId
) -> None:
    rows = [("Device ID", False, False), (an_id(1), False, False)]
    assert "16384 columns" in refusal(xlsb(rows, far=(5, 16_383)))
    assert "cells are spread over" in refusal(xlsb(rows, far=(1_048_575, 30)))


def test_an_ods_workbook_is_read_with_its_hidden_rows_formulas_and_merged_cells(
    opened: Opened, refusal: Refusal, ods: Callable[[str], Path], an_id: AnId
) -> None:
    def row(text: str, cell: str = "", line: str = "") -> str:
        cell = f'<table:table-cell office:value-type="string" {cell}><text:p>{text}</text:p></table:table-cell>'
        return f"<table:table-row {line}>{cell}</table:table-row>"

    blank = '<table:table-row table:number-rows-repeated="3"><table:table-cell/></table:table-row>'
    covered = "<table:table-row><table:covered-table-cell/></table:table-row>"
    path = ods(
        row("Device ID")
        + row(an_id(1), line='table:number-rows-repeated="2"')
        + row(an_id(2), line='table:visibility="filter"')
        + blank
        + row(an_id(3), 'table:formula="of:=A2"')
        + row(an_id(4), 'table:number-rows-spanned="2"')
        + covered
        + row("#N/A")
    )
    assert "1 hidden or filtered-out row;" in refusal(path)
    rows = list(opened(path, hidden=HiddenRows.VISIBLE_ONLY).rows)
    assert [(row.number, row.device_id) for row in rows] == [
        (2, an_id(1)),
        (3, an_id(1)),
        (8, NotText(CellKind.FORMULA, an_id(3))),
        (9, NotText(CellKind.MERGED, an_id(4))),
        (10, NotText(CellKind.MERGED, "")),
        (11, "#N/A"),
    ]


@pytest.mark.parametrize(
    ("rows", "columns", "said"),
    [(1_048_576, 1, ""), (1, 16_384, "16384 columns"), (1_048_576, 190, ""), (9_999_999_999, 1, "sheets end")],
)
def test_repeated_cells_cannot_fill_the_memory(
    refusal: Refusal, ods: Callable[[str], Path], rows: int, columns: int, said: str
) -> None:
    repeat = f'table:number-columns-repeated="{columns}"'
    cell = f'<table:table-cell office:value-type="string" {repeat}><text:p>x</text:p></table:table-cell>'
    assert said in refusal(ods(f'<table:table-row table:number-rows-repeated="{rows}">{cell}</table:table-row>'))
