"""What nobody sees in a spreadsheet program is hidden, marked so or not, in every format that can say it."""

import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import xlwt
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook as Book
from openpyxl.worksheet.filters import AutoFilter, CustomFilter, CustomFilters, FilterColumn
from openpyxl.worksheet.table import Table as ExcelTable
from openpyxl.worksheet.worksheet import Worksheet

from batch_offboard.base.errors import InputError
from batch_offboard.core.rows import Table
from batch_offboard.sheets import HiddenRows, open_table
from tests.binary_workbook import binary_workbook, record

Workbook = Callable[..., Path]
Opened = Callable[..., Table]
Refusal = Callable[..., str]
AnId = Callable[[int], str]
HEADER = ("Device ID", "Device name")


def numbers(path: Path, hidden: HiddenRows) -> list[int]:
    return [row.number for row in open_table(path, hidden=hidden).rows]


def an_id_of(number: int) -> str:
    return f"a{number:039x}"


# -- rows: each is seen, marked as hidden, or so low that nobody sees it --

SEEN, MARKED, LOW = "seen", "marked", "low"


def as_xlsx(folder: Path, rows: Sequence[str]) -> Path:
    book = Book()
    sheet = book.worksheets[0]
    sheet.append(["Device ID"])
    for number, how in enumerate(rows, 2):
        sheet.append([an_id_of(number)])
        sheet.row_dimensions[number].hidden = how == MARKED
        if how == LOW:
            sheet.row_dimensions[number].height = 0.5
    book.save(folder / "list.xlsx")
    return folder / "list.xlsx"


def as_xls(folder: Path, rows: Sequence[str]) -> Path:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Devices")
    sheet.write(0, 0, "Device ID")
    for number, how in enumerate(rows, 1):
        sheet.write(number, 0, an_id_of(number))
        sheet.row(number).hidden = how == MARKED
        sheet.row(number).has_default_height = False
        sheet.row(number).height = 1 if how == LOW else 300
    book.save(str(folder / "list.xls"))
    return folder / "list.xls"


def as_xlsb(folder: Path, rows: Sequence[str]) -> Path:
    values = [("Device ID", False, False), *((an_id_of(n), how == MARKED, False) for n, how in enumerate(rows))]
    heights = [300, *(0 if how == LOW else 300 for how in rows)]
    return zipped(folder / "list.xlsb", binary_workbook(values, heights=heights))


def as_ods(folder: Path, rows: Sequence[str]) -> Path:
    marks = {SEEN: "", MARKED: 'table:visibility="collapse"', LOW: 'table:style-name="low"'}
    lines = [ods_row("Device ID"), *(ods_row(an_id_of(n), marks[how]) for n, how in enumerate(rows))]
    style = '<style:table-row-properties style:row-height="0.01cm"/>'
    return ods_file(
        folder, "".join(lines), styles=f'<style:style style:name="low" style:family="table-row">{style}</style:style>'
    )


@pytest.mark.parametrize("made", [as_xlsx, as_xls, as_xlsb, as_ods])
@settings(max_examples=15, deadline=None)
@given(rows=st.lists(st.sampled_from([SEEN, MARKED, LOW]), min_size=1, max_size=12))
def test_every_row_is_either_seen_or_counted_as_hidden(
    made: Callable[[Path, Sequence[str]], Path], rows: list[str]
) -> None:
    seen = [number for number, how in enumerate(rows, 2) if how == SEEN]
    unseen = len(rows) - len(seen)
    with TemporaryDirectory() as folder:
        path = made(Path(folder), rows)
        assert numbers(path, HiddenRows.INCLUDE) == list(range(2, len(rows) + 2))
        if seen:
            assert numbers(path, HiddenRows.VISIBLE_ONLY) == seen
        if unseen:
            with pytest.raises(InputError, match=f"has {unseen} hidden or filtered-out row"):
                open_table(path)
        else:
            assert numbers(path, HiddenRows.REFUSE) == seen


