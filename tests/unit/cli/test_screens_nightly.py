"""What a night prints."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from batch_offboard.base.errors import ExitCode
from batch_offboard.cli.screens.nights import night_text
from batch_offboard.core.batches import Counts
from batch_offboard.core.brakes import Halt
from batch_offboard.core.jobs import JobState
from batch_offboard.unattended.nightly.facts import night_facts
from batch_offboard.unattended.nightly.views import Fate, NightView, SheetView, by_itself, for_nights
from tests.messages import messages


def test_nobody_is_told_at_night_to_resume_what_the_next_run_continues() -> None:
    advising = [each.text for each in messages() if re.search(r"`(batch-offboard )?resume", each.text)]
    assert advising
    assert [text for text in advising if "resume" in re.sub(r"\{[^{}]*\}", "", by_itself(text))] == []


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "SIGTERM was received; run `batch-offboard resume b-1` to continue.",
            "SIGTERM was received; the next nightly run continues.",
        ),
        ("It asks to wait; go on later with `resume`.", "It asks to wait; the next nightly run continues."),
        ("The disk is full; free some space, then `resume`.", None),
        ("The token has ended; `resume` signs in anew.", "The token has ended; the next nightly run signs in anew."),
    ],
)
def test_the_next_run_stands_where_resume_stood(said: str, told: str | None) -> None:
    told = told or said.replace("`resume`", "the next nightly run continues")
    assert for_nights(Halt(said, ExitCode.UNFINISHED)).reason == told
    assert for_nights(Halt(said, ExitCode.REFUSED, held=True)).reason == said


COUNTS = Counts({JobState.SUBMITTED: 38, JobState.IN_DOUBT: 2}, {})
NIGHT = NightView(
    inbox=Path("inbox"),
    tenant="tenant/application",
    began=1_795_500_000.0,
    ended=1_795_500_100.0,
    sheets=(
        SheetView(
            "leavers.csv",
            Fate.LEFT,
            ExitCode.UNFINISHED,
            "Rows are in doubt.",
            "b-1",
            COUNTS,
            Path("w"),
            [Path("r.csv")],
        ),
        SheetView("broken.xlsx", Fate.UNREADABLE, ExitCode.ROWS_FAILED, "broken.xlsx is empty."),
        SheetView("leavers.zip", Fate.NOT_TAKEN, ExitCode.ROWS_FAILED, "a ZIP archive; unpack it."),
    ),
    renewed=("b-0",),
    missed="2026-11-23",
    closed=False,
    halt=Halt("The window is closed.", ExitCode.UNFINISHED),
)


def test_a_night_is_a_line_for_each_sheet_and_its_totals() -> None:
    assert night_text(NIGHT).splitlines() == [
        "left        leavers.csv: batch b-1, 38 submitted, 2 in doubt. Rows are in doubt.",
        "unreadable  broken.xlsx: broken.xlsx is empty.",
        "not taken   leavers.zip: a ZIP archive; unpack it.",
        "renewed     reports of b-0: the tenant had new results",
        "3 files: 1 left, 1 unreadable, 1 not taken. Rows: 38 submitted, 2 in doubt.",
        "Stopped: The window is closed.",
        "Exit code 3: not finished; the next nightly run continues.",
    ]


def test_a_night_without_anything_to_do_is_two_lines() -> None:
    quiet = replace(NIGHT, sheets=(), renewed=(), halt=None)
    first, last = night_text(quiet).splitlines()
    assert first == "Nothing to do in inbox."
    assert last.startswith("Exit code 0: ")


def test_a_name_from_the_inbox_cannot_disturb_a_terminal() -> None:
    sheet = SheetView("\x1b[2J\u202e.csv", Fate.DONE, ExitCode.OK, "\x1b]0;", "b-1", COUNTS)
    text = night_text(replace(NIGHT, sheets=(sheet,)))
    assert all(line.isprintable() for line in text.splitlines())


def test_programs_get_all_of_it_under_names_that_stay() -> None:
    assert json.loads(json.dumps(night_facts(NIGHT))) == {
        "inbox": "inbox",
        "tenant": "tenant/application",
        "began_at": "2026-11-24T06:00:00Z",
        "ended_at": "2026-11-24T06:01:40Z",
        "sheets": [
            {
                "sheet": "leavers.csv",
                "outcome": "left",
                "reason": "Rows are in doubt.",
                "batch": "b-1",
                "counts": {
                    "submitted": 38,
                    "failed": 0,
                    "skipped": 0,
                    "in_doubt": 2,
                    "pending": 0,
                    "cancelled": 0,
                },
                "path": "w",
                "reports": ["r.csv"],
                "exit_code": 3,
            },
            {
                "sheet": "broken.xlsx",
                "outcome": "unreadable",
                "reason": "broken.xlsx is empty.",
                "batch": None,
                "counts": None,
                "path": None,
                "reports": [],
                "exit_code": 1,
            },
            {
                "sheet": "leavers.zip",
                "outcome": "not_taken",
                "reason": "a ZIP archive; unpack it.",
                "batch": None,
                "counts": None,
                "path": None,
                "reports": [],
                "exit_code": 1,
            },
        ],
        "totals": {
            "done": 0,
            "repeated": 0,
            "left": 1,
            "unreadable": 1,
            "not_taken": 1,
            "refused": 0,
            "waiting": 0,
            "denied": 0,
            "stopped": 0,
        },
        "counts": {"submitted": 38, "failed": 0, "skipped": 0, "in_doubt": 2, "pending": 0, "cancelled": 0},
        "renewed": ["b-0"],
        "ignored": ["leavers.zip"],
        "missed_night": "2026-11-23",
        "window_closed": False,
        "stopped": "The window is closed.",
        "exit_code": 3,
    }
