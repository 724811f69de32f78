"""Builds the parts of an XLSB record by record, since no library writes them."""

import struct
from collections.abc import Sequence

RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def binary_workbook(
    rows: Sequence[tuple[str, bool, bool]],
    far: tuple[int, int] | None = None,
    *,
    heights: Sequence[int] | None = None,
    levels: Sequence[int] | None = None,
    before: bytes = b"",
    after: bytes = b"",
) -> dict[str, str | bytes]:
    """One sheet with one column, from (text, hidden, formula) for each row; `far` is one more cell's row and column.

    `heights` of the rows are in twips, `levels` their outline levels, plus 8 for the mark of a collapsed group;
    `before` and `after` are the records around the rows.
    """
    sheet = [record(129, b""), record(148, struct.pack("<4I", 0, len(rows) - 1, 0, 0)), before, record(145, b"")]
    for number, (value, hidden, formula) in enumerate(rows):
        height, level = heights[number] if heights else 300, levels[number] if levels else 0
        sheet += [_row(number, height, level | (0x10 if hidden else 0)), _cell(0, value, formula=formula)]
    if far is not None:
        sheet += [_row(far[0], 300, 0), _cell(far[1], "x", formula=False)]
    sheet += [record(146, b""), after, record(130, b"")]
    bound = record(156, struct.pack("<II", 0, 1) + _text("rId1") + _text("Devices"))
    book = record(131, b"") + record(143, b"") + bound + record(144, b"") + record(132, b"")
    kind = f'Type="{OFFICE}/worksheet" Target="worksheets/sheet1.bin"'
    return {
        "[Content_Types].xml": "<Types/>",
        "xl/workbook.bin": book,
        "xl/_rels/workbook.bin.rels": (
            f'<Relationships xmlns="{RELATIONS}"><Relationship Id="rId1" {kind}/></Relationships>'
        ),
        "xl/worksheets/sheet1.bin": b"".join(sheet),
    }


def record(kind: int, data: bytes) -> bytes:
    """A record of this type."""
    head = bytes([kind]) if kind < 128 else bytes([kind & 0x7F | 0x80, kind >> 7])
    return head + bytes([len(data) & 0x7F | 0x80, len(data) >> 7]) + data


def _text(value: str) -> bytes:
    return struct.pack("<I", len(value)) + value.encode("utf-16-le")


def _row(number: int, height: int, look: int) -> bytes:
    return record(0, struct.pack("<IIHBBBI", number, 0, height, 0, look, 0, 0))


def _cell(column: int, value: str, *, formula: bool) -> bytes:
    end = struct.pack("<HII", 0, 0, 0) if formula else b""
    return record(8 if formula else 6, struct.pack("<II", column, 0) + _text(value) + end)
