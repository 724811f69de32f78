"""Tables with stray quotation marks, without a header, with odd rows and any options: every line of devices is a row,
or is named as ignored, or the file is refused."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from batch_offboard.base.errors import InputError
from batch_offboard.core.rows import SourceRow
from batch_offboard.sheets import open_table
from tests.fuzzing.effort import effort

# What stands in the cells beside the device: ditto marks, inches, remarks, and words that are headers elsewhere.
NOTES = (
    *('"', '""', '"""', '24" screen', '"24 in', 'returned"', '"returned, ok"', '"a ""b"" c"', "ok", "", " ", "'", "14"),
    *("Computer", "Device", "Host", "Name", "3", "B", "n/a", "Ann, Bob", "see lt-9", "1;2", "x|y", "#"),
)
HEADERS = {
    "id": ("Device ID", "Kennung", "id", "MDE"),
    "name": ("Device name", "Rechner der Abteilung", "Computer", "Rechner", "Host"),
    "note": ("Note", "Bemerkung", "Owner", "2026", "Name 2"),
}
FORMS = (
    *(["name"], ["id"], ["name", "note"], ["note", "name"], ["note", "id"], ["id", "note"]),
    *(["id", "name", "note"], ["note", "name", "note"], ["note", "id", "name"]),
)
NAMES = ("lt-{}.contoso.example", "lt-{}", "pc{}", "anna-{}x")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of devices: `devices` are the values that must be found again, by the number of their row."""

    rows: list[list[str]]
    devices: dict[int, str]
    options: dict[str, Any]


@st.composite
def sheets(draw: DrawFn) -> Sheet:
    form = draw(st.sampled_from(FORMS))
    pattern = draw(st.sampled_from(NAMES))
    rows = [[title] for title in draw(st.lists(st.sampled_from(("Leavers in November", "Leavers", "1")), max_size=1))]
    if draw(st.booleans()):
        rows.append([draw(st.sampled_from(HEADERS[kind])) for kind in form])
    devices = {}
    for number in range(draw(st.integers(1, 7))):
        cells = [_cell(draw, kind, number, pattern) for kind in form]
        rows.append(cells[: draw(st.integers(1, len(cells)))] if draw(st.integers(0, 9)) == 0 else cells)
        found = [cell for kind, cell in zip(form, rows[-1], strict=False) if kind != "note" and cell]
        if found:
            devices[len(rows)] = found[0]
    texts = [cell for row in rows for cell in row if cell]
    typed = {
        f"{kind}_column": st.sampled_from(["ABC"[form.index(kind)], str(form.index(kind) + 1), *texts])
        for kind in ("id", "name")
        if kind in form
    }
    return Sheet(rows, devices, draw(st.fixed_dictionaries({}, optional=typed)))


def _cell(draw: DrawFn, kind: str, number: int, pattern: str) -> str:
    if kind == "note":
        return draw(st.sampled_from(NOTES))
    if kind == "name":
        return pattern.format(number)
    return "a" + hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()[1:]


def assert_nothing_lost(path: Path, sheet: Sheet) -> None:
    try:
        table = open_table(path, **sheet.options)
        rows = list(table.rows)
    except InputError:
        return
    said = " ".join(table.notes).casefold()
    named = {number for number in sheet.devices if f"row {number} " in said}
    found = {number: _row_with(rows, device) for number, device in sheet.devices.items() if number not in named}
    assert None not in found.values(), (found, table.notes)
    assert len(set(found.values())) == len(found), (found, "two lines in one row")


def _row_with(rows: list[SourceRow], device: str) -> int | None:
    """The row that shows the device in any cell: where a quotation mark has moved it, the row has a reason."""
    return next((row.number for row in rows if any(device in cell for cell in row.cells)), None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
def test_no_line_of_a_text_file_is_lost(folder: Path, delimiter: str) -> None:
    path = folder / "list.csv"

    @effort(120)
    @given(sheet=sheets(), end=st.sampled_from(("\n", "\r\n", "\r")))
    def write(sheet: Sheet, end: str) -> None:
        path.write_bytes("".join(delimiter.join(row) + end for row in sheet.rows).encode())
        assert_nothing_lost(path, sheet)

    write()


def test_no_row_of_a_workbook_is_lost(folder: Path) -> None:
    path = folder / "list.xlsx"

    @effort(80)
    @given(sheet=sheets())
    def write(sheet: Sheet) -> None:
        book = openpyxl.Workbook()
        for row in sheet.rows:
            book.worksheets[0].append(row)
        book.save(path)
        assert_nothing_lost(path, sheet)

    write()
