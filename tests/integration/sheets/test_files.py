"""What a file is comes from its content; whatever cannot be a table is one clear sentence."""

import os
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from batch_offboard.base.errors import InputError
from batch_offboard.core.rows import SourceRow, Table
from batch_offboard.sheets import open_table
from batch_offboard.sheets.intake import find_input, unreadable

Refusal = Callable[..., str]
Written = Callable[..., Path]


def test_a_missing_file_is_refused(refusal: Refusal, tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "gone.csv")


def test_a_folder_is_refused(refusal: Refusal, tmp_path: Path) -> None:
    assert f"{tmp_path.name} is a folder" in refusal(tmp_path)


def test_a_folder_without_a_name_is_called_by_its_path(refusal: Refusal, tmp_path: Path) -> None:
    root = Path(tmp_path.anchor)
    assert refusal(root).startswith(f"{root} is a folder")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no FIFO files")
def test_a_pipe_and_a_device_are_refused_without_waiting(refusal: Refusal, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    assert "not a file" in refusal(tmp_path / "pipe.csv")
    assert "not a file" in refusal(Path("/dev/null"))


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX") or os.name == "nt", reason="needs a socket file")
def test_a_socket_file_is_refused(refusal: Refusal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.csv")
        assert "not a file" in refusal(Path("s.csv"))


def test_a_path_with_nul_is_refused(refusal: Refusal) -> None:
    assert "cannot be reached" in refusal(Path("a\0b.csv"))


def test_an_empty_file_is_refused(refusal: Refusal, written: Written) -> None:
    assert "is empty (0 bytes)" in refusal(written(b""))


@pytest.mark.parametrize("content", ["Device ID,Owner\n", "Device ID\n\n , \n", "\ufeffDevice ID"])
def test_a_header_alone_holds_no_devices(refusal: Refusal, written: Written, content: str) -> None:
    assert "holds no devices" in refusal(written(content))


def test_blank_content_holds_no_devices(refusal: Refusal, written: Written) -> None:
    assert "it is blank" in refusal(written("\n \n\t\u00a0\n"))


def test_a_workbook_with_a_header_alone_holds_no_devices(refusal: Refusal, workbook: Callable[..., Path]) -> None:
    assert "holds no devices" in refusal(workbook([["Device ID", "Owner"]]))
    assert "it is blank" in refusal(workbook([]))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions bind neither root nor Windows")
def test_a_file_without_permission_is_refused(refusal: Refusal, written: Written) -> None:
    path = written("Device ID\n")
    path.chmod(0)
    assert "cannot be opened" in refusal(path)


@pytest.mark.fault(115, "One sentence with what to do.")
def test_a_file_that_another_program_holds_is_refused_with_what_to_do(written: Written) -> None:
    file = find_input(written("Device ID\n"))
    assert "close it in other programs" in str(unreadable(file, PermissionError(13, "Permission denied")))
    assert "cannot be read (Input/output error)" in str(unreadable(file, OSError(5, "Input/output error")))


def test_a_link_to_a_regular_file_is_read(
    taken: Callable[..., list[SourceRow]], written: Written, an_id: Callable[[int], str], tmp_path: Path
) -> None:
    target = written(f"Device ID\n{an_id(1)}\n")
    link = tmp_path / "link.csv"
    try:
        link.symlink_to(target)
    except OSError:
        pytest.skip("links are not allowed here")
    assert [row.device_id for row in taken(link)] == [an_id(1)]


def test_a_file_beyond_the_limit_is_refused_unread(refusal: Refusal, tmp_path: Path) -> None:
    path = tmp_path / "huge.csv"
    with path.open("wb") as opened:
        opened.truncate((1 << 30) + 1)
    assert "at most 1073741824 are read" in refusal(path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"%PDF-1.7 ...", "a PDF"),
        (b"\x89PNG\r\n\x1a\n....", "a PNG picture"),
        (b"MZ\x90\x00\x03...", "a program"),
        (b"\x7fELF\x02\x01", "a program"),
        (b"<html><table><tr><td>Device ID", "an HTML or XML page"),
        (b"\xef\xbb\xbf \r\n<!DOCTYPE html>", "an HTML or XML page"),
        (b'<?xml version="1.0"?><Workbook/>', "an HTML or XML page"),
        (b'[{"id": "x"}]', "JSON"),
        (b"{\\rtf1 x}", "an RTF document"),
        (b"\x1f\x8b\x08\x00", "a gzip archive"),
        (b"SQLite format 3\x00", "a SQLite database"),
    ],
)
@pytest.mark.parametrize("name", ["list.csv", "list.xlsx"])
def test_other_content_is_named_whatever_the_suffix(
    refusal: Refusal, written: Written, content: bytes, what: str, name: str
) -> None:
    assert f"{name} is {what} by its content" in refusal(written(content, name))