@pytest.mark.parametrize(
    ("line", "hidden"),
    [
        ('ht="0" customHeight="1"', True),
        ('ht="0"', True),
        ('ht="0.75" customHeight="1"', True),
        ("ht='2.99'", True),
        ('ht=".5"', True),
        ('ht="1e-3"', True),
        ('ht = "0"', True),
        ('customHeight="1"', False),
        ('ht="3"', False),
        ('ht="15" hidden="0"', False),
        ('ht="30.5"', False),
        ('ht="high"', False),
        ('hidden="true"', True),
    ],
)
def test_a_row_too_low_for_a_line_of_text_is_hidden(
    archive: Workbook,
    xlsx_parts: Callable[..., dict[str, str]],
    text_cell: Callable[..., str],
    line: str,
    *,
    hidden: bool,
) -> None:
    header = f'<row r="1">{text_cell("A1", "Device ID")}</row>'
    row = f'<row r="2" {line}>{text_cell("A2", an_id_of(1))}</row><row r="3">{text_cell("A3", an_id_of(2))}</row>'
    path = archive(xlsx_parts(header + row))
    assert numbers(path, HiddenRows.VISIBLE_ONLY) == ([3] if hidden else [2, 3])


def test_rows_without_a_height_have_the_usual_one_of_the_sheet(
    archive: Workbook, xlsx_parts: Callable[..., dict[str, str]], text_cell: Callable[..., str]
) -> None:
    rows = f'<row r="1" ht="15">{text_cell("A1", "Device ID")}</row>'
    rows += f'<row r="2" ht="15">{text_cell("A2", an_id_of(1))}</row><row r="3">{text_cell("A3", an_id_of(2))}</row>'
    usual = '<sheetFormatPr defaultRowHeight="0" customHeight="1"/>'
    assert numbers(archive(xlsx_parts(rows, dimension=usual)), HiddenRows.VISIBLE_ONLY) == [2]
    usual = '<sheetFormatPr defaultRowHeight="15" zeroHeight="1"/>'  # this hides the rows that the file does not name
    assert numbers(archive(xlsx_parts(rows, dimension=usual)), HiddenRows.REFUSE) == [2, 3]


# -- groups --


@pytest.mark.parametrize(("below", "sign"), [(True, 5), (False, 2)])
def test_the_rows_of_a_collapsed_group_are_hidden_without_marks_of_their_own(
    refusal: Refusal, workbook: Workbook, *, below: bool, sign: int
) -> None:
    def group(sheet: Worksheet) -> None:
        sheet.sheet_properties.outlinePr.summaryBelow = below  # type: ignore[union-attr] # always there
        for number in (3, 4):
            sheet.row_dimensions[number].outlineLevel = 1
        sheet.row_dimensions[7].outlineLevel = 1  # a group that is open
        sheet.row_dimensions[sign].collapsed = True

    path = workbook([HEADER, *[(an_id_of(n), "") for n in range(8)]], group)
    assert "2 hidden or filtered-out rows" in refusal(path)
    assert numbers(path, HiddenRows.VISIBLE_ONLY) == [2, 5, 6, 7, 8, 9]


def test_a_collapsed_group_inside_an_open_one_hides_its_own_rows_only(workbook: Workbook) -> None:
    def group(sheet: Worksheet) -> None:
        for number, level in ((3, 1), (4, 2), (5, 2), (6, 1)):
            sheet.row_dimensions[number].outlineLevel = level
        sheet.row_dimensions[6].collapsed = True

    path = workbook([HEADER, *[(an_id_of(n), "") for n in range(7)]], group)
    assert numbers(path, HiddenRows.VISIBLE_ONLY) == [2, 3, 6, 7, 8]


def test_collapsed_groups_are_hidden_in_xls_xlsb_and_ods(tmp_path: Path) -> None:
    values = [("Device ID", False, False), *((an_id_of(n), False, False) for n in range(5))]
    binary = zipped(tmp_path / "list.xlsb", binary_workbook(values, levels=[0, 0, 1, 1, 8, 0]))
    assert numbers(binary, HiddenRows.VISIBLE_ONLY) == [2, 5, 6]

    book = xlwt.Workbook()
    sheet = book.add_sheet("Devices")
    for number, (value, _, _) in enumerate(values):
        sheet.write(number, 0, value)
    sheet.outline_below = True
    sheet.row(2).level = sheet.row(3).level = 1
    sheet.row(4).collapse = 1
    book.save(str(tmp_path / "list.xls"))
    assert numbers(tmp_path / "list.xls", HiddenRows.VISIBLE_ONLY) == [2, 5, 6]

    inside = f'<table:table-row-group table:display="false">{ods_row(an_id_of(2))}</table:table-row-group>'
    rows = ods_row("Device ID") + ods_row(an_id_of(1)) + inside + ods_row(an_id_of(3))
    assert numbers(ods_file(tmp_path, rows), HiddenRows.VISIBLE_ONLY) == [2, 4]


