"""Archives and XML made to harm a reader are refused before any reader opens them."""

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from batch_offboard.base.errors import InputError
from batch_offboard.core.rows import SourceRow
from batch_offboard.sheets.archive import Archive
from batch_offboard.sheets.compound import CompoundFile
from tests.binary_workbook import binary_workbook

AnId = Callable[[int], str]
MakeArchive = Callable[..., Path]
Parts = Callable[..., dict[str, str | bytes]]
Refusal = Callable[..., str]
Taken = Callable[..., list[SourceRow]]
Cell = Callable[[str, str], str]
SHEET = "xl/worksheets/sheet1.xml"


@pytest.fixture
def good_parts(xlsx_parts: Parts, text_cell: Cell, an_id: AnId) -> dict[str, str | bytes]:
    """A sheet with one device, to be spoiled by the test."""
    return xlsx_parts(f'<row r="1">{text_cell("A1", "Device ID")}</row><row r="2">{text_cell("A2", an_id(1))}</row>')


def test_the_sheet_that_is_spoiled_below_is_good(
    taken: Taken, archive: MakeArchive, good_parts: dict[str, str | bytes]
) -> None:
    assert len(taken(archive(good_parts))) == 1


def patched(path: Path, old: bytes, new: bytes) -> Path:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    return path


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9, 0.99])
def test_a_truncated_archive_is_refused(
    refusal: Refusal, archive: MakeArchive, good_parts: dict[str, str | bytes], keep: float
) -> None:
    path = archive(good_parts)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    assert "not a valid workbook" in refusal(path)


def test_a_damaged_part_is_refused_by_its_checksum(
    refusal: Refusal, archive: MakeArchive, good_parts: dict[str, str | bytes]
) -> None:
    path = archive(good_parts)
    with zipfile.ZipFile(path) as opened:
        checksum = struct.pack("<L", opened.getinfo(SHEET).CRC)
    assert "is damaged" in refusal(patched(path, checksum, b"\x01\x02\x03\x04"))


def test_a_part_that_declares_ten_gigabytes_is_refused_unread(
    refusal: Refusal, archive: MakeArchive, good_parts: dict[str, str | bytes]
) -> None:
    path = archive(good_parts)
    with zipfile.ZipFile(path) as opened:
        size = opened.getinfo(SHEET).file_size
    assert "unpacks to far more" in refusal(patched(path, struct.pack("<L", size), struct.pack("<L", 0xF000_0000)))


def test_a_part_larger_than_it_declares_is_refused(
    refusal: Refusal, archive: MakeArchive, good_parts: dict[str, str | bytes]
) -> None:
    path = archive(good_parts)
    with zipfile.ZipFile(path) as opened:
        size = opened.getinfo(SHEET).file_size
    assert "larger than declared" in refusal(patched(path, struct.pack("<L", size), struct.pack("<L", size - 1)))


def test_a_part_that_shrinks_a_hundredfold_is_refused(
    refusal: Refusal, archive: MakeArchive, good_parts: dict[str, str | bytes]
) -> None:
    assert "unpacks to far more" in refusal(archive({**good_parts, "xl/media/x.bin": b"\0" * (33 << 20)}))


def test_parts_that_share_their_bytes_are_refused(
    refusal: Refusal, archive: MakeArchive, good_parts: dict[str, str | bytes]
) -> None:
    path = archive({**good_parts, "xl/a.xml": "same text", "xl/b.xml": "same text"})
    with zipfile.ZipFile(path) as opened:
        first, second = opened.getinfo("xl/a.xml").header_offset, opened.getinfo("xl/b.xml").header_offset
    content = bytearray(path.read_bytes())
    directory = content.rfind(b"xl/b.xml") - 46
    assert content[directory : directory + 4] == b"PK\x01\x02"
    assert struct.unpack_from("<L", content, directory + 42) == (second,)
    struct.pack_into("<L", content, directory + 42, first)
    content[directory + 46 : directory + 54] = b"xl/a.xml"
    path.write_bytes(content)
    assert "not a valid workbook" in refusal(path)


def test_parts_that_overlap_are_refused(
    refusal: Refusal, archive: MakeArchive, good_parts: dict[str, str | bytes]
) -> None:
    path = archive({"xl/a.xml": "x" * 200, **good_parts})
    content = bytearray(path.read_bytes())
    directory = content.find(b"PK\x01\x02")
    (size,) = struct.unpack_from("<L", content, directory + 20)
    struct.pack_into("<L", content, directory + 20, size + 10)
    path.write_bytes(content)
    assert "overlaps another one" in refusal(path)


