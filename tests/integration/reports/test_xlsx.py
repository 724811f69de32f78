"""The workbook, opened again: by openpyxl for its looks, by calamine for what a reader makes of it."""

import io
import re
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from batch_offboard.base.text import visible
from batch_offboard.reports.files import write_report
from batch_offboard.reports.rows import REPORT_COLUMNS, Outcome, ReportHead, ReportRow
from batch_offboard.reports.workbook import write_workbook

RowsWith = Callable[[Iterable[str]], list[ReportRow]]
ANY_TEXT = st.text(st.characters() | st.sampled_from("=+-@\t\r\n\0\x1b '\"_x0041_#"), max_size=20)

ACCEPTED = "Accepted: the device offboards when it next connects; `batch-offboard track 20261124-081531-7f3a` shows it."


def workbook(head: ReportHead, rows: Iterable[ReportRow], **more: int) -> io.BytesIO:
    file = io.BytesIO()
    write_workbook(file, head, rows, **more)
    file.seek(0)
    return file


def opened(head: ReportHead, rows: Iterable[ReportRow], **more: int) -> Any:
    return openpyxl.load_workbook(workbook(head, rows, **more))


def test_the_sheet_of_devices_cell_by_cell(head: ReportHead, rows: list[ReportRow]) -> None:
    sheet = opened(head, rows)["Devices"]

    assert [[cell.value for cell in line] for line in sheet.iter_rows()] == [
        [*REPORT_COLUMNS, "Owner", "Owner", "=note"],
        [2, "a3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0", "lt-0417", "submitted",
         "0b0f6f0e-52a1-4f0c-9a63-3a5d6a1c7e90", "Pending", None, None, 201, 1,
         datetime(2026, 11, 24, 8, 15, 31), datetime(2026, 11, 24, 8, 15, 32),  # noqa: DTZ001 - UTC, as cells have it
         ACCEPTED, "Ann", "IT", None],
        [3, "=lt-99", "@name", "skipped", None, None, "invalid_id", "No ID.", None, 0, None, None,
         "Correct the ID: copy it from the device's page in the portal, as text.", "Zoë", "=1+1", "\\x1b[2J"],
    ]  # fmt: skip


def test_numbers_are_numbers_and_all_else_is_text(head: ReportHead, rows: list[ReportRow]) -> None:
    line = [cell.data_type for cell in opened(head, rows)["Devices"][2]]

    assert line == ["n", "s", "s", "s", "s", "s", "n", "n", "n", "n", "d", "d", "s", "s", "s", "n"]


def test_no_cell_of_the_whole_workbook_is_a_formula_or_an_error(
    rehearsal: ReportHead, nasty: list[str], rows_with: RowsWith
) -> None:
    file = workbook(replace(rehearsal, columns=tuple(nasty[:3]), source_name="=1"), rows_with(nasty))
    book = openpyxl.load_workbook(file)

    assert {cell.data_type for sheet in book for line in sheet.iter_rows() for cell in line} == {"s", "n", "d"}
    with zipfile.ZipFile(file) as archive:
        sheets = [archive.read(name) for name in archive.namelist() if name.startswith("xl/worksheets/")]
    assert not any(re.search(rb"<(\w+:)?f[ />]", sheet) for sheet in sheets)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(texts=st.lists(ANY_TEXT, max_size=30))
def test_any_text_is_read_back_as_text(head: ReportHead, rows_with: RowsWith, texts: list[str]) -> None:
    file = workbook(head, rows_with(texts))
    devices = CalamineWorkbook.from_object(file).get_sheet_by_name("Devices").to_python()

    # XML's own blanks alone come back as an empty cell: openpyxl does not have them kept.
    shown = [visible(text) if visible(text).strip(" \t\n\r") else "" for text in texts]
    assert [line[1] for line in devices[1:]] == shown
    assert [line[-1] for line in devices[1:]] == shown