# -- filters --


def filtered(sheet: Worksheet) -> None:
    sheet.auto_filter.ref = "A1:B5"
    sheet.auto_filter.add_filter_column(1, ["lt-1"])


def filtered_table(sheet: Worksheet) -> None:
    conditions = CustomFilters(customFilter=[CustomFilter(operator="equal", val="lt-1")])
    conditional = AutoFilter(ref="A1:B5", filterColumn=[FilterColumn(colId=1, customFilters=conditions)])
    table = ExcelTable(displayName="Leavers", ref="A1:B5", autoFilter=conditional)
    sheet.add_table(table)


@pytest.mark.parametrize("how", [filtered, filtered_table])
def test_a_filter_that_hides_no_row_is_a_question(
    opened: Opened, refusal: Refusal, workbook: Workbook, how: Callable[[Worksheet], None]
) -> None:
    path = workbook([HEADER, *[(an_id_of(n), f"lt-{n}") for n in range(4)]], how)
    assert "Sheet 'Devices' has a filter, but the file does not say which rows it hides" in refusal(path)
    assert "apply it again" in refusal(path, hidden=HiddenRows.VISIBLE_ONLY)
    table = opened(path, hidden=HiddenRows.INCLUDE)
    assert "The sheet has a filter that hides no row; all rows are taken." in table.notes
    assert len(list(table.rows)) == 4


@pytest.mark.parametrize("how", [filtered, filtered_table])
def test_a_filter_whose_rows_are_marked_is_one_of_hidden_rows(
    refusal: Refusal, workbook: Workbook, how: Callable[[Worksheet], None]
) -> None:
    def change(sheet: Worksheet) -> None:
        how(sheet)
        sheet.row_dimensions[4].hidden = True

    path = workbook([HEADER, *[(an_id_of(n), f"lt-{n}") for n in range(4)]], change)
    assert "1 hidden or filtered-out row;" in refusal(path)
    assert numbers(path, HiddenRows.VISIBLE_ONLY) == [2, 3, 5]


def test_a_filter_without_conditions_hides_nothing(workbook: Workbook) -> None:
    def change(sheet: Worksheet) -> None:
        sheet.auto_filter.ref = "A1:B5"
        sheet.auto_filter.filterColumn.append(FilterColumn(colId=0, hiddenButton=True))

    path = workbook([HEADER, *[(an_id_of(n), f"lt-{n}") for n in range(4)]], change)
    assert numbers(path, HiddenRows.REFUSE) == [2, 3, 4, 5]


def test_a_filter_of_a_view_that_is_not_shown_does_not_count(
    archive: Workbook, xlsx_parts: Callable[..., dict[str, str]], text_cell: Callable[..., str]
) -> None:
    parts = xlsx_parts(
        f'<row r="1">{text_cell("A1", "Device ID")}</row><row r="2">{text_cell("A2", an_id_of(1))}</row>'
    )
    conditions = '<autoFilter ref="A1:A2"><filterColumn colId="0"><filters blank="1"/></filterColumn></autoFilter>'
    view = f"<customSheetViews><customSheetView>{conditions}</customSheetView></customSheetViews></worksheet>"
    parts["xl/worksheets/sheet1.xml"] = parts["xl/worksheets/sheet1.xml"].replace("</worksheet>", view)
    assert numbers(archive(parts), HiddenRows.REFUSE) == [2]


