"""Encrypted files are refused with what encrypts them, as far as it can be known, and a remedy that works."""

import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import xlwt

Compound = Callable[..., bytes]
Written = Callable[..., Path]
Refusal = Callable[..., str]
LABEL = "is encrypted by a sensitivity label or rights management; choose a label that does not encrypt"
PASSWORD = "is encrypted with a password or by the protection of the workbook; save a copy without protection"


@pytest.mark.parametrize(
    ("streams", "said"),
    [
        (("EncryptedPackage", "DRMEncryptedDataSpace"), LABEL),
        (("EncryptedPackage", "DRMEncryptedDataSpace", "LabelInfo"), LABEL),
        (("Workbook", "\tDRMContent"), LABEL),  # the sheet beside it only says that the workbook is protected
        (("EncryptedPackage", "EncryptionInfo"), PASSWORD),
        (("EncryptedPackage", "EncryptionInfo", "StrongEncryptionDataSpace"), PASSWORD),
        (("EncryptedPackage",), "is encrypted, by a password, a sensitivity label or the protection of the workbook"),
    ],
)
@pytest.mark.parametrize("name", ["list.xlsx", "list.xls"])
def test_the_sentence_says_what_encrypts_the_file(
    refusal: Refusal, written: Written, compound: Compound, streams: tuple[str, ...], said: str, name: str
) -> None:
    first, *others = streams
    path = written(compound(first, b"x" * 5000, *others), name)
    assert f"{name} {said}" in refusal(path)


def test_an_xls_workbook_with_a_password_is_refused(refusal: Refusal, written: Written, compound: Compound) -> None:
    book = xlwt.Workbook()
    book.add_sheet("Devices").write(0, 0, "Device ID")
    stream = book.get_biff_data()
    head = 4 + int.from_bytes(stream[2:4], "little")
    stream = stream[:head] + struct.pack("<HHH", 0x002F, 2, 0) + stream[head:]
    assert PASSWORD in refusal(written(compound("Workbook", stream.ljust(5000, b"\0")), "list.xls"))


@pytest.mark.parametrize("content", [{"content.xml": b"\x8f\x01 not XML"}, {"encrypted-package": b"\x8f\x01"}])
def test_an_open_document_with_a_password_is_refused(
    refusal: Refusal, archive: Callable[..., Path], content: Mapping[str, bytes]
) -> None:
    (part,) = content
    space = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
    entry = f'<m:file-entry m:full-path="{part}"><m:encryption-data/></m:file-entry>'
    parts = {
        "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
        **content,
        "META-INF/manifest.xml": f'<m:manifest xmlns:m="{space}">{entry}</m:manifest>',
    }
    assert f"list.ods {PASSWORD}" in refusal(archive(parts, name="list.ods"))


def test_a_zip_archive_with_a_password_is_refused(refusal: Refusal, archive: Callable[..., Path]) -> None:
    path = archive({"xl/workbook.xml": "x"})
    content = bytearray(path.read_bytes())
    content[content.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    assert PASSWORD in refusal(path)
