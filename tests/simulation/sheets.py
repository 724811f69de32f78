"""Small real spreadsheets, with the blemishes of real ones, and what must come back of them."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from random import Random
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from openpyxl import Workbook

HEADER = ("Device ID", "Computer", "Owner")


@dataclass(frozen=True, slots=True)
class Sheet:
    """`lines` are row number and owner of each row that is not blank; `wanted` the devices that it names."""

    path: Path
    lines: tuple[tuple[int, str], ...]
    wanted: frozenset[str]


def sha256_of(sheet: Path) -> str:
    return hashlib.sha256(sheet.read_bytes()).hexdigest()


def write_sheet(path: Path, devices: Sequence[str], draw: Random) -> Sheet:
    """A sheet of these devices, in this order; some IDs are typed differently, some rows are no devices at all."""
    rows: list[tuple[str, str, str]] = []
    for number, device in enumerate(devices):
        rows.append((_typed(device, draw), f"pc-{device[:8]}", f"owner {number}"))
        if draw.random() < 0.06:
            rows.append(_blemish(device, draw))
    lines = tuple((place, row[2]) for place, row in enumerate(rows, 2) if any(row))
    _write(path, rows)
    return Sheet(path, lines, frozenset(devices))


def _typed(device: str, draw: Random) -> str:
    return draw.choice((device, device, device, device.upper(), f" {device}"))


def _blemish(device: str, draw: Random) -> tuple[str, str, str]:
    return draw.choice(
        (
            (device, "", "again"),
            (device[:39], "", "too short"),
            ("1e5bc9d7-e413-4b3c-8e5a-1e5bc9d7e413", "", "an Entra ID"),
            ("", "", "nothing"),
            ("", "", ""),
        )
    )


def _write(path: Path, rows: Sequence[tuple[str, str, str]]) -> None:
    if path.suffix == ".csv":
        path.write_text("\n".join(",".join(row) for row in (HEADER, *rows)) + "\n", encoding="utf-8")
        return
    book = Workbook(write_only=True)
    table = book.create_sheet("Devices")
    for row in (HEADER, *rows):
        table.append([cell or None for cell in row])
    held = BytesIO()
    book.save(held)
    path.write_bytes(_timeless(held))


def _timeless(book: BytesIO) -> bytes:
    """The same workbook without the moment at which it was made: equal sheets have equal hashes."""
    held = BytesIO()
    with ZipFile(book) as before, ZipFile(held, "w", ZIP_DEFLATED) as after:
        for name in before.namelist():
            content = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", b"2026-01-01T00:00:00Z", before.read(name))
            after.writestr(ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content)
    return held.getvalue()