def test_filters_that_hide_no_row_are_seen_in_xls_xlsb_and_ods(refusal: Refusal, tmp_path: Path) -> None:
    values = [("Device ID", False, False), *((an_id_of(n), False, False) for n in range(3))]
    conditions = [record(161, struct.pack("<4I", 0, 3, 0, 0)), record(163, struct.pack("<IH", 0, 0)), record(167, b"")]
    parts = binary_workbook(values, after=b"".join(conditions))
    assert "has a filter" in refusal(zipped(tmp_path / "list.xlsb", parts))
    buttons_only = binary_workbook(values, after=b"".join(conditions[:2]))
    assert numbers(zipped(tmp_path / "list.xlsb", buttons_only), HiddenRows.REFUSE) == [2, 3, 4]

    area = "'Our ''own'' list'.A1:'Our ''own'' list'.A4"
    condition = '<table:filter-condition table:field-number="0" table:operator="=" table:value="x"/>'
    condition = f"<table:filter>{condition}</table:filter>"
    ranges = f'<table:database-range table:target-range-address="{area}">{condition}</table:database-range>'
    rows = "".join(ods_row(value) for value, _, _ in values)
    path = ods_file(
        tmp_path, rows, name="Our 'own' list", after=f"<table:database-ranges>{ranges}</table:database-ranges>"
    )
    assert "Sheet 'Our 'own' list' has a filter" in refusal(path)
    path = ods_file(tmp_path, rows, after=f"<table:database-ranges>{ranges}</table:database-ranges>")
    assert numbers(path, HiddenRows.REFUSE) == [2, 3, 4]


XLS_VALUES = ["Device ID", an_id_of(1), an_id_of(2)]


