"""Rows and heads to write."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from batch_offboard.core.facts import Caution, DeviceFacts
from batch_offboard.reports.rows import Outcome, ReportHead, ReportRow
from tests.examples import REPORT_HEAD, SUBMITTED_ROW

# Everything that has ever become a formula, a command or a broken file somewhere.
NASTY = [
    "=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "\r=1", "\n=1", "\0=1", ' "=1"', "＝1+1", "'=1",
    '=HYPERLINK("http://x.example","y")', "#REF!", "#N/A", "{=1}", "_x001B_[2J", "\x1b[2J", "\ud800", "\uffff",
    "a\r\nb", "quote\"comma,semi;", "<script>&amp;]]>", "Zoë 東京 👩‍💻", "  blanks  ", "00123",
    "1E5", "TRUE", "2026-11-24",
]  # fmt: skip

HEAD = replace(
    REPORT_HEAD,
    columns=("Owner", "Owner", "=note"),
    comment="=CHG0042",
    overrides=("--no-lookup: the tenant was not asked",),
    started_at=1795508131.0,
    ended_at=1795508191.0,
    planned_by="ann@pc-7",
    run_by=("ann@pc-7", "svc@srv-4"),
)

ROW = replace(
    SUBMITTED_ROW,
    cells=("Ann", "IT", ""),
    facts=DeviceFacts("Windows11", "", ("leaver",), 1795504531.0, (Caution.SEEN_RECENTLY,)),
)
SKIPPED = ReportRow(
    3,
    "=lt-99",
    "@name",
    Outcome.SKIPPED,
    "",
    "",
    "invalid_id",
    "No ID.",
    None,
    0,
    None,
    None,
    ("Zoë", "=1+1", "\x1b[2J"),
)


@pytest.fixture
def head() -> ReportHead:
    return HEAD


@pytest.fixture
def rehearsal() -> ReportHead:
    return replace(HEAD, simulated=True)


@pytest.fixture
def rows() -> list[ReportRow]:
    return [ROW, SKIPPED]


@pytest.fixture
def nasty() -> list[str]:
    return NASTY


@pytest.fixture
def rows_with() -> Callable[[Iterable[str]], list[ReportRow]]:
    """Rows that carry each text wherever a text comes from outside."""

    def build(texts: Iterable[str]) -> list[ReportRow]:
        return [
            replace(ROW, row=number, device_id=text, device_name=text, machine_action_id=text, action_status=text,
                    error_code=text, error_message=text, cells=(text, text, text),
                    facts=DeviceFacts(text, text, (text,), None))
            for number, text in enumerate(texts, 2)
        ]  # fmt: skip

    return build


@pytest.fixture
def left_over(tmp_path: Path) -> Callable[[], list[str]]:
    """The names of all files below the test's folder."""
    return lambda: sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