def test_a_part_that_reaches_into_the_directory_is_refused(
    refusal: Refusal, archive: MakeArchive, good_parts: dict[str, str | bytes]
) -> None:
    path = archive({**good_parts, "xl/z.xml": "x" * 200})
    content = bytearray(path.read_bytes())
    directory = content.rfind(b"PK\x01\x02")
    (size,) = struct.unpack_from("<L", content, directory + 20)
    struct.pack_into("<L", content, directory + 20, size + 10)
    path.write_bytes(content)
    assert "overlaps another one" in refusal(path)


def test_a_directory_that_names_another_part_than_its_place_does_is_refused(
    refusal: Refusal, archive: MakeArchive, good_parts: dict[str, str | bytes]
) -> None:
    path = archive({**good_parts, "xl/a.xml": "x"})
    content = path.read_bytes()
    at = content.find(b"xl/a.xml")
    path.write_bytes(content[:at] + b"xl/z.xml" + content[at + 8 :])
    assert "disagree" in refusal(path)


def test_more_than_1000_parts_are_refused(
    refusal: Refusal, archive: MakeArchive, good_parts: dict[str, str | bytes]
) -> None:
    more = {f"xl/media/{number}.png": b"x" for number in range(1000)}
    assert "parts, more than a workbook has" in refusal(archive({**good_parts, **more}))


@pytest.mark.parametrize("name", ["../x.xml", "/x.xml", "C:\\x.xml", "xl/../../x.xml", "a\\..\\x.xml"])
def test_a_part_with_a_path_that_leads_outside_is_refused(
    refusal: Refusal, archive: MakeArchive, good_parts: dict[str, str | bytes], name: str
) -> None:
    assert "a part has the path" in refusal(archive({**good_parts, name: "x"}))


