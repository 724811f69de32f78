"""Names of parts are read as Excel reads them, whichever way a program has written them."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch_offboard.core.rows import SourceRow, Table
from batch_offboard.sheets import open_table
from tests.binary_workbook import binary_workbook

AnId = Callable[[int], str]
Archive = Callable[..., Path]
Parts = Callable[..., dict[str, str]]
Cell = Callable[[str, str], str]
Taken = Callable[..., list[SourceRow]]
Refusal = Callable[..., str]
TARGET = 'Target="worksheets/sheet1.xml"'
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


@pytest.fixture
def parts(xlsx_parts: Parts, text_cell: Cell, an_id: AnId) -> dict[str, str]:
    """A workbook of one sheet with one device."""
    return xlsx_parts(f'<row r="1">{text_cell("A1", "Device ID")}</row><row r="2">{text_cell("A2", an_id(1))}</row>')


def targeting(parts: dict[str, str], target: str) -> dict[str, str]:
    relations = parts["xl/_rels/workbook.xml.rels"]
    assert TARGET in relations
    return {**parts, "xl/_rels/workbook.xml.rels": relations.replace(TARGET, f'Target="{target}"')}


@pytest.mark.parametrize(
    "target",
    [
        "./worksheets/sheet1.xml",
        "worksheets\\sheet1.xml",
        "worksheets//sheet1.xml",
        "..\\xl\\.\\worksheets\\sheet1.xml",
        "../xl/worksheets/sheet1.xml",
        "/xl/worksheets/sheet1.xml",
        "\\xl\\worksheets\\sheet1.xml",
        "/xl/./worksheets/sheet1.xml",
        "WORKSHEETS/Sheet1.XML",
        "worksheets/sheet%31.xml",
    ],
)
def test_a_relation_leads_to_its_part_however_it_is_written(
    taken: Taken, archive: Archive, parts: dict[str, str], an_id: AnId, target: str
) -> None:
    assert [row.device_id for row in taken(archive(targeting(parts, target)))] == [an_id(1)]


@pytest.mark.parametrize("before", ["", "./", ".\\"])
@pytest.mark.parametrize("slash", ["/", "\\", "//"])
def test_parts_are_found_however_their_names_are_written(
    taken: Taken, archive: Archive, parts: dict[str, str], an_id: AnId, before: str, slash: str
) -> None:
    written = {before + name.replace("/", slash): content for name, content in parts.items()}
    assert [row.device_id for row in taken(archive(written))] == [an_id(1)]


@pytest.mark.parametrize("main", ["xl/workbook22.xml", "workbook.xml", "book/main.xml"])
def test_the_workbook_is_the_one_that_the_package_names(
    taken: Taken, archive: Archive, parts: dict[str, str], an_id: AnId, main: str
) -> None:
    folder, _, name = main.rpartition("/")
    moved = {
        "_rels/.rels": parts["_rels/.rels"].replace("xl/workbook.xml", main),
        main: parts["xl/workbook.xml"],
        f"{folder}/_rels/{name}.rels".lstrip("/"): parts["xl/_rels/workbook.xml.rels"],
        f"{folder}/worksheets/sheet1.xml".lstrip("/"): parts["xl/worksheets/sheet1.xml"],
    }
    assert [row.device_id for row in taken(archive(moved))] == [an_id(1)]


def test_a_workbook_that_the_package_does_not_name_is_not_read(
    taken: Taken, archive: Archive, parts: dict[str, str], text_cell: Cell, an_id: AnId
) -> None:
    named = {
        **parts,
        "_rels/.rels": parts["_rels/.rels"].replace("xl/workbook.xml", "xl/workbook2.xml"),
        "xl/workbook2.xml": parts["xl/workbook.xml"],
        "xl/_rels/workbook2.xml.rels": parts["xl/_rels/workbook.xml.rels"].replace("sheet1", "sheet2"),
        "xl/worksheets/sheet2.xml": parts["xl/worksheets/sheet1.xml"].replace(an_id(1), an_id(2)),
    }
    assert [row.device_id for row in taken(archive(named))] == [an_id(2)]


def test_a_document_of_another_program_is_called_what_it_is(
    refusal: Refusal, archive: Archive, parts: dict[str, str]
) -> None:
    root = parts["_rels/.rels"].replace("xl/workbook.xml", "word/document.xml")
    assert "is a Word document" in refusal(archive({"_rels/.rels": root, "word/document.xml": "<w:document/>"}))


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("leavers.csv", "is a ZIP archive, not a spreadsheet; unpack it and name the sheet in it."),
        (
            "Index/Document.iwa",
            "is an Apple Numbers document, not a spreadsheet; export it from Numbers as Excel or CSV.",
        ),
    ],
)
def test_an_archive_without_a_workbook_is_named_with_what_to_do(
    refusal: Refusal, archive: Archive, part: str, said: str
) -> None:
    assert refusal(archive({part: "x"}, name="leavers.zip")) == f"leavers.zip {said}"


def test_hidden_rows_are_seen_in_a_package_that_is_written_anew(
    refusal: Refusal, archive: Archive, parts: dict[str, str], text_cell: Cell, an_id: AnId
) -> None:
    sheet = parts["xl/worksheets/sheet1.xml"]
    hidden = f'<row r="3" hidden="1">{text_cell("A3", an_id(2))}</row></sheetData>'
    parts["xl/worksheets/sheet1.xml"] = sheet.replace("</sheetData>", hidden)
    assert "1 hidden or filtered-out row" in refusal(archive(targeting(parts, "./worksheets/sheet1.xml")))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_parts_whose_names_are_read_alike_are_refused(
    refusal: Refusal, archive: Archive, parts: dict[str, str]
) -> None:
    twice = {**parts, "xl\\worksheets\\sheet1.xml": parts["xl/worksheets/sheet1.xml"]}
    assert "is duplicated" in refusal(archive(twice))


def test_a_binary_workbook_is_found_by_names_with_backslashes(taken: Taken, archive: Archive, an_id: AnId) -> None:
    written = binary_workbook([("Device ID", False, False), (an_id(1), False, False)])
    path = archive({name.replace("/", "\\"): content for name, content in written.items()}, name="list.xlsb")
    assert [row.device_id for row in taken(path)] == [an_id(1)]


_STEPS = st.lists(st.sampled_from(["./", ".\\", "/", "\\", ".//"]), max_size=3).map("".join)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(between=st.tuples(_STEPS, _STEPS), slash=st.sampled_from(["/", "\\"]))
def test_steps_to_the_same_folder_change_nothing(
    archive: Archive, parts: dict[str, str], between: tuple[str, str], slash: str
) -> None:
    one, two = between
    inside = two if two.startswith(".") else ""
    path = archive(targeting(parts, f"{one if one.startswith('.') else ''}worksheets{slash}{inside}sheet1.xml"))
    expected: Table = open_table(archive(parts, name="plain.xlsx"))
    assert list(open_table(path).rows) == list(expected.rows)
    assert zipfile.is_zipfile(path)
