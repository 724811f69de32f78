"""CSV, other separated text and plain lists: encodings, delimiters, damage, and rows of unequal width."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from batch_offboard.core.devices import judge_id
from batch_offboard.core.rows import CellKind, NotText, SourceRow, Table

AnId = Callable[[int], str]
Written = Callable[..., Path]
Taken = Callable[..., list[SourceRow]]
Opened = Callable[..., Table]
Refusal = Callable[..., str]


def test_a_clean_file_gives_its_rows_with_the_numbers_a_spreadsheet_shows(
    opened: Opened, written: Written, an_id: AnId
) -> None:
    path = written(f"Device ID,Device name,Owner\n{an_id(1)},lt-1,Ann\n{an_id(2)},lt-2,\n")
    table = opened(path)
    assert table.columns == ("Device ID", "Device name", "Owner")
    assert (table.id_column, table.name_column) == ("Device ID", "Device name")
    assert list(table.rows) == [
        SourceRow(2, an_id(1), "lt-1", (an_id(1), "lt-1", "Ann")),
        SourceRow(3, an_id(2), "lt-2", (an_id(2), "lt-2", "")),
    ]


@pytest.mark.parametrize(
    ("encoding", "text", "shown"),
    [
        ("utf-8", "Gerät 端末 Ł", "UTF-8"),
        ("utf-8-sig", "Gerät 端末 Ł", "UTF-8"),
        ("utf-16", "Gerät 端末 Ł", "UTF-16"),
        ("utf-16-be", "\ufeffGerät 端末 Ł", "UTF-16"),
        ("utf-32", "Gerät 端末 Ł", "UTF-32"),
        ("cp1252", "Jürgen Groß", "Windows-1252"),
        ("cp1252", "Müller", "Windows-1252"),
        ("cp1252", "Café à côté", "Windows-1252"),
        ("cp1252", "Peña – “ok” €", "Windows-1252"),
        ("cp932", "山田 太郎 大阪支社", "Shift-JIS"),
        ("cp932", "ﾃﾞﾊﾞｲｽ ﾊﾟｿｺﾝ", "Shift-JIS"),
        ("cp932", "①㈱髙橋", "Shift-JIS"),
        ("iso2022_jp", "大阪、がせ", "ISO-2022-JP"),  # whose bytes are those of a quotation mark, a comma, a semicolon
        ("iso2022_jp_ext", "ﾃﾞﾊﾞｲｽ 端末", "ISO-2022-JP"),
        ("iso2022_kr", "서울 지사", "ISO-2022-KR"),
        ("euc_jp", "山田太郎の端末です", "EUC-JP"),
        ("gb18030", "张伟的设备在上海办公室", "GB18030"),
        ("cp1250", "Łukasz Wiśniewski – urządzenie", "Windows-1250"),
        ("cp1251", "Иван Петров, рабочая станция", "Windows-1251"),
    ],
)
def test_an_encoding_is_found_on_a_small_file(
    opened: Opened, written: Written, an_id: AnId, encoding: str, text: str, shown: str
) -> None:
    mark, text = ("\ufeff", text[1:]) if text[0] == "\ufeff" else ("", text)
    lines = "".join(f"{an_id(number)};{text}\r\n" for number in range(12))
    table = opened(written(f"{mark}Device ID;Note\r\n{lines}".encode(encoding)))
    assert table.source.kind == f"CSV ({shown}, semicolon)"
    assert {row.cells[1] for row in table.rows} == {text}


def test_a_list_in_iso_2022_jp_is_read_whole_with_names_that_are_looked_up(
    opened: Opened, written: Written, an_id: AnId
) -> None:
    lines = ["PC名,デバイスID,備考", *(f"lt-{n},{an_id(n)},がせ、「{n}」" for n in range(30_000)), ",,"]
    table = opened(written("\r\n".join(lines).encode("iso2022_jp")))
    rows = list(table.rows)
    assert (table.id_column, table.name_column) == ("デバイスID", "PC名")
    assert [row.cells for row in rows] == [(f"lt-{n}", an_id(n), f"がせ、「{n}」") for n in range(30_000)]


def test_escapes_that_no_such_encoding_explains_are_refused(refusal: Refusal, written: Written, an_id: AnId) -> None:
    broken = b"Device ID,Note\n" + an_id(1).encode() + b",\x1b$B\x7f\x7f\x1b(B\n"
    assert "is not text in ISO-2022-JP or a related encoding; save it again as CSV" in refusal(written(broken))


def test_colours_of_a_terminal_are_no_encoding(opened: Opened, written: Written, an_id: AnId) -> None:
    table = opened(written(f"Device ID,Note\n{an_id(1)},\x1b[31mred\x1b[0m\n"))
    assert table.source.kind == "CSV (UTF-8, comma)"
    assert next(iter(table.rows)).cells[1] == "\x1b[31mred\x1b[0m"


def test_one_accent_in_a_long_file_is_read_right(taken: Taken, written: Written, an_id: AnId) -> None:
    lines = "".join(f"{an_id(number)},user\n" for number in range(200))
    path = written(f"Device ID,Owner\n{lines}{an_id(200)},Jürgen\n".encode("cp1252"))
    assert taken(path)[-1].cells[1] == "Jürgen"


@pytest.mark.parametrize(
    "content",
    [
        b"Device ID\n\xff\xfe\x01\x81\n",
        b"\xef\xbb\xbfDevice ID,Owner\nx,J\xfcrgen\n",
        "\ufeffDevice ID".encode("utf-16-le") + b"\x00\xd8",
    ],
)
def test_bytes_that_no_encoding_explains_are_refused(refusal: Refusal, written: Written, content: bytes) -> None:
    assert "save it again" in refusal(written(content))


def test_two_encodings_in_one_file_are_refused(refusal: Refusal, written: Written, an_id: AnId) -> None:
    lines = [f"{an_id(1)},Jürgen\n".encode(), f"{an_id(2)},Jürgen\n".encode("cp1252")]
    assert "mixes UTF-8 with an older encoding" in refusal(written(b"Device ID,Owner\n" + b"".join(lines)))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "cp1252"])
def test_nul_characters_are_refused_with_their_line(refusal: Refusal, written: Written, encoding: str) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    path = written(f"{mark}Device ID,Note\r\n\r\nx,Jürgen\0\r\ny,z\r\n".encode(encoding))
    assert "line 3: the line holds NUL bytes" in refusal(path)


@pytest.mark.parametrize("ending", ["\n", ""])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_nul_bytes_behind_the_last_row_are_refused_because_rows_may_be_missing(
    refusal: Refusal, written: Written, an_id: AnId, encoding: str, ending: str
) -> None:
    path = written((f"Device ID\n{an_id(1)}{ending}" + "\0" * 3000).encode(encoding))
    assert f"ends with NUL bytes from line {3 if ending else 2} on" in refusal(path)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_wide_encoding_without_a_mark_is_read(opened: Opened, written: Written, an_id: AnId, encoding: str) -> None:
    text = "Device ID,Note\r\n" + "".join(f"{an_id(number)},端末 {number}\r\n" for number in (1, 2, 3))
    table = opened(written(text.encode(encoding)))
    assert table.source.kind == f"CSV ({encoding[:6].upper()}, comma)"
    assert [(row.device_id, row.cells[1]) for row in table.rows] == [(an_id(n), f"端末 {n}") for n in (1, 2, 3)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "cp932"])
@pytest.mark.parametrize("end", ["\r\n\x1a", "\x1a", "\r\n\x1a\x1a\r\n"])
def test_an_old_end_of_file_mark_is_no_row(
    opened: Opened, written: Written, an_id: AnId, encoding: str, end: str
) -> None:
    owner = "山田太郎" if encoding == "cp932" else "Jürgen Groß"
    lines = "\r\n".join(f"{an_id(number)},{owner}" for number in (1, 2, 3))
    path = written(f"Device ID,Owner\r\n{lines}{end}".encode(encoding))
    table = opened(path)
    assert [row.cells for row in table.rows] == [(an_id(number), owner) for number in (1, 2, 3)]
    assert table.source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_end_of_file_mark_with_rows_behind_it_ends_nothing(taken: Taken, written: Written, an_id: AnId) -> None:
    rows = taken(written(f"Device ID,Owner\n{an_id(1)},x\x1a\n{an_id(2)},y\n"))
    assert [row.device_id for row in rows] == [an_id(1), an_id(2)]


@pytest.mark.parametrize(("delimiter", "word"), [(",", "comma"), (";", "semicolon"), ("\t", "tab"), ("|", "bar")])
def test_a_delimiter_is_found_by_structure(
    opened: Opened, written: Written, an_id: AnId, delimiter: str, word: str
) -> None:
    lines = [["Device ID", "Note"], *([an_id(n), "x, y; z" if delimiter == "|" else "x"] for n in range(5))]
    table = opened(written("\n".join(map(delimiter.join, lines))))
    assert table.source.kind == f"CSV (UTF-8, {word})"
    assert [row.device_id for row in table.rows] == [an_id(n) for n in range(5)]


@pytest.mark.parametrize(("line", "delimiter"), [("sep=;", ";"), ('"sep=|"', "|"), ("SEP=\t", "\t")])
def test_a_sep_line_says_the_delimiter_and_counts_as_row_1(
    opened: Opened, written: Written, an_id: AnId, line: str, delimiter: str
) -> None:
    table = opened(written(f"{line}\r\nDevice ID{delimiter}Note\r\n{an_id(1)}{delimiter}a,b\r\n"))
    assert list(table.rows) == [SourceRow(3, an_id(1), "", (an_id(1), "a,b"))]


@pytest.mark.parametrize("name", ["ids.txt", "ids.csv"])
@pytest.mark.parametrize("header", ["", "Device ID\n", "id\n"])
@pytest.mark.parametrize("end", ["", "\n"])
def test_a_plain_list_works_with_and_without_header(
    taken: Taken, written: Written, an_id: AnId, name: str, header: str, end: str
) -> None:
    rows = taken(written(f"{header}{an_id(1)}\n{an_id(2)}{end}", name))
    first = 2 if header else 1
    assert [(row.number, row.device_id) for row in rows] == [(first, an_id(1)), (first + 1, an_id(2))]


def test_a_plain_list_keeps_a_line_with_delimiters_as_one_row(taken: Taken, written: Written, an_id: AnId) -> None:
    rows = taken(written("".join(f"{an_id(n)}\n" for n in range(9)) + f"{an_id(9)},{an_id(10)}\n"))
    assert rows[-1].device_id == f"{an_id(9)},{an_id(10)}"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system_are_read(taken: Taken, written: Written, an_id: AnId, end: str) -> None:
    rows = taken(written(end.join(["Device ID,Owner", f"{an_id(1)},x", f"{an_id(2)},y"])))
    assert [(row.number, row.cells[1]) for row in rows] == [(2, "x"), (3, "y")]


def test_mixed_line_ends_and_a_line_separator_inside_are_read(taken: Taken, written: Written, an_id: AnId) -> None:
    rows = taken(written(f"Device ID,Owner\r\n{an_id(1)},x\u2028y\n{an_id(2)},y\r{an_id(3)},z"))
    assert [(row.number, row.cells[1]) for row in rows] == [(2, "x\u2028y"), (3, "y"), (4, "z")]


def test_blank_rows_are_no_rows_and_do_not_end_the_data(taken: Taken, written: Written, an_id: AnId) -> None:
    blank = "\n,,\n , ,\n" + "\u00a0,\u200b,\n" + "\n" * 20
    rows = taken(written(f"Device ID,Owner,\n{an_id(1)},x,\n{blank}{an_id(2)},y,\n{',,' * 3}\n" + "\n" * 1000))
    assert [(row.number, row.device_id) for row in rows] == [(2, an_id(1)), (27, an_id(2))]


def test_an_empty_id_cell_beside_a_filled_one_is_a_row(taken: Taken, written: Written, an_id: AnId) -> None:
    rows = taken(written(f"Device ID,Device name\n{an_id(1)},lt-1\n,lt-2\n"))
    assert (rows[1].number, rows[1].device_id, rows[1].device_name) == (3, "", "lt-2")


def test_a_row_that_ends_before_its_id_is_told_from_an_empty_cell(taken: Taken, written: Written, an_id: AnId) -> None:
    lines = ["lt-1,x", f"lt-2,x,{an_id(2)}", "lt-3,,", "", '"lt-4\nroom 2"', "lt-5,x"]
    rows = taken(written("Device name,Owner,Device ID\n" + "\n".join(lines) + "\n"))
    missing = NotText(CellKind.MISSING, "")
    assert [(row.number, row.device_id) for row in rows] == [
        (2, missing),
        (3, an_id(2)),
        (4, ""),
        (6, missing),
        (7, missing),
    ]


def test_short_rows_are_known_in_the_second_chunk_too(taken: Taken, written: Written, an_id: AnId) -> None:
    lines = [f"lt-{number},{an_id(number)}" for number in range(20_000)]
    lines[15_000] = "short"
    lines[19_999] = "empty,"
    rows = taken(written("Device name,Device ID\n" + "\n".join(lines)))
    assert (rows[15_000].number, rows[15_000].device_id) == (15_002, NotText(CellKind.MISSING, ""))
    assert (rows[19_999].number, rows[19_999].device_id) == (20_001, "")
    assert len(rows) == 20_000


@pytest.mark.parametrize("at", [3, 15_000])
def test_a_row_wider_than_the_header_is_refused_with_its_number(
    refusal: Refusal, written: Written, an_id: AnId, at: int
) -> None:
    lines = [f"{an_id(number)},x" for number in range(20_000)]
    lines[at - 2] += ",more"
    assert f"row {at}: the row has more cells" in refusal(written("Device ID,Owner\n" + "\n".join(lines)))


def test_a_row_far_wider_than_the_header_is_refused(refusal: Refusal, written: Written, an_id: AnId) -> None:
    lines = [f"{an_id(number)},x" for number in range(3000)]
    lines[-1] += ",a,b,c,d,e"
    assert "more than the header" in refusal(written("Device ID,Owner\n" + "\n".join(lines)))


def test_delimiters_at_the_end_of_rows_are_no_cells(taken: Taken, written: Written, an_id: AnId) -> None:
    rows = taken(written(f"Device ID,Owner\n{an_id(1)},x,,,\n{an_id(2)},y,\n"))
    assert [row.cells for row in rows] == [(an_id(1), "x"), (an_id(2), "y")]


@pytest.mark.parametrize("at", [2, 15_000])
def test_a_quotation_mark_that_is_never_closed_is_refused(
    refusal: Refusal, written: Written, an_id: AnId, at: int
) -> None:
    lines = [f"{an_id(number)},x" for number in range(20_000)]
    lines[at] = f'{an_id(0)},"x'
    assert "quotation mark" in refusal(written("Device ID,Owner\n" + "\n".join(lines)))


def test_a_quotation_mark_that_swallows_rows_up_to_another_is_refused(
    refusal: Refusal, written: Written, an_id: AnId
) -> None:
    lines = [f"{an_id(number)},x" for number in range(40)]
    lines[10] = f'{an_id(10)},"19 inch'
    lines[20] = f'{an_id(20)},24" screen'
    sentence = refusal(written("Device ID,Owner\n" + "\n".join(lines)))
    assert "row 12: a quotation mark has swallowed the lines that follow" in sentence


def test_swallowed_rows_are_found_far_behind_the_beginning(refusal: Refusal, written: Written, an_id: AnId) -> None:
    lines = [f"{an_id(number)},x" for number in range(20_000)]
    lines[15_000] = f'{an_id(0)},"19 inch'
    lines[15_002] = f'{an_id(1)},24"'
    sentence = refusal(written("Device ID,Owner\n" + "\n".join(lines)))
    assert "row 15002: a quotation mark has swallowed" in sentence


def test_a_line_break_and_doubled_quotes_inside_a_quoted_cell_are_text(
    taken: Taken, written: Written, an_id: AnId
) -> None:
    rows = taken(written(f'Device ID,Note\n{an_id(1)},"line 1\nline ""2"", end"\n{an_id(2)},x\n'))
    assert [(row.number, row.cells[1]) for row in rows] == [(2, 'line 1\nline "2", end'), (3, "x")]


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_cell_longer_than_a_sheet_can_hold_is_refused(
    refusal: Refusal, written: Written, an_id: AnId, quote: str
) -> None:
    lines = "".join(f"{an_id(number)},x\n" for number in range(3000))
    path = written(f"Device ID,Note\n{lines}{an_id(1)},{quote}{'y' * 33_000}{quote}\n")
    assert "row 3002: a cell has 33000 characters" in refusal(path)


def test_a_cell_of_the_largest_size_is_read(taken: Taken, written: Written, an_id: AnId) -> None:
    rows = taken(written(f"Device ID,Note\n{an_id(1)},{'y' * 32_767}\n"))
    assert len(rows[0].cells[1]) == 32_767


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_line_of_many_megabytes_is_refused(refusal: Refusal, written: Written, encoding: str) -> None:
    assert "a line of more than a million bytes" in refusal(written(("x" * (3 << 20)).encode(encoding)))


def test_words_that_pandas_would_take_for_nothing_stay_text(taken: Taken, written: Written, an_id: AnId) -> None:
    words = ("NA", "null", "None", "nan", "N/A", "TRUE", "007", "1e5", "-")
    lines = "".join(f"{an_id(number)},{word}\n" for number, word in enumerate(words))
    assert tuple(row.cells[1] for row in taken(written("Device ID,Note\n" + lines))) == words


def test_an_id_of_digits_stays_text(taken: Taken, written: Written, an_id: AnId) -> None:
    digits = "1234512345123451234512345123451234512345"
    rows = taken(written(f"Device ID\n{digits}\n{an_id(1)}\n"))
    assert judge_id(rows[0].device_id) == digits


def test_the_first_row_of_a_list_without_header_is_never_lost(taken: Taken, written: Written, an_id: AnId) -> None:
    rows = taken(written(f"{an_id(1)[:39]}\n{an_id(2)}\n{an_id(3)}\n"))
    assert [row.number for row in rows] == [1, 2, 3]


def test_a_header_below_title_lines_is_read_once_it_is_named(
    taken: Taken, refusal: Refusal, written: Written, an_id: AnId
) -> None:
    path = written(f"Leavers\n\nDevice ID,Owner\n{an_id(1)},x\n{an_id(2)},y\n")
    assert "is in row 3" in refusal(path)
    assert [row.number for row in taken(path, id_column="Device ID")] == [4, 5]


def test_names_without_ids_are_rows_with_an_empty_id(opened: Opened, written: Written) -> None:
    table = opened(written("Device name,Owner\nlt-1,x\nlt-2,\n"))
    assert table.id_column is None
    assert [(row.device_id, row.device_name) for row in table.rows] == [("", "lt-1"), ("", "lt-2")]


def test_more_than_200_columns_are_refused(refusal: Refusal, written: Written) -> None:
    assert "201 columns" in refusal(written("Device ID" + ",x" * 200 + "\n1" + ",x" * 200 + "\n"))