@pytest.mark.parametrize("name", ["list.xlsx", "list.xls", "list.ods"])
def test_text_that_is_called_a_workbook_is_refused(refusal: Refusal, written: Written, name: str) -> None:
    assert "is text, such as CSV, by its content, but its name says" in refusal(written("Device ID\nx\n", name))


@pytest.mark.parametrize("name", ["list.csv", "list.xls", "list.ods", "list.txt"])
def test_a_workbook_that_is_called_something_else_is_refused(
    refusal: Refusal, workbook: Callable[..., Path], an_id: Callable[[int], str], name: str
) -> None:
    path = workbook([["Device ID"], [an_id(1)]])
    assert "an XLSX workbook by its content" in refusal(path.rename(path.with_name(name)))


@pytest.mark.parametrize("name", ["list", "list.dat", "LIST.CSV", "list.export"])
def test_without_a_telling_suffix_the_content_decides(
    taken: Callable[..., list[SourceRow]], written: Written, an_id: Callable[[int], str], name: str
) -> None:
    assert len(taken(written(f"Device ID\n{an_id(1)}\n", name))) == 1


@pytest.mark.parametrize(
    ("part", "what"),
    [
        ("Index/Document.iwa", "an Apple Numbers document"),
        ("word/document.xml", "a Word document"),
        ("ppt/presentation.xml", "a PowerPoint document"),
        ("notes.txt", "a ZIP archive"),
    ],
)
def test_an_archive_that_is_no_workbook_is_named(
    refusal: Refusal, archive: Callable[..., Path], part: str, what: str
) -> None:
    assert f"is {what}, not a spreadsheet" in refusal(archive({part: "x"}, name="list.csv"))


@pytest.mark.parametrize("name", ["a\nb.csv", "\x1b[2J.csv", "\u202egpj.csv", "=cmd.csv", "😀.csv", "..%2f.csv"])
def test_a_strange_file_name_is_read_and_shown_escaped(
    written: Written, an_id: Callable[[int], str], refusal: Refusal, name: str
) -> None:
    try:
        path = written(f"Device ID\n{an_id(1)}\n", name)
    except OSError:
        pytest.skip("the file system does not take this name")
    assert len(list(open_table(path).rows)) == 1
    path.write_bytes(b"%PDF-")
    assert "a PDF" in refusal(path)


def test_the_source_tells_size_hash_and_kind(
    opened: Callable[..., Table], written: Written, an_id: Callable[[int], str]
) -> None:
    import hashlib

    path = written(f"Device ID;Owner\n{an_id(1)};x\n")
    source = opened(path).source
    assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert source.size == path.stat().st_size
    assert (source.name, source.kind) == ("list.csv", "CSV (UTF-8, semicolon)")


@pytest.mark.fault(112, "Refused.")
def test_a_text_file_that_changes_while_its_rows_are_taken_is_refused(
    written: Written, an_id: Callable[[int], str]
) -> None:
    lines = "".join(f"{an_id(number)},x\n" for number in range(30_000))
    path = written("Device ID,Owner\n" + lines)
    rows = iter(open_table(path).rows)
    next(rows)
    path.write_text(path.read_text(encoding="utf-8").replace(",x\n", ",y\n"), encoding="utf-8", newline="")
    with pytest.raises(InputError, match="was changed while it was being read"):
        list(rows)


def test_a_file_that_was_replaced_is_known_by_its_size_or_time(written: Written) -> None:
    path = written("Device ID\n")
    file = find_input(path)
    os.utime(path, ns=(file.mtime_ns, file.mtime_ns + 1_000_000_000))
    with pytest.raises(InputError, match="was changed while it was being read"):
        file.refuse_changed()


def test_a_sheet_cannot_be_chosen_in_a_text_file(refusal: Refusal, written: Written) -> None:
    assert "omit --sheet" in refusal(written("Device ID\nx\n"), sheet="Devices")


def test_an_encrypted_archive_is_refused(refusal: Refusal, archive: Callable[..., Path]) -> None:
    path = archive({"xl/workbook.xml": "<x/>"})
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.find(mark) + offset] |= 1
    path.write_bytes(content)
    assert "is encrypted" in refusal(path)
    assert zipfile.is_zipfile(path)
