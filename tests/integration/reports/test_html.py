"""The page as a file: whole, streamed, and with all that it needs inside the package."""

import json
import re
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from batch_offboard.reports.files import write_report
from batch_offboard.reports.page import page as page_module
from batch_offboard.reports.page import write_page
from batch_offboard.reports.rows import Outcome, ReportHead, ReportRow

ROOT = Path(__file__).resolve().parents[3]
BLOCK = re.compile(r'<script type="application/json" class="rows">(.*?)</script>')


def many(row: ReportRow, count: int) -> Iterable[ReportRow]:
    outcomes = list(Outcome)
    return (replace(row, row=number, outcome=outcomes[number % 6]) for number in range(2, count + 2))


def test_fifty_thousand_rows_are_all_there_and_in_order(
    tmp_path: Path, head: ReportHead, rows: list[ReportRow]
) -> None:
    path = write_report(tmp_path / "r.html", head, many(rows[0], 50_000))
    numbers = [row[0] for block in BLOCK.findall(path.read_text(encoding="utf-8")) for row in json.loads(block)]

    assert numbers == list(range(2, 50_002))
    assert path.stat().st_size < 20_000_000


def test_every_nasty_text_comes_back(
    tmp_path: Path, head: ReportHead, nasty: list[str], rows_with: Callable[[Iterable[str]], list[ReportRow]]
) -> None:
    text = write_report(tmp_path / "r.html", head, rows_with(nasty)).read_bytes().decode("utf-8")

    assert [row[0] for row in json.loads(BLOCK.findall(text)[0])] == list(range(2, 2 + len(nasty)))
    assert text.count("<script") == 3
    assert set(re.findall("[\x00-\x1f]", text)) == {"\n", "\t"}


def test_the_memory_it_takes_does_not_grow_with_the_rows(
    head: ReportHead, rows: list[ReportRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "ROWS_IN_MEMORY", page_module.ROWS_IN_MEMORY // 8)

    def peak(count: int) -> int:
        tracemalloc.start()
        with tempfile.TemporaryFile() as file:
            write_page(file, head, many(rows[0], count))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(10)  # what is imported and kept once
    spooled = page_module.ROWS_IN_MEMORY // 300  # rows; more than these go through the disk

    assert peak(2 * spooled) < 1.5 * peak(spooled)


def test_the_wheel_holds_the_pages_own_files(tmp_path: Path) -> None:
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(path) as wheel:
        held = {name: wheel.read(name) for name in wheel.namelist()}
    folder = ROOT / "batch_offboard" / "reports" / "page" / "templates"

    assert {path.name for path in folder.iterdir()} == {"page.css", "page.html", "page.js"}
    for own in folder.iterdir():
        assert held[f"batch_offboard/reports/page/templates/{own.name}"] == own.read_bytes()