def test_a_part_name_with_nul_is_refused(
    refusal: Refusal, archive: MakeArchive, good_parts: dict[str, str | bytes]
) -> None:
    path = patched(archive({**good_parts, "xl/a_b.xml": "x"}), b"xl/a_b.xml", b"xl/a\0b.xml")
    assert "a part has the path xl/a\\x00b.xml" in refusal(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", [SHEET, SHEET.upper()])
def test_two_parts_of_one_name_are_refused(
    refusal: Refusal, archive: MakeArchive, good_parts: dict[str, str | bytes], name: str
) -> None:
    path = archive(good_parts)
    with zipfile.ZipFile(path, "a") as opened:
        opened.writestr(name, "<worksheet/>")
    assert "is duplicated" in refusal(path)


def test_a_workbook_of_two_formats_at_once_is_refused(
    refusal: Refusal, archive: MakeArchive, good_parts: dict[str, str | bytes]
) -> None:
    assert "two kinds of workbook" in refusal(archive({**good_parts, "content.xml": "<x/>"}))


def test_a_compression_that_workbooks_do_not_use_is_refused(
    refusal: Refusal, archive: MakeArchive, good_parts: dict[str, str | bytes]
) -> None:
    path = archive(good_parts)
    with zipfile.ZipFile(path, "a") as opened:
        opened.writestr("xl/more.xml", "x" * 100, zipfile.ZIP_BZIP2)
    assert "compressed in a way" in refusal(path)


BOMB = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("declaration", [BOMB, OUTSIDE, '<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd">'])
@pytest.mark.parametrize(
    "part", [SHEET, "xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/sharedStrings.xml", "xl/styles.xml"]
)
def test_a_document_type_is_refused_in_every_part(
    refusal: Refusal,
    archive: MakeArchive,
    good_parts: dict[str, str | bytes],
    declaration: str,
    part: str,
) -> None:
    parts = {**good_parts, part: declaration + str(good_parts.get(part, "<x/>"))}
    assert "save the list again" in refusal(archive(parts))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_document_type_is_found_in_utf_16(
    refusal: Refusal, archive: MakeArchive, good_parts: dict[str, str | bytes], encoding: str
) -> None:
    parts = {**good_parts, "xl/styles.xml": (BOMB + "<x/>").encode(encoding)}
    assert "declares an XML document type" in refusal(archive(parts))


@pytest.mark.parametrize("shift", range(0, 12, 3))
def test_a_document_type_is_found_across_the_seam_of_two_pieces(
    refusal: Refusal, archive: MakeArchive, good_parts: dict[str, str | bytes], shift: int
) -> None:
    comment = "<!--" + "x" * ((1 << 20) - 7 - shift) + "-->"
    parts = {**good_parts, "xl/styles.xml": comment + BOMB + "<x/>"}
    assert "declares an XML document type" in refusal(archive(parts))


def test_links_to_other_places_are_never_followed(
    taken: Taken, archive: MakeArchive, xlsx_parts: Parts, text_cell: Cell, an_id: AnId
) -> None:
    link = '<Relationship Id="rId9" Type="x/externalLink" Target="http://127.0.0.1:9/x" TargetMode="External"/>'
    rows = f'<row r="1">{text_cell("A1", "Device ID")}</row><row r="2">{text_cell("A2", an_id(1))}</row>'
    parts = xlsx_parts(rows, relations=link)
    parts["xl/connections.xml"] = '<connections><connection name="x" connection="http://127.0.0.1:9"/></connections>'
    assert len(taken(archive(parts))) == 1


@pytest.mark.parametrize("index", ["-1", "99", "x"])
def test_a_shared_text_that_does_not_exist_is_refused(
    refusal: Refusal, archive: MakeArchive, xlsx_parts: Parts, index: str
) -> None:
    rows = f'<row r="1"><c r="A1" t="s"><v>{index}</v></c></row>'
    assert "cannot be read" in refusal(archive(xlsx_parts(rows)))


def test_a_wrong_dimension_loses_no_rows_and_costs_no_memory(
    taken: Taken, archive: MakeArchive, xlsx_parts: Parts, text_cell: Cell, an_id: AnId
) -> None:
    cells = [text_cell("A1", "Device ID"), *(text_cell(f"A{n}", an_id(n)) for n in (2, 3))]
    rows = "".join(f"<row>{cell}</row>" for cell in cells)
    for reference in ("A1:XFD1048576", "A1", "A1:A2"):
        parts = xlsx_parts(rows, dimension=f'<dimension ref="{reference}"/>')
        assert [row.number for row in taken(archive(parts))] == [2, 3]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ('<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>', "16384 columns"),
        ("<row r='2'><c r='XFD2'><v>1</v></c></row>", "16384 columns"),
        ('<row r="2"><c r = "xfd2"><v>1</v></c></row>', "16384 columns"),
        ('<row r="2">' + "<c><v>1</v></c>" * 300 + "</row>", "300 columns"),
        ('<row r="1048576"><c r="GR1048576"><v>1</v></c></row>', "spans 209715200 cells"),
        ('<row r="1048576"><c r="A1048576"><v>1</v></c></row><row r="3"><c r="GR3"><v>1</v></c></row>', "spans"),
        ('<row r="200000"><c r="GA200000"><v>1</v></c></row>', "cells are spread over"),
        ('<row r="200000">' + "<c><v>1</v></c>" * 150 + "</row>", "cells are spread over"),
        ('<row r="2"><c r="A99999999"><v>1</v></c></row>', "sheets end at row 1048576"),
        ('<row r="4294967297"><c><v>1</v></c></row>', "sheets end at row 1048576"),
    ],
)
def test_a_cell_far_from_the_others_is_refused_before_memory_is_filled(
    refusal: Refusal, archive: MakeArchive, xlsx_parts: Parts, text_cell: Cell, cell: str, said: str
) -> None:
    rows = f'<row r="1">{text_cell("A1", "Device ID")}</row>{cell}'
    assert said in refusal(archive(xlsx_parts(rows)))


def test_the_last_row_of_a_narrow_sheet_may_be_used(
    taken: Taken, archive: MakeArchive, xlsx_parts: Parts, text_cell: Cell, an_id: AnId
) -> None:
    rows = f'<row r="1">{text_cell("A1", "Device ID")}</row><row r="1048576">{text_cell("A1048576", an_id(1))}</row>'
    assert [row.number for row in taken(archive(xlsx_parts(rows)))] == [1_048_576]


def test_elements_nested_without_end_are_refused_where_they_are_parsed(
    refusal: Refusal, archive: MakeArchive, xlsx_parts: Parts, text_cell: Cell
) -> None:
    deep = "<x>" * 100_000 + "</x>" * 100_000
    rows = f'<row r="1" hidden="1">{text_cell("A1", "Device ID")}</row>{deep}'
    assert "not valid XML" in refusal(archive(xlsx_parts(rows)))