def xls_with(compound: Callable[..., bytes], kind: int, data: bytes) -> bytes:
    """An XLS workbook of one sheet with one more record before the sheet's dimensions."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("Devices")
    for number, value in enumerate(XLS_VALUES):
        sheet.write(number, 0, value)
    stream = book.get_biff_data()
    at = stream.index(struct.pack("<HH", 0x0200, 14), stream.index(b"Devices"))
    more = struct.pack("<HH", kind, len(data)) + data
    return compound("Workbook", (stream[:at] + more + stream[at:]).ljust(4096, b"\0"))


def test_a_filter_in_an_xls_workbook_that_hides_no_row_is_a_question(
    refusal: Refusal, compound: Callable[..., bytes], written: Callable[..., Path]
) -> None:
    path = written(xls_with(compound, 0x009E, b"\0" * 24), "list.xls")
    assert "Sheet 'Devices' has a filter" in refusal(path)
    assert numbers(path, HiddenRows.INCLUDE) == [2, 3]


# -- columns --


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ('<cols><col min="1" max="1" width="0" customWidth="1"/></cols>', ["IDs"]),
        ('<cols><col min="1" max="2" width="9" hidden="1"/></cols>', ["IDs", "names"]),
        ('<cols><col min="2" max="16384" width="0.5"/></cols>', ["names"]),
        (
            '<sheetFormatPr defaultColWidth="0" defaultRowHeight="15"/><cols><col min="1" max="1" width="40"/></cols>',
            ["names"],
        ),
        ('<cols><col min="1" max="1" width="1"/><col min="2" max="2" width="40"/></cols>', []),
        ('<cols><col min="3" max="3" width="0"/></cols>', []),
    ],
)
def test_a_hidden_column_of_ids_or_names_is_told(
    opened: Opened,
    archive: Workbook,
    xlsx_parts: Callable[..., dict[str, str]],
    text_cell: Callable[..., str],
    columns: str,
    told: list[str],
) -> None:
    rows = f'<row r="1">{text_cell("A1", "Device ID")}{text_cell("B1", "Device name")}</row>'
    rows += f'<row r="2">{text_cell("A2", an_id_of(1))}{text_cell("B2", "lt-1")}</row>'
    notes = opened(archive(xlsx_parts(rows, dimension=columns))).notes
    expected = [f"The column of device {what} is hidden in the sheet." for what in told]
    assert [note for note in notes if "hidden" in note] == expected


def test_narrow_and_hidden_columns_are_seen_in_xls_xlsb_and_ods(opened: Opened, tmp_path: Path) -> None:
    told = "The column of device IDs is hidden in the sheet."
    values = [("Device ID", False, False), (an_id_of(1), False, False)]
    for width, flags in ((0, 0), (2000, 1)):
        columns = record(60, struct.pack("<4IH", 0, 0, width, 0, flags))
        assert told in opened(zipped(tmp_path / "list.xlsb", binary_workbook(values, before=columns))).notes
    wide = record(60, struct.pack("<4IH", 0, 0, 2000, 0, 0))
    assert told not in opened(zipped(tmp_path / "list.xlsb", binary_workbook(values, before=wide))).notes

    for usual, hidden in ((0, True), (9, False)):
        columns = record(485, struct.pack("<IHHI", 0xFFFFFFFF, usual, 300, 0))
        assert (told in opened(zipped(tmp_path / "list.xlsb", binary_workbook(values, before=columns))).notes) == hidden

    for width, hidden in ((0, False), (2000, True), (2000, False)):
        book = xlwt.Workbook()
        sheet = book.add_sheet("Devices")
        sheet.write(0, 0, "Device ID")
        sheet.write(1, 0, an_id_of(1))
        sheet.col(0).width, sheet.col(0).hidden = width, hidden
        book.save(str(tmp_path / "list.xls"))
        assert (told in opened(tmp_path / "list.xls").notes) == (hidden or not width)

    rows = ods_row("Device ID") + ods_row(an_id_of(1))
    narrow = '<style:table-column-properties style:column-width="0.1mm"/>'
    narrow = f'<style:style style:name="co1" style:family="table-column">{narrow}</style:style>'
    for column in ('table:visibility="collapse"', 'table:style-name="co1"'):
        assert told in opened(ods_file(tmp_path, f"<table:table-column {column}/>{rows}", styles=narrow)).notes
    assert (
        told
        not in opened(
            ods_file(
                tmp_path, f"<table:table-column/><table:table-column table:style-name='co1'/>{rows}", styles=narrow
            )
        ).notes
    )


@pytest.mark.parametrize(("usual", "hidden"), [(0, True), (9, False)])
def test_columns_without_a_width_have_the_usual_one_in_an_xls_workbook(
    opened: Opened, compound: Callable[..., bytes], written: Callable[..., Path], usual: int, *, hidden: bool
) -> None:
    table = opened(written(xls_with(compound, 0x0055, struct.pack("<H", usual)), "list.xls"))
    assert ("The column of device IDs is hidden in the sheet." in table.notes) == hidden


# -- sheets --


def test_a_very_hidden_sheet_is_never_chosen(refusal: Refusal, workbook: Workbook, tmp_path: Path) -> None:
    def change(sheet: Worksheet) -> None:
        sheet.sheet_state = "veryHidden"

    path = workbook([HEADER, (an_id_of(1), "")], change, more={"Cover": [("Read me",)]})
    assert "the columns are A 'Read me'" in refusal(path)
    assert "'Devices' is hidden; if it is meant, unhide it, or copy its rows" in refusal(path, sheet="Devices")

    book = xlwt.Workbook()
    for name, visibility in (("Cover", 0), ("Devices", 2)):
        sheet = book.add_sheet(name)
        sheet.visibility = visibility
        sheet.write(0, 0, "Device ID" if visibility else "Read me")
    book.save(str(tmp_path / "list.xls"))
    assert "'Devices' is hidden" in refusal(tmp_path / "list.xls", sheet="Devices")

    style = '<style:table-properties table:display="false"/>'
    style = f'<style:style style:name="ta1" style:family="table">{style}</style:style>'
    other = f'</table:table><table:table table:name="Cover">{ods_row("Read me")}'
    path = ods_file(
        tmp_path, ods_row("Device ID") + ods_row(an_id_of(1)) + other, styles=style, look='table:style-name="ta1"'
    )
    assert "'Devices' is hidden" in refusal(path, sheet="Devices")


# -- how the files are made --


def zipped(path: Path, parts: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for part, content in parts.items():
            opened.writestr(part, content)
    return path


def ods_row(text: str, look: str = "") -> str:
    cell = f'<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>'
    return f"<table:table-row {look}>{cell}</table:table-row>"


def ods_file(
    folder: Path, rows: str, *, styles: str = "", after: str = "", name: str = "Devices", look: str = ""
) -> Path:
    spaces = " ".join(
        f'xmlns:{key}="urn:oasis:names:tc:opendocument:xmlns:{key}:1.0"' for key in ("office", "table", "text", "style")
    )
    content = (
        f"<office:document-content {spaces}><office:automatic-styles>{styles}</office:automatic-styles><office:body>"
        f'<office:spreadsheet><table:table table:name="{name}" {look}>{rows}</table:table>{after}'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    manifest = '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
    mimetype = "application/vnd.oasis.opendocument.spreadsheet"
    parts: dict[str, str | bytes] = {"mimetype": mimetype, "META-INF/manifest.xml": manifest, "content.xml": content}
    return zipped(folder / "list.ods", parts)
