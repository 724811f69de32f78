"""Makes the sample spreadsheets beside this file: `python samples/make_samples.py [FOLDER]`.

Every device is invented: IDs are hashes of names, names end in the reserved domain `example`. The same
files come out every time, apart from the dates that workbook formats keep for themselves.
"""

import csv
import datetime as dt
import hashlib
import sys
from pathlib import Path

import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P
from openpyxl import Workbook
from openpyxl.styles import Font

FOLDER = Path(__file__).parent
OWNERS = ("A. Berger", "C. Dubois", "E. Fischer", "G. Haddad", "I. Jensen")
SITES = ("Berlin", "Lyon", "Osaka", "Porto")
EXAMPLE_ID = "1e5bc9d7e413ddd7902c2932e418702b84d0cc07"


def device_id(name: str) -> str:
    """An invented device ID; never one that a spreadsheet program would take for a number."""
    digits = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
    return digits if not digits.replace("e", "").isdigit() else device_id(name + "+")


def guid(name: str) -> str:
    """An invented Entra device ID."""
    digits = hashlib.sha256(name.encode()).hexdigest()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))


def devices(count: int, prefix: str = "lt") -> list[list[str]]:
    """Rows of ID, name, owner, site and ticket."""
    rows = []
    for number in range(1, count + 1):
        name = f"{prefix}-{number:04}.contoso.example"
        rows.append([device_id(name), name, OWNERS[number % 5], SITES[number % 4], f"CHG{4200 + number}"])
    return rows


HEADER = ["Device ID", "Device name", "Owner", "Site", "Ticket"]


def write_text(path: Path, rows: list[list[str]], encoding: str, delimiter: str = ",") -> None:
    with path.open("w", encoding=encoding, newline="") as opened:
        csv.writer(opened, delimiter=delimiter).writerows(rows)


def make_devices_csv(path: Path) -> None:
    write_text(path, [HEADER, *devices(40)], "utf-8")


def make_devices_xlsx(path: Path) -> None:
    book = Workbook()
    sheet = book.create_sheet("Devices", 0)
    for row in [HEADER, *devices(40)]:
        sheet.append(row)
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    sheet.freeze_panes = "A2"
    notes = book.worksheets[1]
    notes.title = "Read me"
    notes.append(["Laptops that leave with the November refresh; ask A. Berger."])
    save(book, path)


def make_portal_export(path: Path) -> None:
    header = [
        "Device ID", "Device name", "Domain", "First seen", "Last device update", "OS platform", "OS distribution",
        "OS version", "OS build", "Tags", "Group", "Is AAD joined", "Device AAD ID", "Device IPs", "Risk level",
        "Exposure level", "Health state", "Onboarding status", "Managed by", "Antivirus status",
    ]  # fmt: skip
    rows = [header]
    for number, (identity, name, *_) in enumerate(devices(30, "pc")):
        rows.append(
            [
                identity, name, "contoso.example", "2025-02-11T07:40:12.118Z", "2026-11-20T21:03:55.770Z", "Windows11",
                "Windows11", "24H2", "26100", "leavers-2026-11" if number % 2 else "", "Workstations", "True",
                guid(name), f"10.20.4.{number + 10}, fe80::{number + 10:x}", "None", "Low", "Inactive", "Onboarded",
                "Intune", "Updated",
            ]
        )  # fmt: skip
    write_text(path, rows, "utf-8-sig")


def make_japanese(path: Path) -> None:
    rows = [["デバイス ID", "デバイス名", "所有者", "拠点"]]
    owners = ("山田 太郎", "佐藤 花子", "ﾀﾅｶ ｲﾁﾛｳ")
    rows += [[row[0], row[1], owners[at % 3], "大阪支社"] for at, row in enumerate(devices(20, "osa"))]
    write_text(path, rows, "cp932")


def make_german(path: Path) -> None:
    rows = [["Gerätename", "Geräte-ID", "Besitzer", "Bemerkung"]]
    rows += [[row[1], row[0], "Jürgen Groß", "Rückgabe; geprüft"] for row in devices(20, "muc")]
    write_text(path, rows, "cp1252", ";")


def make_utf16(path: Path) -> None:
    write_text(path, [HEADER, *devices(15, "lis")], "utf-16", "\t")


