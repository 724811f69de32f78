"""The CSV report, opened again."""

import csv
from collections.abc import Callable, Iterable
from pathlib import Path

from batch_offboard.base.text import is_like_formula, visible
from batch_offboard.reports.files import write_report
from batch_offboard.reports.rows import REPORT_COLUMNS, ReportHead, ReportRow

RowsWith = Callable[[Iterable[str]], list[ReportRow]]


def read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file, strict=True))


def test_the_whole_file_byte_by_byte(tmp_path: Path, head: ReportHead, rows: list[ReportRow]) -> None:
    written = write_report(tmp_path / "r.csv", head, rows).read_bytes()

    assert written == (
        b"\xef\xbb\xbf"
        b"row,device_id,device_name,outcome,machine_action_id,action_status,error_code,error_message,"
        b"http_status,attempts,submitted_at,finished_at,advice,Owner,Owner,'=note\r\n"
        b"2,a3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0,lt-0417,submitted,0b0f6f0e-52a1-4f0c-9a63-3a5d6a1c7e90,"
        b"Pending,,,201,1,2026-11-24T08:15:31Z,2026-11-24T08:15:32Z,"
        b"Accepted: the device offboards when it next connects; `batch-offboard track 20261124-081531-7f3a` shows it."
        b",Ann,IT,\r\n"
        b"3,'=lt-99,'@name,skipped,,,invalid_id,No ID.,,0,,,"
        b"\"Correct the ID: copy it from the device's page in the portal, as text.\",Zo\xc3\xab,'=1+1,\\x1b[2J\r\n"
    )


def test_every_row_of_a_rehearsal_says_so(tmp_path: Path, rehearsal: ReportHead, rows: list[ReportRow]) -> None:
    table = read(write_report(tmp_path / "r.csv", rehearsal, rows))

    assert tuple(table[0][:13]) == REPORT_COLUMNS
    assert [line[12][:11] for line in table[1:]] == ["SIMULATED: ", "SIMULATED: "]


def test_no_cell_begins_a_formula(tmp_path: Path, head: ReportHead, nasty: list[str], rows_with: RowsWith) -> None:
    table = read(write_report(tmp_path / "r.csv", head, rows_with(nasty)))

    assert len(table) == 1 + len(nasty)
    assert [cell for line in table for cell in line if is_like_formula(cell) and not cell.startswith("'")] == []


def test_every_text_comes_back(tmp_path: Path, head: ReportHead, nasty: list[str], rows_with: RowsWith) -> None:
    table = read(write_report(tmp_path / "r.csv", head, rows_with(nasty)))

    for text, line in zip(nasty, table[1:], strict=True):
        guard = "'" if is_like_formula(visible(text)) and not text.startswith("'") else ""
        assert line[1] == line[2] == line[7] == line[-1] == guard + visible(text)


def test_the_file_has_no_control_character_but_tab_and_line_ends(
    tmp_path: Path, head: ReportHead, nasty: list[str], rows_with: RowsWith
) -> None:
    written = write_report(tmp_path / "r.csv", head, rows_with(nasty)).read_bytes()

    assert set(written) & set(range(32)) <= set(b"\t\r\n")


def test_a_batch_without_rows_has_a_header(tmp_path: Path, head: ReportHead) -> None:
    assert len(read(write_report(tmp_path / "r.csv", head, []))) == 1
