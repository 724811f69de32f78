"""Reading large sheets: time and peak memory beside the library that reads them, alone.

Each reading is a process of its own, in which every row is handed out once.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from openpyxl import Workbook

from benchmarks.figures import Findings, Table, Target, megabytes_text, ratio_text
from benchmarks.processes import Cost, device, measured, smallest, write_csv

SHEETS = (("csv", 1_000_000), ("xlsx", 100_000), ("xlsx", 1_000_000))
QUICK_SHEETS = (("csv", 2_000), ("xlsx", 2_000))
TRIES = 2
LIMIT = 1.5


def run(quick: bool) -> Findings:
    rows, bare, targets = [], [], []
    with TemporaryDirectory() as name:
        for suffix, count in QUICK_SHEETS if quick else SHEETS:
            path = Path(name) / f"{count}.{suffix}"
            write_sheet(path, count)
            alone, ours = _measure("pandas", path), _measure("ours", path)
            rows.append(_row(suffix, count, alone, ours))
            if suffix == "xlsx":
                bare.append(_row(suffix, count, _measure("calamine", path), ours))
            ratio = ours.seconds / alone.seconds
            what = f"reading {suffix.upper()} of {count:,} rows, beside pandas alone"
            targets.append(Target(what, ratio_text(ratio), ratio_text(LIMIT), ratio <= LIMIT))
    head = ["sheet", "{} alone", "batch-offboard", "ratio", "memory of {}", "memory", "ratio"]
    note = "Processor time, the start of Python included; the better of two runs each."
    tables = [
        Table("Every row of a sheet", [each.format("pandas") for each in head], rows, note),
        Table("Beside bare cells", [each.format("calamine") for each in head], bare, _BARE),
    ]
    return Findings("Reading", _EXPLANATION, tables, [] if quick else targets)


_BARE = """calamine's own cells, of which nothing is asked: neither which rows are hidden, nor of what type an ID
is, nor whether it is one. It is what pandas and we both stand on."""


_EXPLANATION = """The peer is pandas, which reads CSV with its own parser and XLSX through calamine, every cell as
text, and hands the rows out. Ours stands on the same two and finds out more: encoding and delimiter, hidden rows,
the header, the columns, the type of each ID's cell, and keeps no more than a few thousand rows of a CSV at a
time."""


def _row(suffix: str, count: int, alone: Cost, ours: Cost) -> list[str]:
    times = [f"{alone.seconds:.1f} s", f"{ours.seconds:.1f} s", ratio_text(ours.seconds / alone.seconds)]
    memory = [megabytes_text(alone.memory), megabytes_text(ours.memory), ratio_text(ours.memory / alone.memory)]
    return [f"{suffix.upper()}, {count:,} rows", *times, *memory]


def _measure(who: str, path: Path) -> Cost:
    return smallest([measured(["-m", "benchmarks.reading", who, path.name], path.parent) for _ in range(TRIES)])


def write_sheet(path: Path, rows: int) -> None:
    """The same rows as CSV or as XLSX."""
    if path.suffix == ".csv":
        write_csv(path, rows)
        return
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Devices")
    sheet.append(["Device ID", "Computer", "Owner", "Ticket"])
    for number in range(rows):
        sheet.append([device(number), f"pc-{number:07}", f"owner {number % 997}", f"CHG{number % 100_000:05}"])
    book.save(path)


# -- the processes that are measured --


def read_with_pandas(path: Path) -> int:
    import pandas as pd

    if path.suffix == ".csv":
        return sum(1 for _ in pd.read_csv(path, dtype=str, keep_default_na=False).itertuples(index=False, name=None))
    frame = pd.read_excel(path, dtype=str, keep_default_na=False, engine="calamine")
    return sum(1 for _ in frame.itertuples(index=False, name=None))


def read_with_calamine(path: Path) -> int:
    from python_calamine import load_workbook

    return sum(1 for _ in load_workbook(path).get_sheet_by_index(0).iter_rows()) - 1


def read_with_ours(path: Path) -> int:
    from batch_offboard.commands.plans import Reading, read_sheet

    return sum(1 for _ in read_sheet(path, Reading()).rows)


def main(arguments: Sequence[str]) -> None:
    readers = {"pandas": read_with_pandas, "calamine": read_with_calamine, "ours": read_with_ours}
    print(readers[arguments[0]](Path(arguments[1])))


if __name__ == "__main__":
    main(sys.argv[1:])