def make_ids(path: Path) -> None:
    path.write_text("".join(f"{row[0]}\n" for row in devices(25)), encoding="utf-8", newline="")


def make_messy(path: Path) -> None:
    """One row of every kind that a reader must refuse, among some that it must take."""
    good = [row[0] for row in devices(12, "mess")]
    first = good[0]
    book = Workbook()
    sheet = book.create_sheet("Leavers", 0)
    sheet.append(["Device ID", "Device name", "What it is"])
    cells: list[tuple[object, str]] = [
        (good[0], "a good ID"),
        (good[1].upper(), "upper case"),
        (f"\u00a0{good[2]} \ufeff", "invisible characters around it"),
        (first, "the same device again"),
        (first[:39], "39 digits"),
        (first + "0", "41 digits"),
        (guid("mess"), "an Entra ID"),
        ("{" + guid("mess").upper() + "}", "an Entra ID in braces"),
        (1.234567890123457e39, "a number"),
        ("1.23457E+39", "a number as text"),
        ("1234567890123456998112189569901256507392", "a number printed in full"),
        ('="' + good[3] + '"', "a formula"),
        ("#N/A", "an error"),
        (True, "true or false"),
        (dt.date(2026, 11, 20), "a date"),
        (None, "only a name"),
        ("a" * 40, "a placeholder"),
        (EXAMPLE_ID, "the documentation's example"),
        (f"{good[4]}, {good[5]}", "two IDs"),
        (f"https://security.microsoft.com/machines/{good[6]}?tid=0", "a web address"),
        (f"'{good[7]}", "an apostrophe"),
        (f'"{good[8]}"', "quotation marks"),
        (f"{first[:20]}\u200b{first[20:]}", "a zero-width space inside"),
        ("O" + first[1:], "the letter O"),
        ("\u0430" + first[1:], "a Cyrillic letter"),
        ("n/a", "no value"),
        ("lt-0815.contoso.example", "a computer name"),
        (good[9], "the upper one of two merged cells"),
        (None, "the lower one of two merged cells"),
        (good[10], "after a blank row"),
        (good[11], "the last one"),
    ]
    for number, (value, what) in enumerate(cells, 1):
        if what == "after a blank row":
            sheet.append([])
        sheet.append([value, f"mess-{number:04}.contoso.example", what])
    merged = [number for number, (_, what) in enumerate(cells, 2) if "merged" in what]
    sheet.merge_cells(start_row=merged[0], end_row=merged[1], start_column=1, end_column=1)
    book.remove(book.worksheets[1])
    save(book, path)


def make_ods(path: Path) -> None:
    document = OpenDocumentSpreadsheet()
    table = Table(name="Devices")
    for cells in [HEADER, *devices(12, "ods")]:
        row = TableRow()
        for text in cells:
            cell = TableCell(valuetype="string")
            cell.addElement(P(text=text))
            row.addElement(cell)
        table.addElement(row)
    document.spreadsheet.addElement(table)
    document.save(str(path))


def make_xls(path: Path) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Devices")
    for row, cells in enumerate([HEADER, *devices(12, "xls")]):
        for column, text in enumerate(cells):
            sheet.write(row, column, text)
    book.save(str(path))


def save(book: Workbook, path: Path) -> None:
    """Save with fixed dates, so that a new run changes as little as possible."""
    book.properties.creator = "batch-offboard samples"
    book.properties.created = book.properties.modified = dt.datetime(2026, 11, 20)  # noqa: DTZ001 - as stored
    book.save(path)


SAMPLES = {
    "devices.csv": make_devices_csv,
    "devices.xlsx": make_devices_xlsx,
    "devices.ods": make_ods,
    "devices.xls": make_xls,
    "portal-export.csv": make_portal_export,
    "japanese-shift-jis.csv": make_japanese,
    "german-semicolon-cp1252.csv": make_german,
    "utf16-tab.txt": make_utf16,
    "ids.txt": make_ids,
    "messy.xlsx": make_messy,
}


def make_all(folder: Path) -> None:
    """Write every sample into the folder."""
    for name, make in SAMPLES.items():
        make(folder / name)


if __name__ == "__main__":
    make_all(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
