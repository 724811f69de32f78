"""From a run's end to a notice."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batch_offboard.base.errors import BusyError, ExitCode, GuardError, InputError, SignInError, UsageError
from batch_offboard.commands.cancelling import CancelView
from batch_offboard.commands.views import RunView
from batch_offboard.core.batches import Batch, Counts
from batch_offboard.core.brakes import Halt
from batch_offboard.core.jobs import JobState
from batch_offboard.core.plan import Reason
from batch_offboard.notices.notice import Happening
from batch_offboard.notices.rendering import title
from batch_offboard.notices.telling import (
    has_sent,
    is_worth_telling,
    notice_of_cancellation,
    notice_of_refusal,
    notice_of_run,
    outcomes,
)
from batch_offboard.unattended.nightly.telling import notice_of_missed_night, notice_of_night
from batch_offboard.unattended.nightly.views import Fate, NightView, SheetView


def make_view(**changes: Any) -> RunView:
    fields = dict.fromkeys(Batch.__dataclass_fields__)
    known = {
        "batch_id": "b-1",
        "scope": "t/a",
        "simulated": False,
        "source_name": "leavers.csv",
        "started_at": 100.0,
        "ended_at": 200.0,
    }
    batch = Batch(**{**fields, **known})  # type: ignore[arg-type]  # the others are nobody's concern here
    view = RunView(batch, Counts({JobState.SUBMITTED: 2}, {}), {}, None, [Path("r.csv")], ExitCode.OK)
    return replace(view, **changes)


def test_a_run_that_went_well_has_nothing_to_do_next() -> None:
    notice = notice_of_run(make_view())
    assert (notice.happening, notice.exit_code, notice.is_well) == (Happening.FINISHED, ExitCode.OK, True)
    assert notice.headline == "Batch b-1: 2 submitted."
    assert (notice.started, notice.at, notice.tenant, notice.batches) == (100.0, 200.0, "t/a", ("b-1",))
    assert (notice.reports, notice.next_command) == ((Path("r.csv"),), "")
    assert notice.machine


def test_rows_are_counted_by_the_reports_outcomes() -> None:
    counts = Counts(
        {
            JobState.SUBMITTED: 1,
            JobState.FAILED: 2,
            JobState.IN_DOUBT: 3,
            JobState.SENDING: 4,
            JobState.PENDING: 5,
            JobState.SKIPPED: 6,
            JobState.CANCELLED: 7,
        },
        {Reason.DUPLICATE: 8, Reason.INVALID_ID: 9},
    )
    found = outcomes(counts)
    assert found == {"submitted": 1, "failed": 2, "skipped": 23, "in_doubt": 7, "pending": 5, "cancelled": 7}
    assert sum(found.values()) == counts.rows


@pytest.mark.parametrize(
    ("jobs", "command"),
    [
        ({JobState.PENDING: 1, JobState.FAILED: 1}, "batch-offboard resume b-1"),
        ({JobState.FAILED: 1}, "batch-offboard retry b-1"),
        ({JobState.IN_DOUBT: 1, JobState.FAILED: 1}, "batch-offboard resume b-1"),
    ],
)
def test_the_next_command_is_the_one_that_goes_on(jobs: dict[JobState, int], command: str) -> None:
    assert notice_of_run(make_view(counts=Counts(jobs, {}))).next_command == command


@pytest.mark.parametrize(
    ("error", "by_hand", "at_night"),
    [
        (GuardError("Too many."), True, True),
        (InputError("It cannot be read."), True, True),
        (SignInError("No token."), True, True),
        (RuntimeError("unexpected"), True, True),
        (UsageError("There is no batch."), False, True),
        (BusyError("Already at work."), False, False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_was_mistyped_and_what_found_another_run_at_work_is_told_to_nobody_else(
    error: Exception, by_hand: bool, at_night: bool
) -> None:
    assert is_worth_telling(error, nightly=False) is by_hand
    assert is_worth_telling(error, nightly=True) is at_night


@pytest.mark.parametrize(
    ("jobs", "sent"),
    [
        ({JobState.SUBMITTED: 1}, True),
        ({JobState.IN_DOUBT: 1, JobState.PENDING: 2}, True),
        ({JobState.PENDING: 2, JobState.SKIPPED: 1}, False),
        ({}, False),
    ],
)
def test_a_run_has_sent_if_any_call_was_made(jobs: dict[JobState, int], sent: bool) -> None:
    assert has_sent(make_view(counts=Counts(jobs, {}))) is sent


def test_a_cancellation_is_told_with_what_it_cancelled() -> None:
    view = CancelView(make_view().batch, 3, 2, {4: "ActionIsFinal"}, None, [Path("r.csv")], ExitCode.ROWS_FAILED)
    notice = notice_of_cancellation(view)
    assert notice.headline == "Batch b-1: 2 of 3 machine actions cancelled. 1 could not be cancelled."
    assert (notice.tenant, notice.sheets, notice.next_command) == ("t/a", ("leavers.csv",), "batch-offboard show b-1")
    assert title(notice) == f"batch-offboard cancelled machine actions on {notice.machine}"


def test_a_run_that_stopped_says_why() -> None:
    halt = Halt("More than 10 % of the calls failed.", ExitCode.REFUSED)
    counts = Counts({JobState.PENDING: 5}, {})
    notice = notice_of_run(make_view(halt=halt, exit_code=ExitCode.REFUSED, counts=counts))
    assert (notice.happening, notice.exit_code) == (Happening.STOPPED, ExitCode.REFUSED)
    assert notice.headline == "Batch b-1: 5 pending. Stopped: More than 10 % of the calls failed."


@pytest.mark.parametrize("code", [ExitCode.OK, ExitCode.ROWS_FAILED])
def test_a_stop_that_came_after_the_last_call_stopped_nothing(code: ExitCode) -> None:
    notice = notice_of_run(make_view(halt=Halt("SIGINT was received.", ExitCode.UNFINISHED), exit_code=code))
    assert notice.happening is Happening.FINISHED
    assert "Stopped" not in notice.headline


def test_rows_in_doubt_are_an_end_and_no_stop() -> None:
    view = make_view(counts=Counts({JobState.IN_DOUBT: 1}, {}), exit_code=ExitCode.UNFINISHED)
    assert notice_of_run(view).happening is Happening.FINISHED


def test_a_refusal_is_told_in_its_own_sentence_with_its_exit_code() -> None:
    notice = notice_of_refusal(GuardError("Too many devices."), simulated=True)
    assert (notice.happening, notice.headline, notice.exit_code, notice.simulated) == (
        Happening.STOPPED,
        "Too many devices.",
        ExitCode.REFUSED,
        True,
    )


def test_an_unexpected_error_is_told_without_its_text() -> None:
    notice = notice_of_refusal(RuntimeError("canary"))
    assert "canary" not in notice.headline
    assert (notice.headline, notice.exit_code) == (
        "Unexpected RuntimeError, a bug in the program.",
        ExitCode.UNFINISHED,
    )


def test_a_missed_night_is_told_with_its_date() -> None:
    notice = notice_of_missed_night("2026-11-23", ExitCode.OK, ("b-1",))
    assert notice.happening is Happening.MISSED_NIGHT
    assert "2026-11-23" in notice.headline
    assert notice.batches == ("b-1",)


# -- of a night --

WELL = SheetView(
    "a.csv", Fate.DONE, ExitCode.OK, "", "b-1", Counts({JobState.SUBMITTED: 2}, {}), None, [Path("b-1.csv")]
)
FAILED = SheetView("b.csv", Fate.DONE, ExitCode.ROWS_FAILED, "", "b-2", Counts({JobState.FAILED: 1}, {}))
LEFT = SheetView(
    "c.csv", Fate.LEFT, ExitCode.UNFINISHED, "The window is closed.", "b-3", Counts({JobState.PENDING: 4}, {})
)
UNREADABLE = SheetView("d.csv", Fate.UNREADABLE, ExitCode.ROWS_FAILED, "d.csv is empty.")
NOT_TAKEN = SheetView("h.zip", Fate.NOT_TAKEN, ExitCode.ROWS_FAILED, "a ZIP archive; unpack it.")
REFUSED = SheetView("e.csv", Fate.REFUSED, ExitCode.REFUSED, "Too many.", "b-4", Counts({JobState.PENDING: 9}, {}))
STOPPED = SheetView("f.csv", Fate.STOPPED, ExitCode.REFUSED, "Not accepted.", "b-5", Counts({JobState.PENDING: 1}, {}))
REPEATED = SheetView("g.csv", Fate.REPEATED, ExitCode.OK, "Batch b-1 has the same content.", "b-1")
CLOSED = Halt("The window is closed.", ExitCode.UNFINISHED)


def night(*sheets: SheetView, halt: Halt | None = None, **changes: Any) -> NightView:
    view = NightView(Path("inbox"), "t/a", 100.0, 200.0, sheets, (), "", closed=False, halt=halt)
    return replace(view, **changes)


@pytest.mark.parametrize(
    ("view", "code", "happening"),
    [
        (night(WELL), ExitCode.OK, Happening.FINISHED),
        (night(WELL, REPEATED), ExitCode.OK, Happening.FINISHED),
        (night(WELL, FAILED), ExitCode.ROWS_FAILED, Happening.FINISHED),
        (night(WELL, UNREADABLE), ExitCode.ROWS_FAILED, Happening.FINISHED),
        (night(NOT_TAKEN), ExitCode.ROWS_FAILED, Happening.FINISHED),
        (night(WELL, LEFT), ExitCode.UNFINISHED, Happening.FINISHED),
        (night(WELL, LEFT, halt=CLOSED), ExitCode.UNFINISHED, Happening.STOPPED),
        (night(WELL, REFUSED, FAILED), ExitCode.REFUSED, Happening.STOPPED),
        (night(STOPPED, LEFT, halt=Halt("Not accepted.", ExitCode.REFUSED)), ExitCode.REFUSED, Happening.STOPPED),
        (night(REFUSED, LEFT, halt=Halt("401.", ExitCode.SIGN_IN)), ExitCode.SIGN_IN, Happening.STOPPED),
        (night(halt=Halt("The stop file is there.", ExitCode.REFUSED)), ExitCode.REFUSED, Happening.STOPPED),
        (night(WELL, halt=CLOSED), ExitCode.OK, Happening.FINISHED),  # it closed when everything was done
    ],
)
def test_a_night_ends_as_badly_as_the_worst_of_it(view: NightView, code: ExitCode, happening: Happening) -> None:
    notice = notice_of_night(view)
    assert (notice.exit_code, notice.happening) == (code, happening)
    assert not view.is_quiet


def test_a_night_is_told_with_all_its_batches_rows_and_reports() -> None:
    notice = notice_of_night(night(WELL, FAILED, REPEATED, LEFT, halt=CLOSED))
    assert notice.headline == "Nightly run over inbox: 2 done, 1 repeated, 1 left. Stopped: The window is closed."
    assert (notice.batches, notice.reports) == (("b-1", "b-2", "b-3"), (Path("b-1.csv"),))
    assert [notice.counts[each] for each in ("submitted", "failed", "pending")] == [2, 1, 4]
    assert (notice.started, notice.at, notice.tenant) == (100.0, 200.0, "t/a")
    assert notice.next_command == "batch-offboard retry b-2"


def test_what_failed_is_named_with_its_reason_and_with_what_a_person_has_to_type() -> None:
    notice = notice_of_night(night(STOPPED, UNREADABLE, REFUSED, FAILED))
    assert notice.headline.endswith("f.csv: Not accepted. d.csv: d.csv is empty.")
    assert notice.next_command == "batch-offboard resume b-5"


@pytest.mark.parametrize(
    "view", [night(), night(halt=CLOSED, closed=True), night(LEFT, halt=CLOSED, closed=True), night(renewed=["b-1"])]
)
def test_a_night_in_which_nothing_happened_is_quiet(view: NightView) -> None:
    assert view.is_quiet
