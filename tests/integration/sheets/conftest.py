"""Real files of every kind, made small and by hand where a library would not make them wrong enough."""

import hashlib
import io
import socket
import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from batch_offboard.base.errors import InputError
from batch_offboard.core.rows import SourceRow, Table
from batch_offboard.sheets import open_table
from tests.binary_workbook import binary_workbook

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No reader may open a socket, whatever a file links to."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a reader opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)


@pytest.fixture
def an_id() -> Callable[[int], str]:
    """Invented device IDs; the leading letter keeps them from looking like numbers."""
    return lambda number: "a" + hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()[1:]


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Write a file: text as UTF-8 with its line ends as they are, or bytes."""

    def write(content: str | bytes, name: str = "list.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def taken() -> Callable[..., list[SourceRow]]:
    """All rows of a file."""
    return lambda path, **options: list(open_table(path, **options).rows)


@pytest.fixture
def opened() -> Callable[..., Table]:
    """The table of a file."""
    return open_table


@pytest.fixture
def refusal() -> Callable[..., str]:
    """The sentence with which a file is refused, on opening or on the way through its rows."""

    def sentence(path: Path, **options: Any) -> str:
        with pytest.raises(InputError) as caught:
            list(open_table(path, **options).rows)
        assert str(caught.value).isprintable()
        return str(caught.value)

    return sentence


@pytest.fixture
def workbook(tmp_path: Path) -> Callable[..., Path]:
    """An XLSX from rows of values; `change` may do to the sheet what Excel would."""

    def make(
        rows: Iterable[Sequence[object]],
        change: Callable[[Worksheet], object] | None = None,
        name: str = "list.xlsx",
        more: Mapping[str, Iterable[Sequence[object]]] | None = None,
    ) -> Path:
        book = Workbook()
        sheet = book.worksheets[0]
        sheet.title = "Devices"
        for row in rows:
            sheet.append(list(row))
        for title, others in (more or {}).items():
            other = book.create_sheet(title)
            for row in others:
                other.append(list(row))
        if change is not None:
            change(sheet)
        book.save(tmp_path / name)
        return tmp_path / name

    return make


@pytest.fixture
def archive(tmp_path: Path) -> Callable[..., Path]:
    """A ZIP archive from parts."""

    def make(parts: Mapping[str, str | bytes], name: str = "list.xlsx") -> Path:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
            for part, content in parts.items():
                opened.writestr(part, content)
        (tmp_path / name).write_bytes(buffer.getvalue())
        return tmp_path / name

    return make


@pytest.fixture
def xlsx_parts() -> Callable[..., dict[str, str | bytes]]:
    """The parts of a minimal XLSX around the given rows of XML."""

    def make(rows: str, **more: str) -> dict[str, str | bytes]:
        return {
            "[Content_Types].xml": (
                '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
                '<Default Extension="xml" ContentType="application/xml"/></Types>'
            ),
            "_rels/.rels": (
                f'<Relationships xmlns="{RELATIONS}"><Relationship Id="rId1" Type="{OFFICE}/officeDocument" '
                'Target="xl/workbook.xml"/></Relationships>'
            ),
            "xl/workbook.xml": (
                f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}">{more.get("declared", "")}'
                '<sheets><sheet name="Devices" sheetId="1" r:id="rId1"/></sheets></workbook>'
            ),
            "xl/_rels/workbook.xml.rels": (
                f'<Relationships xmlns="{RELATIONS}"><Relationship Id="rId1" Type="{OFFICE}/worksheet" '
                f'Target="worksheets/sheet1.xml"/>{more.get("relations", "")}</Relationships>'
            ),
            "xl/worksheets/sheet1.xml": (
                f'{more.get("before", "")}<worksheet xmlns="{MAIN}">{more.get("dimension", "")}'
                f"<sheetData>{rows}</sheetData></worksheet>"
            ),
        }

    return make


@pytest.fixture
def text_cell() -> Callable[[str, str], str]:
    """The XML of a text cell at a place."""
    return lambda place, text: f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


@pytest.fixture
def ods(archive: Callable[..., Path]) -> Callable[[str], Path]:
    """An ODS with one table of the given rows of XML."""
    names = {"office": "office", "table": "table", "text": "text"}
    spaces = " ".join(
        f'xmlns:{key}="urn:oasis:names:tc:opendocument:xmlns:{value}:1.0"' for key, value in names.items()
    )

    def make(rows: str) -> Path:
        content = (
            f"<office:document-content {spaces}><office:body><office:spreadsheet>"
            f'<table:table table:name="Devices">{rows}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>"
        )
        manifest = '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
        mimetype = "application/vnd.oasis.opendocument.spreadsheet"
        parts = {"mimetype": mimetype, "META-INF/manifest.xml": manifest, "content.xml": content}
        return archive(parts, name="list.ods")

    return make


@pytest.fixture
def xlsb(archive: Callable[..., Path]) -> Callable[..., Path]:
    """An XLSB of one column, from (text, hidden, formula) for each row, made record by record."""

    def make(rows: Sequence[tuple[str, bool, bool]], far: tuple[int, int] | None = None) -> Path:
        return archive(binary_workbook(rows, far), name="list.xlsb")

    return make


@pytest.fixture
def compound() -> Callable[..., bytes]:
    """An OLE compound file with one stream that holds something, and up to two without content: a table sector, one of
    directory, then the stream's sectors."""

    def entry(name: str, kind: int, first: int, size: int) -> bytes:
        encoded = name.encode("utf-16-le") + b"\0\0"
        ids = struct.pack("<3I", 0xFFFFFFFF, 0xFFFFFFFF, 1 if kind == 5 else 0xFFFFFFFF)
        head = encoded.ljust(64, b"\0") + struct.pack("<HBB", len(encoded), kind, 1) + ids
        return head + b"\0" * 36 + struct.pack("<III", first, size, 0)

    def make(name: str, content: bytes, *others: str) -> bytes:
        count = -(-len(content) // 512)
        chain = [*range(3, 2 + count), 0xFFFFFFFE]
        table = [0xFFFFFFFD, 0xFFFFFFFE, *chain]
        table += [0xFFFFFFFF] * (128 - len(table))
        header = bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 16 + struct.pack("<5H", 0x3E, 3, 0xFFFE, 9, 6) + b"\0" * 6
        header += struct.pack("<9I", 0, 1, 1, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
        header += struct.pack("<109I", 0, *[0xFFFFFFFF] * 108)
        directory = entry("Root Entry", 5, 0xFFFFFFFE, 0) + entry(name, 2, 2, len(content))
        directory += b"".join(entry(other, 2, 0xFFFFFFFE, 0) for other in others)
        sectors = header + struct.pack("<128I", *table) + directory.ljust(512, b"\0")
        return sectors + content.ljust(count * 512, b"\0")

    return make
