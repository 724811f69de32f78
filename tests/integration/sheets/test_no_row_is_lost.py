"""Every line of devices is a row, or is named as ignored, or the file is refused, whatever the quotation marks, the
first line and the options look like."""

from collections.abc import Callable
from pathlib import Path

import pytest

from batch_offboard.core.rows import SourceRow, Table

AnId = Callable[[int], str]
Written = Callable[..., Path]
Workbook = Callable[..., Path]
Taken = Callable[..., list[SourceRow]]
Opened = Callable[..., Table]
Refusal = Callable[..., str]


@pytest.mark.parametrize(
    ("lines", "row"),
    [
        (("Device name,Note", "lt-1,returned", 'lt-2,"', 'lt-3,"', "lt-4,ok"), 3),
        (("Device name\tNote", "lt-1\treturned", 'lt-2\t"', 'lt-3\t"', "lt-4\tok"), 3),
        (("Device name;Note", 'lt-1;"24 in screen', "lt-2;ok", 'lt-3;"returned; ok"', "lt-4;ok"), 2),
        (("Device name,Note", 'lt-1,"Ann said: not needed', "lt-2,ok", 'lt-3,Bob said: returned"', "lt-4,ok"), 2),
        (("Device name", '"lt-1', "lt-2", 'lt-3"', "lt-4"), 2),
        (("Note,Device name", '",lt-1', '",lt-2', "ok,lt-3"), 2),
        (("Device name,Note,Owner", 'lt-1,",Ann', 'lt-2,",Bob', "lt-3,ok,Bob"), 2),
        (("Device name,Note", 'Ann’s iPad,"', 'Bob’s iPad,"', "lt-4,ok"), 2),
        (("Device ID,Device name,Note", '{1},lt-1,"', ',lt-2,"', "{3},lt-3,ok"), 2),
        (("Device ID,Device name,Note", '{1},lt-1,"', '{2:.39},lt-2,"', "{3},lt-3,ok"), 2),
        (("Device ID", '"{1}', "{2}", '{3}"'), 2),
        (("Device ID,Note", '{1},"', "{2:.39},", '{3},"'), 2),
        (("Device ID,Device name,Note", '{1},lt-1,"', "{2},lt-2", 'see, it"'), 2),  # a short row
    ],
)
def test_a_stray_quotation_mark_that_swallows_lines_is_refused_with_its_row(
    refusal: Refusal, written: Written, an_id: AnId, lines: tuple[str, ...], row: int
) -> None:
    ids = [an_id(number) for number in range(5)]
    path = written("".join(line.format(*ids) + "\r\n" for line in lines))
    assert f"row {row}: a quotation mark has swallowed the lines that follow" in refusal(path)


def test_a_list_without_a_header_shows_by_each_record_how_wide_a_row_is(refusal: Refusal, written: Written) -> None:
    path = written('lt-1;"\nlt-2;"\nlt-3;1;2\n')
    assert "row 1: a quotation mark has swallowed" in refusal(path, name_column="A")


@pytest.mark.parametrize(
    ("note", "text"),
    [
        ('"11-01 Ann: returned\n11-02 Bob: replaced by {2}, see CHG1"', "11-01 Ann: returned\n11-02 Bob: replaced by"),
        ('"Ticket\nhttps://security.microsoft.com/machines/v2/{1}, closed"', "Ticket\nhttps://security"),
        ('"{{\n ""sha1"": ""{3}"",\n ""size"": 1\n}}"', '{\n "sha1": "'),
        ('"line one, with a comma\nline two, too"', "line one, with a comma\nline two, too"),
        ('"{3}\n{2}"', "a"),
        ('"replaced by\nlt-2"', "replaced by\nlt-2"),
    ],
)
def test_a_rightly_quoted_cell_of_several_lines_is_read_as_written(
    taken: Taken, written: Written, an_id: AnId, note: str, text: str
) -> None:
    ids = [an_id(number) for number in range(5)]
    rows = taken(written(f"Device ID,Device name,Notes\n{{1}},lt-1,{note}\n{{4}},lt-4,ok\n".format(*ids)))
    assert [(row.device_id, row.device_name) for row in rows] == [(ids[1], "lt-1"), (ids[4], "lt-4")]
    assert rows[0].cells[2].startswith(text)


def test_a_cell_of_several_lines_before_the_device_is_text(taken: Taken, written: Written, an_id: AnId) -> None:
    rows = taken(written(f'Notes,Device name,Device ID\n"first\nsecond",lt-1,{an_id(1)}\nok,lt-2,{an_id(2)}\n'))
    assert [row.cells[0] for row in rows] == ["first\nsecond", "ok"]


def test_the_operator_says_that_lines_inside_cells_are_text(
    taken: Taken, refusal: Refusal, written: Written, an_id: AnId
) -> None:
    path = written(f'Device ID,Note\n{an_id(1)},"moved to\n{an_id(2)},rack 7"\n{an_id(3)},ok\n')
    assert "--multiline-text" in refusal(path)
    rows = taken(path, multiline_text=True)
    assert [row.device_id for row in rows] == [an_id(1), an_id(3)]
    assert rows[0].cells[1] == f"moved to\n{an_id(2)},rack 7"


NAMES = ("lt-1.contoso.example", "lt-2.contoso.example", "lt-3.contoso.example")


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize("column", ["A", "a", "1"])
def test_a_list_of_names_without_a_header_is_read_whole_by_letter_or_number(
    taken: Taken, written: Written, workbook: Workbook, kind: str, column: str
) -> None:
    lines = [(name, "Ann") for name in NAMES]
    path = workbook(lines) if kind == "xlsx" else written("".join(f"{name},Ann\n" for name in NAMES))
    assert [row.device_name for row in taken(path, name_column=column)] == list(NAMES)