def test_every_nasty_text_is_read_back_as_text(head: ReportHead, nasty: list[str], rows_with: RowsWith) -> None:
    devices = CalamineWorkbook.from_object(workbook(head, rows_with(nasty))).get_sheet_by_name("Devices").to_python()

    assert [line[1] for line in devices[1:]] == [visible(text) for text in nasty]


def test_a_text_that_looks_like_a_formula_stays_text_when_it_is_edited(head: ReportHead, rows: list[ReportRow]) -> None:
    sheet = opened(head, rows)["Devices"]

    assert sheet["B3"].quotePrefix
    assert not sheet["B2"].quotePrefix


def test_the_header_is_frozen_and_every_column_can_be_filtered(head: ReportHead, rows: list[ReportRow]) -> None:
    sheet = opened(head, rows)["Devices"]

    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:P3"
    assert sheet.column_dimensions["B"].width >= 40


def test_each_outcome_has_a_colour_and_its_word(head: ReportHead, rows: list[ReportRow]) -> None:
    every = [replace(rows[0], outcome=outcome) for outcome in Outcome]
    cells = [line[3] for line in opened(head, every)["Devices"].iter_rows(min_row=2)]

    assert [cell.value for cell in cells] == ["submitted", "failed", "skipped", "in_doubt", "pending", "cancelled"]
    assert len({cell.fill.fgColor.rgb for cell in cells}) == 6
    assert [cell.number_format for cell in cells] == ['"✓ "@', '"✕ "@', '"– "@', '"? "@', '"… "@', '"⊘ "@']
    assert all(cell.font.bold for cell in cells)


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2, from "AARRGGBB"."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (2, 4, 6)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("outcome", Outcome)
def test_the_word_of_an_outcome_can_be_read_on_its_colour(
    head: ReportHead, rows: list[ReportRow], outcome: Outcome
) -> None:
    cell = opened(head, [replace(rows[0], outcome=outcome)])["Devices"]["D2"]
    fill, ink = luminance(cell.fill.fgColor.rgb), luminance(cell.font.color.rgb)

    assert (fill + 0.05) / (ink + 0.05) >= 4.5  # WCAG 2, level AA


def test_rows_that_do_not_fit_a_sheet_go_on_in_the_next(head: ReportHead, rows: list[ReportRow]) -> None:
    many = [replace(rows[0], row=number) for number in range(2, 9)]
    book = opened(head, many, rows_of_a_sheet=4)

    assert book.sheetnames == ["Summary", "Devices", "Devices 2", "Devices 3", "Look-up", "Look-up 2", "Look-up 3"]
    numbers = [[line[0].value for line in book[name].iter_rows(min_row=2)] for name in book.sheetnames[1:4]]
    assert numbers == [[2, 3, 4], [5, 6, 7], [8]]
    assert {book[name]["B1"].value for name in book.sheetnames[1:4]} == {"device_id"}
    assert book["Devices 3"].auto_filter.ref == "A1:P2"


def test_the_failed_rows_stand_on_a_sheet_of_their_own_too(head: ReportHead, rows: list[ReportRow]) -> None:
    many = [replace(rows[0], row=2, outcome=Outcome.FAILED), rows[1], replace(rows[0], row=4, outcome=Outcome.FAILED)]
    book = opened(head, many)
    devices, failed = ([[cell.value for cell in line] for line in book[name]] for name in ("Devices", "Failed"))

    assert book.sheetnames == ["Summary", "Devices", "Failed", "Look-up"]
    assert failed == [devices[0], devices[1], devices[3]]
    assert (book["Failed"].freeze_panes, book["Failed"].auto_filter.ref) == ("A2", "A1:P3")


def test_without_failed_rows_there_is_no_sheet_for_them(head: ReportHead, rows: list[ReportRow]) -> None:
    assert opened(head, rows).sheetnames == ["Summary", "Devices", "Look-up"]


