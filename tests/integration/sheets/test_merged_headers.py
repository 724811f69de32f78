"""Headers of several lines: merged cells are one header, and no line that may be a device becomes part of it."""

import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import xlwt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl.worksheet.worksheet import Worksheet

from batch_offboard.base.errors import InputError
from batch_offboard.core.rows import CellKind, NotText, SourceRow, Table
from batch_offboard.sheets import open_table
from tests.binary_workbook import binary_workbook, record

AnId = Callable[[int], str]
Opened = Callable[..., Table]
Taken = Callable[..., list[SourceRow]]
Workbook = Callable[..., Path]
Rows = list[Sequence[object]]


def merging(*areas: str) -> Callable[[Worksheet], None]:
    def change(sheet: Worksheet) -> None:
        for area in areas:
            sheet.merge_cells(area)

    return change


def test_the_lower_half_of_merged_header_cells_is_part_of_the_header(
    opened: Opened, workbook: Workbook, an_id: AnId
) -> None:
    rows: Rows = [("Device ID", "Device name"), (), (an_id(1), "lt-1"), (an_id(2), "lt-2")]
    table = opened(workbook(rows, merging("A1:A2", "B1:B2")))
    assert [(row.number, row.device_id, row.device_name) for row in table.rows] == [
        (3, an_id(1), "lt-1"),
        (4, an_id(2), "lt-2"),
    ]
    assert not [note for note in table.notes if "lines" in note]


def test_a_header_in_two_levels_is_read_and_both_lines_are_named(
    opened: Opened, workbook: Workbook, an_id: AnId
) -> None:
    rows: Rows = [("Device ID", "Details", ""), ("", "Device name", "Mail"), (an_id(1), "lt-1", "ann")]
    table = opened(workbook(rows, merging("A1:A2", "B1:C1")))
    assert (table.columns, table.id_column, table.name_column) == (
        ("Device ID", "Device name", "Mail"),
        "Device ID",
        "Device name",
    )
    assert "The header has 2 lines: row 1 'Device ID', 'Details'; row 2 'Device name', 'Mail'." in table.notes
    assert [row.number for row in table.rows] == [3]


@pytest.mark.parametrize(
    ("above", "areas"),
    [
        (("Defender", "", "Owner"), ["A1:B1"]),
        (("Device", "", "Owner"), ["A1:B1"]),
        (("廃棄端末一覧 2026", "", ""), ["A1:C1"]),
    ],
)
def test_a_band_of_merged_cells_right_above_the_header_is_part_of_it(
    opened: Opened, workbook: Workbook, an_id: AnId, above: Sequence[object], areas: list[str]
) -> None:
    rows: Rows = [above, ("Device ID", "Device name", "Mail"), (an_id(1), "lt-1", "ann")]
    table = opened(workbook(rows, merging(*areas)))
    assert [row.number for row in table.rows] == [3]
    assert table.columns == ("Device ID", "Device name", "Mail")
    assert any(note.startswith(f"The header has 2 lines: row 1 '{above[0]}'") for note in table.notes)


@pytest.mark.parametrize(
    "second",
    [("", "lt-1"), ("", "frontdesk"), ("", "x", "beside"), ("", "", "12")],
)
def test_a_line_that_may_be_a_device_is_a_row(
    taken: Taken, workbook: Workbook, an_id: AnId, second: Sequence[object]
) -> None:
    rows: Rows = [("Device ID", "Device name"), second, (an_id(1), "lt-2")]
    found = taken(workbook(rows, merging("A1:A2")))
    assert [(row.number, row.device_id) for row in found] == [(2, NotText(CellKind.MERGED, "")), (3, an_id(1))]


def test_merged_headers_are_read_in_xls_xlsb_and_ods(tmp_path: Path, ods: Callable[[str], Path], an_id: AnId) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Devices")
    sheet.write_merge(0, 1, 0, 0, "Device ID")
    sheet.write(2, 0, an_id(1))
    book.save(str(tmp_path / "list.xls"))
    assert [row.number for row in open_table(tmp_path / "list.xls").rows] == [3]

    values = [("Device ID", False, False), ("", False, False), (an_id(1), False, False), (an_id(2), False, False)]
    merged = record(177, b"") + record(176, struct.pack("<4I", 0, 1, 0, 0)) + record(178, b"")
    assert [row.number for row in taken_from(tmp_path, binary_workbook(values, after=merged))] == [3, 4]
    merged = record(177, b"") + record(176, struct.pack("<4I", 2, 3, 0, 0)) + record(178, b"")
    kinds = [row.device_id for row in taken_from(tmp_path, binary_workbook(values, after=merged))]
    assert kinds == [NotText(CellKind.MERGED, an_id(1)), NotText(CellKind.MERGED, an_id(2))]

    cell = '<table:table-cell office:value-type="string" {}><text:p>{}</text:p></table:table-cell>'
    lines = [
        cell.format('table:number-rows-spanned="2"', "Device ID"),
        "<table:covered-table-cell/>",
        cell.format("", an_id(1)),
    ]
    path = ods("".join(f"<table:table-row>{line}</table:table-row>" for line in lines))
    assert [row.number for row in open_table(path).rows] == [3]


_AREAS = st.lists(st.sampled_from(["A1:A2", "B1:B2", "A1:B1", "B1:C1", "A2:B2", "C1:C3", "A1:C1"]), max_size=2)
_WORDS = st.sampled_from(["", "Device ID", "Device name", "Owner", "lt-1", "frontdesk", "a" * 39 + "b"])


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(areas=_AREAS, second=st.tuples(_WORDS, _WORDS, _WORDS))
def test_whatever_is_merged_every_line_with_content_is_header_row_or_named(
    workbook: Workbook, areas: list[str], second: tuple[str, str, str]
) -> None:
    first = ("Device ID", "Device name", "Owner")
    below: Rows = [("c" * 40, "lt-7", "ann"), ("d" * 39 + "e", "lt-8", "bob")]
    written: list[tuple[int, ...]] = []

    def change(sheet: Worksheet) -> None:
        for area in areas:
            if not any(area[:2] in merged for merged in map(str, sheet.merged_cells.ranges)):
                sheet.merge_cells(area)
        filled = {row: [cell.value for cell in cells if cell.value] for row, cells in enumerate(sheet.iter_rows(), 1)}
        written.append(tuple(row for row, cells in filled.items() if cells))

    path = workbook([first, second, *below], change)
    try:
        table = open_table(path)
    except InputError:
        return
    rows = [row.number for row in table.rows]
    named = [int(part.split()[0]) for note in table.notes if "lines: " in note for part in note.split("row ")[1:]]
    above = [
        int(part.split()[0]) for note in table.notes if "above the header" in note for part in note.split("row ")[2:]
    ]
    accounted = {1, *rows, *named, *above}
    assert accounted >= set(written[0])
    assert {3, 4} <= set(rows)


def taken_from(folder: Path, parts: dict[str, str | bytes]) -> list[SourceRow]:
    with zipfile.ZipFile(folder / "list.xlsb", "w") as opened:
        for part, content in parts.items():
            opened.writestr(part, content)
    return list(open_table(folder / "list.xlsb").rows)
