"""A workbook that the tool has written is a sheet again: its failed rows stand on two of its sheets."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from batch_offboard.base.errors import InputError
from batch_offboard.reports.files import write_report
from batch_offboard.reports.rows import Outcome, ReportHead, ReportRow
from batch_offboard.sheets import open_table

FAILED = frozenset({"failed"})
Edit = Callable[[openpyxl.Workbook], None]


@pytest.fixture
def report(tmp_path: Path, head: ReportHead, rows: list[ReportRow]) -> Path:
    """One row of each outcome, and a second that failed."""
    outcomes = [*Outcome, Outcome.FAILED]
    many = [
        replace(rows[0], row=number, device_id=f"{number:040x}".replace("0", "a"), outcome=outcome)
        for number, outcome in enumerate(outcomes, 2)
    ]
    return write_report(tmp_path / "r.xlsx", head, many)


@pytest.fixture
def edited(report: Path) -> Callable[[Edit], Path]:
    """The report after somebody has worked on it."""

    def edit(change: Edit) -> Path:
        book = openpyxl.load_workbook(report)
        change(book)
        book.save(report)
        return report

    return edit


def numbers(path: Path, sheet: str | None = None, only: frozenset[str] | None = None) -> list[int]:
    return [row.number for row in open_table(path, sheet=sheet, only=only).rows]


def sentence(path: Path, only: frozenset[str] | None = None) -> str:
    with pytest.raises(InputError) as caught:
        open_table(path, only=only)
    return str(caught.value)


def test_the_failed_rows_are_taken_once(report: Path) -> None:
    assert numbers(report, only=FAILED) == [3, 8]


def test_without_a_choice_all_rows_are_taken_once(report: Path) -> None:
    assert numbers(report) == [2, 3, 4, 5, 6, 7, 8]


def test_the_sheet_of_failed_rows_can_be_named(report: Path) -> None:
    table = open_table(report, sheet="Failed")

    assert table.source.kind == "XLSX, sheet 'Failed'"
    assert table.columns == ("Owner", "Owner", "=note")
    assert [row.device_id for row in table.rows] == [f"{number:040x}".replace("0", "a") for number in (3, 8)]
    assert numbers(report, sheet="Failed", only=FAILED) == [2, 3]


def repair(book: openpyxl.Workbook) -> None:
    book["Failed"]["B2"] = "f" * 40


def take_out(book: openpyxl.Workbook) -> None:
    book["Failed"].delete_rows(2)


def repair_among_all(book: openpyxl.Workbook) -> None:
    book["Devices"]["C8"] = "another name"


@pytest.mark.parametrize("change", [repair, take_out, repair_among_all])
@pytest.mark.parametrize("only", [None, FAILED], ids=["all", "failed"])
def test_failed_rows_that_were_changed_on_one_sheet_alone_are_a_question(
    edited: Callable[[Edit], Path], change: Edit, only: frozenset[str] | None
) -> None:
    path = edited(change)

    assert sentence(path, only) == (
        "r.xlsx: the failed rows on the sheets 'Devices' and 'Failed' differ; name the one that is meant with --sheet."
    )
    assert numbers(path, sheet="Failed", only=only)


def test_another_order_is_no_change(edited: Callable[[Edit], Path]) -> None:
    def turn_around(book: openpyxl.Workbook) -> None:
        book["Failed"].move_range("A2:P2", rows=2)

    assert numbers(edited(turn_around), only=FAILED) == [3, 8]


def test_a_change_of_a_row_that_did_not_fail_is_no_question(edited: Callable[[Edit], Path]) -> None:
    def rename(book: openpyxl.Workbook) -> None:
        book["Devices"]["C2"] = "another name"

    assert numbers(edited(rename), only=FAILED) == [3, 8]


def test_the_sheet_of_failed_rows_alone_is_enough(edited: Callable[[Edit], Path]) -> None:
    assert numbers(edited(lambda book: book.remove(book["Devices"])), only=FAILED) == [2, 3]


def test_the_failed_rows_and_a_sheet_that_is_no_report_are_a_question(edited: Callable[[Edit], Path]) -> None:
    def replace_all(book: openpyxl.Workbook) -> None:
        book.remove(book["Devices"])
        sheet = book.create_sheet("More")
        for line in (["Device ID"], ["f" * 40]):
            sheet.append(line)

    assert "more than one sheet holds devices ('Failed', 'More')" in sentence(edited(replace_all))


def test_a_sheet_that_is_no_report_is_still_a_second_answer(edited: Callable[[Edit], Path]) -> None:
    def add(book: openpyxl.Workbook) -> None:
        sheet = book.create_sheet("More")
        for line in (["Device ID"], ["f" * 40]):
            sheet.append(line)

    assert "more than one sheet holds devices ('Devices', 'Failed', 'More')" in sentence(edited(add))


NOTE = st.text(st.sampled_from('ab1 ,;|\t"\n\r=+-@'), max_size=12)  # an apostrophe in front of a formula would go
SWALLOWED = 'returned,"\r\nf3a1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0,lt-103.contoso.example,"\r\n'


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_whatever_the_cells_hold_every_row_comes_back_as_it_was(
    tmp_path: Path, head: ReportHead, rows: list[ReportRow], suffix: str
) -> None:
    path = tmp_path / f"report.{suffix}"

    @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
    @given(notes=st.lists(st.tuples(NOTE, NOTE, NOTE), min_size=1, max_size=4))
    @example(notes=[(SWALLOWED, '"', '",'), ("lt-1\nlt-2", "f" * 40 + "\n" + "e" * 40, "")])
    def feed_back(notes: list[tuple[str, str, str]]) -> None:
        reported = [
            replace(rows[0], row=number, device_id=f"{number:040x}".replace("0", "a"), cells=cells)
            for number, cells in enumerate(notes, 2)
        ]
        write_report(path, head, reported)
        again = list(open_table(path).rows)
        assert [(row.device_id, row.device_name) for row in again] == [(r.device_id, r.device_name) for r in reported]
        assert [tuple(map(_lines, row.cells)) for row in again] == [tuple(map(_lines, cells)) for cells in notes]

    feed_back()


def _lines(cell: str) -> list[str]:
    """Line ends may change their kind in a workbook, and blanks at the end are nobody's."""
    return cell.rstrip().splitlines()