def test_the_sheets_of_one_title_stand_together(head: ReportHead, rows: list[ReportRow]) -> None:
    many = [replace(rows[0], row=number, outcome=Outcome.FAILED) for number in range(2, 5)]

    assert opened(head, many, rows_of_a_sheet=3).sheetnames == [
        *("Summary", "Devices", "Devices 2", "Failed", "Failed 2", "Look-up", "Look-up 2")
    ]


def test_rows_that_just_fit_make_no_empty_sheet(head: ReportHead, rows: list[ReportRow]) -> None:
    assert opened(head, rows, rows_of_a_sheet=3).sheetnames == ["Summary", "Devices", "Look-up"]


def summary_of(head: ReportHead, rows: Iterable[ReportRow]) -> list[tuple[Any, ...]]:
    lines = opened(head, rows)["Summary"].iter_rows(values_only=True)
    return [tuple(value for value in line if value is not None) for line in lines]


def test_the_summary_says_what_was_asked_and_how_it_ended(head: ReportHead, rows: list[ReportRow]) -> None:
    assert summary_of(head, [*rows, rows[0]]) == [
        ("Offboarding report",),
        (),
        ("Request",),
        ("batch", "20261124-081531-7f3a"),
        ("state", "finished"),
        ("spreadsheet", "leavers.xlsx"),
        ("its SHA-256", "ab" * 32),
        ("tenant", "contoso"),
        ("API", "https://api.security.microsoft.com"),
        ("comment", "=CHG0042"),
        ("overridden", "--no-lookup: the tenant was not asked"),
        ("planned at", datetime(2026, 11, 24, 8, 15, 31)),  # noqa: DTZ001 - UTC, as cells have it
        ("planned by", "ann@pc-7"),
        ("started at", datetime(2026, 11, 24, 8, 15, 31)),  # noqa: DTZ001 - likewise
        ("ended at", datetime(2026, 11, 24, 8, 16, 31)),  # noqa: DTZ001 - likewise
        ("run by", "ann@pc-7, svc@srv-4"),
        ("report written at", datetime(2026, 11, 24, 9, 15, 31)),  # noqa: DTZ001 - likewise
        ("batch-offboard", "0.1.0"),
        (),
        ("How the rows ended",),
        ("outcome", "rows"),
        ("submitted", 2),
        ("failed", 0),
        ("skipped", 1),
        ("in_doubt", 0),
        ("pending", 0),
        ("cancelled", 0),
        ("all rows", 3),
        (),
        ("Why, and what to do",),
        ("outcome", "error_code", "rows", "advice"),
        (
            "submitted",
            2,
            ACCEPTED,
        ),
        ("skipped", "invalid_id", 1, "Correct the ID: copy it from the device's page in the portal, as text."),
    ]


def test_times_are_dates_that_say_that_they_are_utc(head: ReportHead, rows: list[ReportRow]) -> None:
    book = opened(head, rows)
    cells = [book["Devices"]["K2"], book["Devices"]["L2"], book["Look-up"]["G2"], book["Summary"]["B12"]]

    assert {cell.data_type for cell in cells} == {"d"}
    assert {cell.number_format for cell in cells} == {'yyyy-mm-dd hh:mm:ss"Z"'}


def test_a_time_that_no_calendar_has_leaves_its_cell_empty(head: ReportHead, rows: list[ReportRow]) -> None:
    sheet = opened(head, [replace(rows[0], submitted_at=-5e9, finished_at=-6e10)])["Devices"]

    assert (sheet["K2"].value, sheet["L2"].value) == (None, None)


def test_what_the_tenant_said_stands_on_a_sheet_of_its_own(head: ReportHead, rows: list[ReportRow]) -> None:
    book = opened(head, rows)

    assert [[cell.value for cell in line] for line in book["Look-up"].iter_rows()] == [
        ["row", "device", "outcome", "platform", "device group", "tags", "last seen", "remark"],
        [2, "lt-0417", "submitted", "Windows11", None, "leaver", datetime(2026, 11, 24, 7, 15, 31), None],  # noqa: DTZ001 - UTC
    ]
    assert (book["Look-up"].freeze_panes, book["Look-up"].auto_filter.ref) == ("A2", "A1:H2")
    assert opened(head, [rows[1]]).sheetnames == ["Summary", "Devices"]


