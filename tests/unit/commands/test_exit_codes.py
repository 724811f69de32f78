"""The exit code and what the rows say agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.errors import ExitCode
from batch_offboard.commands.views import exit_code
from batch_offboard.core.batches import Counts
from batch_offboard.core.brakes import Halt
from batch_offboard.core.jobs import JobState
from batch_offboard.core.plan import Reason

SIGNAL = Halt("SIGTERM", ExitCode.UNFINISHED)
GUARD = Halt("too many failures", ExitCode.REFUSED)
SIGN_IN = Halt("no token", ExitCode.SIGN_IN)


def code(halt: Halt | None = None, skipped: Reason | None = None, **states: int) -> ExitCode:
    jobs = {JobState(state): number for state, number in states.items()}
    return exit_code(Counts(jobs, {skipped: 1} if skipped else {}), {}, halt)


@pytest.mark.parametrize("reason", [None, Reason.DUPLICATE, Reason.ALREADY_OFFBOARDED])
def test_all_submitted_and_rows_that_need_nobody_are_well(reason: Reason | None) -> None:
    assert code(submitted=3, skipped=reason) is ExitCode.OK


@pytest.mark.parametrize("reason", [reason for reason in Reason if not reason.is_well])
def test_a_row_skipped_for_a_reason_is_told(reason: Reason) -> None:
    assert code(submitted=3, skipped=reason) is ExitCode.ROWS_FAILED


def test_a_failed_row_is_told() -> None:
    assert code(submitted=3, failed=1) is ExitCode.ROWS_FAILED


@pytest.mark.parametrize("state", ["pending", "in_doubt", "sending"])
def test_what_is_left_or_unclear_is_unfinished_even_beside_failures(state: str) -> None:
    counts = Counts({JobState.SUBMITTED: 3, JobState.FAILED: 1, JobState(state): 1}, {})
    assert exit_code(counts, {}, None) is ExitCode.UNFINISHED


def test_a_guard_that_left_rows_behind_is_told() -> None:
    assert code(GUARD, submitted=3, pending=1) is ExitCode.REFUSED


def test_a_guard_that_came_too_late_to_matter_is_not() -> None:
    assert code(GUARD, submitted=3, failed=2) is ExitCode.ROWS_FAILED


def test_a_refused_sign_in_is_told_in_any_case() -> None:
    assert code(SIGN_IN, submitted=3, failed=1) is ExitCode.SIGN_IN


def test_a_signal_after_the_last_row_changes_nothing() -> None:
    assert code(SIGNAL, submitted=3) is ExitCode.OK


@given(
    st.dictionaries(st.sampled_from(JobState), st.integers(0, 3)),
    st.dictionaries(st.sampled_from(Reason), st.integers(1, 3)),
    st.sampled_from([None, SIGNAL, GUARD, SIGN_IN]),
)
def test_zero_is_said_exactly_when_every_row_ended_well(
    jobs: dict[JobState, int], skipped: dict[Reason, int], halt: Halt | None
) -> None:
    well = not any(
        number for state, number in jobs.items() if state not in (JobState.SUBMITTED, JobState.SKIPPED)
    ) and all(reason.is_well for reason in skipped)
    zero = exit_code(Counts(jobs, skipped), {}, halt) is ExitCode.OK
    assert zero == (well and halt is not SIGN_IN)