def test_hidden_rows_are_seen_behind_a_namespace_prefix(
    refusal: Refusal, archive: MakeArchive, good_parts: dict[str, str | bytes]
) -> None:
    sheet = str(good_parts[SHEET]).replace('<row r="2">', '<row r="2" hidden="true">')
    for tag in ("worksheet", "sheetData", "row", "c ", "is", "t>"):
        sheet = sheet.replace(f"<{tag}", f"<x:{tag}").replace(f"</{tag}", f"</x:{tag}")
    sheet = sheet.replace("</c>", "</x:c>").replace("xmlns=", "xmlns:x=")
    assert "1 hidden" in refusal(archive({**good_parts, SHEET: sheet}))


def test_an_old_office_file_that_is_no_workbook_is_refused(
    refusal: Refusal, written: Callable[..., Path], compound: Callable[..., bytes]
) -> None:
    path = written(compound("WordDocument", b"x" * 5000), "list.xls")
    assert "without a worksheet" in refusal(path)


@pytest.mark.parametrize("step", [0, 2, 0xFFFF])
def test_sectors_that_form_a_loop_or_lie_outside_the_file_are_refused(
    compound: Callable[..., bytes], step: int
) -> None:
    content = bytearray(compound("Workbook", b"x" * 5000))
    struct.pack_into("<I", content, 512 + 4 * 3, step)
    with pytest.raises(InputError, match="form a loop"):
        CompoundFile(bytes(content), "list.xls")


@pytest.mark.parametrize(
    ("dimensions", "said"),
    [
        ((0x0800_0000, 13, 0, 5), "dimensions are damaged"),
        ((0, 13, 9, 5), "dimensions are damaged"),
        ((0, 65_536, 0, 60_000), "60000 columns"),
        ((0, 9_999_999, 0, 5), "sheets end"),
    ],
)
def test_dimensions_for_which_the_reader_would_reserve_memory_are_refused(
    refusal: Refusal,
    written: Callable[..., Path],
    compound: Callable[..., bytes],
    dimensions: tuple[int, int, int, int],
    said: str,
) -> None:
    def record(kind: int, data: bytes) -> bytes:
        return struct.pack("<HH", kind, len(data)) + data

    begin = record(0x0809, struct.pack("<HH", 0x0600, 5) + bytes(12))
    name = b"\x01\x00A"
    place = len(begin) + len(record(0x0085, bytes(6) + name)) + 4
    book = begin + record(0x0085, struct.pack("<IH", place, 0) + name) + record(0x000A, b"")
    sheet = begin + record(0x0200, struct.pack("<IIHH", *dimensions) + bytes(2)) + record(0x000A, b"")
    path = written(compound("Workbook", (book + sheet).ljust(5000, b"\0")), "list.xls")
    assert said in refusal(path)


@pytest.mark.parametrize("length", [0, 8, 100, 511, 600, 1100])
def test_a_compound_file_that_is_cut_off_is_refused(
    refusal: Refusal, written: Callable[..., Path], compound: Callable[..., bytes], length: int
) -> None:
    content = compound("Workbook", b"x" * 5000)[:length] or b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    assert "XLS workbook" in refusal(written(content, "list.xls"))


def test_the_guard_reads_parts_by_name_in_any_case(archive: MakeArchive, good_parts: dict[str, str | bytes]) -> None:
    opened = Archive(archive(good_parts).read_bytes(), "list.xlsx")
    assert SHEET.upper() in opened
    assert opened.read(SHEET.upper()) == str(good_parts[SHEET]).encode()
    with pytest.raises(InputError, match=r"the part gone\.xml is missing"):
        opened.read("gone.xml")


def test_a_reader_that_gives_up_is_one_sentence_and_nothing_beside_it(
    refusal: Refusal, archive: MakeArchive, capfd: pytest.CaptureFixture[str]
) -> None:
    parts = binary_workbook([("Device ID", False, False), ("x", False, False)])
    parts["xl/_rels/workbook.bin.rels"] = "<Relationships/>"  # the one that the workbook names is missing
    assert "cannot be read" in refusal(archive(parts, name="list.xlsb"))
    assert capfd.readouterr() == ("", "")