@pytest.mark.parametrize(
    "lines", [NAMES, ("anna", "berta", "carla"), ("pc-anna,Laptop", "pc-b1,Laptop", "pc-c2,Laptop")]
)
def test_a_column_named_by_a_cell_that_may_be_a_device_is_refused(
    refusal: Refusal, written: Written, lines: tuple[str, ...]
) -> None:
    sentence = refusal(written("\n".join(lines)), name_column=lines[0].partition(",")[0])
    assert "may be a device itself" in sentence
    assert "--name-column A" in sentence


def test_the_sentence_for_a_list_without_a_header_says_how_it_is_taken(refusal: Refusal, written: Written) -> None:
    sentence = refusal(written("\n".join(NAMES)))
    assert "the columns are A 'lt-1.contoso.example'" in sentence
    assert "by its letter if the first row is a device, too" in sentence


@pytest.mark.parametrize("column", ["3", "C", "Rechner der Abteilung"])
def test_a_number_or_letter_is_a_column_whatever_the_cells_hold(
    taken: Taken, written: Written, workbook: Workbook, an_id: AnId, column: str
) -> None:
    rows: list[tuple[object, ...]] = [("No.", "Device ID", "Rechner der Abteilung")]
    rows += [(number, an_id(number), f"lt-{number}") for number in (1, 2, 3, 4)]
    rings = [("Ring", *rows[0][1:]), *((ring, *row[1:]) for ring, row in zip("ABCA", rows[1:], strict=True))]
    for table in (rows, rings):
        paths = written("\n".join(",".join(map(str, row)) for row in table)), workbook(table)
        for path in paths:
            assert [row.device_name for row in taken(path, name_column=column)] == ["lt-1", "lt-2", "lt-3", "lt-4"]


def test_a_header_of_an_unusual_wording_over_names_is_told(opened: Opened, written: Written) -> None:
    table = opened(written("No.,Rechner der Abteilung,Floor\n1,lt-1,1\n2,lt-2,2\n3,lt-3,3\n"), name_column="2")
    assert [row.device_name for row in table.rows] == ["lt-1", "lt-2", "lt-3"]
    assert "Row 1 is taken as the header: 'No.', 'Rechner der Abteilung', 'Floor'." in table.notes


@pytest.mark.parametrize("column", ["A", "1"])
def test_a_letter_among_the_values_is_no_header(taken: Taken, written: Written, column: str) -> None:
    rows = taken(written("lt-1,B\nlt-2,A\nlt-3,1\nlt-4,B\n"), name_column=column)
    assert [row.device_name for row in rows] == ["lt-1", "lt-2", "lt-3", "lt-4"]


def test_a_word_that_is_a_usual_header_may_be_a_value(taken: Taken, written: Written) -> None:
    rows = taken(written("lt-1,Computer\nlt-2,Computer\nlt-3,Device\n"), name_column="A")
    assert [row.device_name for row in rows] == ["lt-1", "lt-2", "lt-3"]
    rows = taken(written("lt-1,Laptop\nlt-2,Laptop\nlt-3,Computer\nlt-4,Laptop\n"), name_column="B")
    assert [row.number for row in rows] == [1, 2, 3, 4]


def test_lines_above_the_header_are_named(opened: Opened, written: Written, an_id: AnId) -> None:
    table = opened(written(f"Leavers in November\n\nDevice ID,Owner\n{an_id(1)},x\n"), id_column="Device ID")
    assert len(list(table.rows)) == 1
    assert "Ignored above the header in row 3: row 1 'Leavers in November'." in table.notes


def test_a_device_above_the_header_is_refused(refusal: Refusal, written: Written, an_id: AnId) -> None:
    path = written(f"{an_id(1)},Ann\nKennung,Owner\n{an_id(2)},Bob\n")
    assert "Row 1 holds a device ID and is above the header in row 2" in refusal(path, id_column="Kennung")
    path = written("lt-1,Ann\nDevice name,Owner\nlt-2,Bob\n")
    assert "Row 1 ('lt-1') is above the header" in refusal(path, name_column="Device name")


def test_a_first_row_without_a_usable_id_is_a_row(taken: Taken, written: Written, an_id: AnId) -> None:
    for first in (f"{an_id(1)[:39]},Computer", "missing,Ann", ",anna", "1.23E+39,Computer"):
        rows = taken(written(f"{first}\n{an_id(2)},Ann\n{an_id(3)},Ann\n"))
        assert [row.number for row in rows] == [1, 2, 3]


def test_an_entra_export_is_looked_up_by_the_names_that_are_named(
    opened: Opened, refusal: Refusal, written: Written
) -> None:
    guid = "bf6fbc44-13dd-5ff7-a449-c92181bf192{}"
    lines = "".join(f'"lt-{number}","Windows","{guid.format(number)}"\r\n' for number in (1, 2, 3))
    path = written('"displayName","operatingSystem","deviceId"\r\n' + lines)
    assert "looked up by name with --name-column" in refusal(path)
    table = opened(path, name_column="displayName")
    assert [(row.device_id, row.device_name) for row in table.rows] == [("", f"lt-{number}") for number in (1, 2, 3)]
    assert (
        "Column C 'deviceId' holds Entra or Intune IDs and is not used; devices are looked up by name." in table.notes
    )
    assert "holds only GUIDs" in refusal(path, id_column="deviceId", name_column="displayName")
