"""Reading large sheets: time and peak memory beside the library that reads them, alone.

Each reading is a process of its own. The library's peer does what anybody has to do with it: get every cell as it
stands. Ours finds out what the file is, which columns are meant and whether the rows can be trusted, and judges each.
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
    rows, targets = [], []
    with TemporaryDirectory() as name:
        for suffix, count in QUICK_SHEETS if quick else SHEETS:
            path = Path(name) / f"{count}.{suffix}"
            write_sheet(path, count)
            alone, ours = _measure("library", path), _measure("ours", path)
            rows.append(_row(suffix, count, alone, ours))
            ratio = ours.seconds / alone.seconds
            what = f"reading {suffix.upper()} of {count:,} rows, beside the library alone"
            targets.append(Target(what, ratio_text(ratio), ratio_text(LIMIT), ratio <= LIMIT))
    head = ["sheet", "library alone", "batch-offboard", "ratio", "memory of the library", "memory", "ratio"]
    note = "Processor time, the start of Python included; the better of two runs each."
    table = Table("Reading every row of a sheet", head, rows, note)
    return Findings("Reading", _EXPLANATION, [table], [] if quick else targets)


_EXPLANATION = """CSV is read by pandas (`read_csv`, every cell as text), XLSX by calamine. Ours is the same libraries
and all that the reader does with what they give: encoding and delimiter, hidden rows, the header, the columns, and
for each ID whether it is one."""


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


def read_with_library(path: Path) -> int:
    if path.suffix == ".csv":
        import pandas as pd

        return len(pd.read_csv(path, dtype=str, keep_default_na=False))
    from python_calamine import load_workbook

    return sum(1 for _ in load_workbook(path).get_sheet_by_index(0).iter_rows()) - 1


def read_with_ours(path: Path) -> int:
    from batch_offboard.planning import Reading, read_sheet

    return sum(1 for _ in read_sheet(path, Reading()).rows)


def main(arguments: Sequence[str]) -> None:
    read = read_with_library if arguments[0] == "library" else read_with_ours
    print(read(Path(arguments[1])))


if __name__ == "__main__":
    main(sys.argv[1:])
