"""Totals below a list are left out and named, IDs in full width are read and told; no device is lost with either."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_offboard.core.devices import judge_id
from batch_offboard.core.rows import SourceRow, Table
from batch_offboard.sheets import open_table

AnId = Callable[[int], str]
Opened = Callable[..., Table]
Written = Callable[..., Path]
Workbook = Callable[..., Path]
FULL_WIDTH = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})


def csv(*rows: Sequence[str]) -> str:
    return "".join(",".join(row) + "\n" for row in rows)


def numbers(table: Table) -> list[int]:
    return [row.number for row in table.rows]


@pytest.mark.parametrize(
    ("header", "total"),
    [
        ("Device ID,Device name,Note", ["Total", "2", ""]),
        ("Device ID,Device name,Note", ["", "Total", "2"]),
        ("Device ID,Device name,Note", ["Total: 2", "", ""]),
        ("Device ID,Device name,Note", ["", "", "Total: 2 devices"]),
        ("デバイスID,PC名,備考", ["合計", "2台", ""]),
        ("デバイスID,PC名,備考", ["", "合計", "2"]),
        ("デバイスID,PC名,備考", ["合計 ２台", "", ""]),
        ("デバイスID,PC名,備考", ["", "総計", "1250"]),
        ("Geräte-ID,Gerätename,Notiz", ["Summe", "", "2"]),
        ("Geräte-ID,Gerätename,Notiz", ["Anzahl Geräte: 2", "", ""]),
        ("ID de l'appareil,Nom d'hôte,Note", ["Total général", "2", ""]),
        ("Id. de dispositivo,Nombre de equipo,Nota", ["Total de equipos", "2", ""]),
        ("ID do dispositivo,Nome do computador,Nota", ["Total de computadores", "2", ""]),
    ],
)
def test_a_total_below_the_list_is_left_out_and_named(
    opened: Opened, written: Written, an_id: AnId, header: str, total: list[str]
) -> None:
    rows = [[an_id(1), "lt-1", "x"], [an_id(2), "lt-2", "y"]]
    table = opened(written(f"{header}\n" + csv(*rows, total)))
    assert numbers(table) == [2, 3]
    (note,) = table.closing_notes
    assert note.startswith("Ignored below the list: row 4 '")
    assert all(f"'{cell}'" in note for cell in total if cell)


def test_a_subtotal_and_a_total_are_both_left_out_and_named(opened: Opened, written: Written, an_id: AnId) -> None:
    table = opened(written(csv(["Device ID", "Note"], [an_id(1), ""], ["Subtotal", "1"], [], ["Total", "1"])))
    assert numbers(table) == [2]
    assert [note.split(",")[0] for note in table.closing_notes] == [
        "Ignored below the list: row 3 'Subtotal'",
        "Ignored below the list: row 5 'Total'",
    ]


@pytest.mark.parametrize(
    "last",
    [
        ["Total", ""],  # without a number it may be anything
        ["Total", "see other sheet"],
        ["12", "12"],
        ["1.23E+39", "Total"],
        ["Totals of 2026", "x"],
    ],
)
def test_what_is_not_surely_a_total_is_a_row(opened: Opened, written: Written, an_id: AnId, last: list[str]) -> None:
    table = opened(written(csv(["Device ID", "Note"], [an_id(1), "x"], last)))
    assert numbers(table) == [2, 3]
    assert not table.closing_notes


def test_a_total_among_the_rows_is_a_row(opened: Opened, written: Written, an_id: AnId) -> None:
    table = opened(written(csv(["Device ID", "Note"], [an_id(1), ""], ["Total", "1"], [an_id(2), ""])))
    assert numbers(table) == [2, 3, 4]
    assert not table.closing_notes


@pytest.mark.parametrize(("count", "left"), [("2", [2, 3]), ("7", [2, 3, 4])])
def test_a_computer_called_total_is_a_row_unless_the_number_of_rows_stands_beside_it(
    opened: Opened, written: Written, count: str, left: list[int]
) -> None:
    table = opened(written(csv(["Device name", "Seats"], ["lt-1", "1"], ["lt-2", "1"], ["total", count])))
    assert numbers(table) == left


def test_a_formula_that_counts_is_a_total_in_a_workbook(opened: Opened, workbook: Workbook, an_id: AnId) -> None:
    rows: list[Sequence[object]] = [("Device ID", "Note"), (an_id(1), "x"), ("=COUNTA(A2:A2)", "Total 1")]
    table = opened(workbook(rows))
    assert numbers(table) == [2]
    assert len(table.closing_notes) == 1


def test_a_report_of_ours_has_no_total(opened: Opened, written: Written) -> None:
    from batch_offboard.reports.rows import REPORT_COLUMNS

    cells = ["x"] * (len(REPORT_COLUMNS) - 3)
    table = opened(written(csv([*REPORT_COLUMNS, "Note"], ["1", "", "total", *cells, "1"])))
    assert numbers(table) == [2]


def test_ids_in_full_width_are_read_as_the_same_digits_and_told(opened: Opened, written: Written, an_id: AnId) -> None:
    wide = [an_id(n).translate(FULL_WIDTH) for n in range(5)]
    rows = [[cell, "lt"] for cell in [wide[0], an_id(7), f"\u3000{wide[1].upper()} ", *wide[2:]]]
    table = opened(written(csv(["デバイスID", "PC名"], *rows)))
    taken = list(table.rows)
    assert [judge_id(row.device_id) for row in taken] == [an_id(n) for n in (0, 7, 1, 2, 3, 4)]
    assert taken[0].cells[0] == wide[0]  # the report shows the cell as it was
    assert table.closing_notes == [
        "5 device IDs are written in full-width characters and read as the same digits (rows 2, 4, 5, …)."
    ]


def test_a_column_of_ids_in_full_width_is_known_by_its_content(opened: Opened, written: Written, an_id: AnId) -> None:
    rows = [[f"lt-{n}", an_id(n).translate(FULL_WIDTH)] for n in range(3)]
    assert opened(written(csv(["何か", "番号"], *rows))).id_column == "番号"


_CELLS = st.sampled_from(["", "Total", "total", "合計", "12", "2台", "lt-1", "a" * 40, "Ａ" * 40, "x y", "Summe: 3"])


@settings(deadline=None)
@given(rows=st.lists(st.tuples(_CELLS, _CELLS, _CELLS), min_size=1, max_size=8))
def test_every_line_with_content_is_a_row_or_a_named_total(rows: list[tuple[str, str, str]]) -> None:
    first = ("b" * 40, "lt-0", "x")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "list.csv"
        path.write_text(csv(("Device ID", "Device name", "Note"), first, *rows), encoding="utf-8")
        table = open_table(path)
        taken: list[SourceRow] = list(table.rows)
    named = [note for note in table.closing_notes if note.startswith("Ignored")]
    filled = [number for number, row in enumerate(rows, 3) if any(row)]
    assert [row.number for row in taken] == [2, *filled[: len(filled) - len(named)]]
    assert all(f"row {number} " in note for number, note in zip(filled[len(filled) - len(named) :], named, strict=True))
    for number in filled[len(filled) - len(named) :]:
        assert not any(len(cell) == 40 or cell == "lt-1" for cell in rows[number - 3])
