"""A report of the tool is read back: the wanted rows, with the input's own columns alone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from batch_offboard.core.rows import SourceRow, Table
from batch_offboard.reports.rows import REPORT_COLUMNS, Outcome

AnId = Callable[[int], str]
Written = Callable[..., Path]
Opened = Callable[..., Table]
Refusal = Callable[..., str]
OWN = ("Device ID", "Note")


def report_rows(an_id: AnId, note: str = "note") -> list[list[str]]:
    """A row for each outcome."""
    rows = []
    for number, outcome in enumerate(Outcome, 1):
        own = [str(number + 1), an_id(number), f"lt-{number}", outcome, "", "", "", "", "201", "1", "", "", "do so"]
        rows.append([*own, an_id(number), f"{note} {number}"])
    return rows


def as_csv(rows: list[list[str]]) -> str:
    lines = [[*REPORT_COLUMNS, *OWN], *rows]
    return "\ufeff" + "".join(",".join(f'"{cell}"' for cell in line) + "\r\n" for line in lines)


def test_a_csv_report_gives_the_rows_with_the_wanted_outcomes(opened: Opened, written: Written, an_id: AnId) -> None:
    table = opened(written(as_csv(report_rows(an_id))), only=frozenset({"failed", "in_doubt"}))
    assert table.columns == OWN
    assert (table.id_column, table.name_column) == ("device_id", "device_name")
    assert list(table.rows) == [
        SourceRow(3, an_id(2), "lt-2", (an_id(2), "note 2")),
        SourceRow(5, an_id(4), "lt-4", (an_id(4), "note 4")),
    ]


def test_without_only_all_rows_of_a_report_are_taken(opened: Opened, written: Written, an_id: AnId) -> None:
    table = opened(written(as_csv(report_rows(an_id))))
    assert len(list(table.rows)) == len(Outcome)
    assert "report of an earlier run" in table.notes[0]


def test_an_xlsx_report_is_read_from_its_devices_sheet(
    opened: Opened, workbook: Callable[..., Path], an_id: AnId
) -> None:
    rows = [[*REPORT_COLUMNS, *OWN], *report_rows(an_id, note="'=1+1")]
    rows[1][0] = rows[1][8] = ""
    path = workbook(rows, more={"Summary": [("Outcome", "Rows"), ("failed", 1)]})
    table = opened(path, only=frozenset({"failed"}))
    assert list(table.rows) == [SourceRow(3, an_id(2), "lt-2", (an_id(2), "'=1+1 2"))]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_the_apostrophe_that_the_csv_report_put_before_a_formula_is_taken_off_again(
    opened: Opened, written: Written, an_id: AnId, start: str
) -> None:
    rows = report_rows(an_id, note=f"'{start}1")
    rows[0][1] = f"'{start}id"
    rows[0][2] = f"'{start}name"
    first = next(iter(opened(written(as_csv(rows))).rows))
    assert first == SourceRow(2, f"{start}id", f"{start}name", (an_id(1), f"{start}1 1"))


def test_other_apostrophes_stay(opened: Opened, written: Written, an_id: AnId) -> None:
    first = next(iter(opened(written(as_csv(report_rows(an_id, note="'quoted'")))).rows))
    assert first.cells[1] == "'quoted' 1"
    plain = written(f"Device ID,Note\n{an_id(1)},'=1\n", "plain.csv")
    assert next(iter(opened(plain).rows)).cells[1] == "'=1"


def test_only_needs_a_report(refusal: Refusal, written: Written, an_id: AnId) -> None:
    sentence = refusal(written(f"Device ID\n{an_id(1)}\n"), only=frozenset({"failed"}))
    assert "not a report of an earlier run" in sentence


@pytest.mark.parametrize("words", [{"faild"}, {"failed", "Failed"}, set()])
def test_only_takes_nothing_but_outcomes(refusal: Refusal, written: Written, an_id: AnId, words: set[str]) -> None:
    sentence = refusal(written(as_csv(report_rows(an_id))), only=frozenset(words))
    assert "is not an outcome; the outcomes are submitted, failed, skipped" in sentence


def test_a_report_without_such_rows_holds_no_devices(refusal: Refusal, written: Written, an_id: AnId) -> None:
    path = written(as_csv(report_rows(an_id)[:1]))
    assert "holds no devices" in refusal(path, only=frozenset({"failed"}))


def test_the_columns_of_a_report_are_not_to_be_named(refusal: Refusal, written: Written, an_id: AnId) -> None:
    assert "whose columns are known" in refusal(written(as_csv(report_rows(an_id))), id_column="device_id")


def test_a_table_that_only_resembles_a_report_is_none(refusal: Refusal, written: Written, an_id: AnId) -> None:
    text = as_csv(report_rows(an_id)).replace('"attempts"', '"tries"')
    assert "not a report" in refusal(written(text), only=frozenset({"failed"}))