def test_the_summary_of_a_plan_begins_with_what_it_does(head: ReportHead, rows: list[ReportRow]) -> None:
    plan = replace(head, state="planned", expected=75.0, started_at=None, ended_at=None, run_by=())
    pending = replace(rows[0], outcome=Outcome.PENDING, submitted_at=None, finished_at=None)
    lines = summary_of(plan, [pending, rows[1]])

    assert lines[2:8] == [
        ("1 device loses its protection.",),
        ("1 of them was seen in the last 7 days and may still be in use.",),
        ("A run takes about 1 min 15 s.",),
        (),
        ("last seen", "devices"),
        ("in the last 24 hours", 1),
    ]
    assert ("platform", "devices") in lines


def test_the_summary_draws_the_counts_of_its_own_table(head: ReportHead, rows: list[ReportRow]) -> None:
    with zipfile.ZipFile(workbook(head, rows)) as archive:
        drawn = archive.read("xl/charts/chart1.xml").decode()
    sheet = opened(head, rows)["Summary"]
    places = [place.replace("$", "") for place in re.findall(r"<f>'Summary'!([$A-Z0-9:]+)</f>", drawn)]

    assert [[cell.value for (cell,) in sheet[place]] for place in places] == [
        ["submitted", "failed", "skipped", "in_doubt", "pending", "cancelled"],
        [1, 0, 1, 0, 0, 0],
    ]
    assert len(set(re.findall(r'<dPt>.*?<a:srgbClr val="(\w+)"', drawn))) == 6


def test_the_memory_it_takes_does_not_grow_with_the_rows(head: ReportHead, rows: list[ReportRow]) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        failed = replace(rows[0], outcome=Outcome.FAILED)
        with tempfile.TemporaryFile() as file:
            write_workbook(file, head, (replace(failed, row=number) for number in range(2, count)))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(10)  # what is imported and kept once

    assert peak(400) < 1.5 * peak(100)


def test_a_rehearsal_says_so_on_top_and_in_every_row(rehearsal: ReportHead, rows: list[ReportRow]) -> None:
    book = opened(rehearsal, rows)

    assert book["Summary"]["A2"].value == "SIMULATED: this was a rehearsal, nothing was sent to Microsoft"
    assert book["Summary"]["A2"].fill.fgColor.rgb.endswith("7C3AED")
    assert [line[12].value[:11] for line in book["Devices"].iter_rows(min_row=2)] == ["SIMULATED: ", "SIMULATED: "]


@pytest.mark.parametrize("text", ["x" * 40_000, "👩" * 20_000, "_x0041_" * 5_000])
def test_a_text_that_no_cell_can_hold_is_cut_and_says_so(
    tmp_path: Path, head: ReportHead, rows: list[ReportRow], text: str
) -> None:
    path = write_report(tmp_path / "r.xlsx", head, [replace(rows[0], cells=(text, "", ""))])
    value = openpyxl.load_workbook(path)["Devices"]["N2"].value

    assert len(value.encode("utf-16-le")) // 2 <= 32_767
    assert value.endswith(" … (cut; the journal has it whole)")


def test_a_long_text_that_a_cell_can_hold_is_whole(head: ReportHead, rows: list[ReportRow]) -> None:
    book = opened(head, [replace(rows[0], cells=("x" * 32_767, "", ""))])

    assert book["Devices"]["N2"].value == "x" * 32_767


def test_a_batch_without_rows_has_a_header_and_a_summary(head: ReportHead) -> None:
    book = opened(head, [])

    assert book["Devices"].max_row == 1
    assert summary_of(head, [])[-1] == ("outcome", "error_code", "rows", "advice")
