"""When a run stops by itself, on both sides of each limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.errors import ExitCode
from batch_offboard.core.brakes import FIRST_CALLS, UNCLEAR_CANCELLATIONS, Brakes, CancelBrakes, Halt, accepted_first
from batch_offboard.core.jobs import Alarm, CallOutcome, JobState, Verdict

ACCEPTED = CallOutcome(Verdict.SUBMITTED, action_id="a")
REFUSED = CallOutcome(Verdict.FAILED, code="ResourceNotFound", message="no such device")
UNCLEAR = CallOutcome(Verdict.IN_DOUBT, code="HTTP500")
OPEN = CallOutcome(Verdict.ALREADY_OPEN)
THROTTLED = CallOutcome(Verdict.THROTTLED, retry_after=60)
UNAUTHORIZED = CallOutcome(Verdict.UNAUTHORIZED, code="Unauthorized", message="expired")
NOT_SENT = CallOutcome(Verdict.NOT_SENT, code="Unreachable", message="refused")
WARM = [ACCEPTED] * FIRST_CALLS


def after(*outcomes: CallOutcome, percent: float = 10) -> Halt | None:
    brakes = Brakes(percent)
    halts = [brakes.note(outcome, 0.0) for outcome in outcomes]
    assert all(halt is None for halt in halts[:-1]), halts
    return halts[-1]


def exit_code_after(*outcomes: CallOutcome, percent: float = 10) -> ExitCode | None:
    halt = after(*outcomes, percent=percent)
    return halt.exit_code if halt else None


def test_accepted_calls_stop_nothing() -> None:
    assert after(*[ACCEPTED] * 100) is None


def test_the_third_unclear_answer_in_a_row_stops() -> None:
    assert exit_code_after(*WARM, UNCLEAR, UNCLEAR) is None
    assert exit_code_after(*WARM, UNCLEAR, UNCLEAR, UNCLEAR) is ExitCode.REFUSED


def test_a_clear_answer_between_unclear_ones_begins_the_count_anew() -> None:
    assert after(*WARM, UNCLEAR, UNCLEAR, ACCEPTED, UNCLEAR, UNCLEAR) is None


def test_actions_that_are_open_already_are_not_unclear() -> None:
    assert after(*WARM, *[OPEN] * 10) is None


def test_a_throttled_call_counts_for_nothing() -> None:
    brakes = Brakes(10)
    for _ in range(50):
        assert brakes.note(THROTTLED, 0.0) is None
    assert not brakes.warmed_up


def test_the_second_401_stops_with_the_exit_code_of_sign_in() -> None:
    assert after(UNAUTHORIZED) is None
    assert exit_code_after(UNAUTHORIZED, ACCEPTED, UNAUTHORIZED) is ExitCode.SIGN_IN


@pytest.mark.fault(62, "The run stops at once.")
@pytest.mark.parametrize(
    ("alarm", "code"),
    [
        (Alarm.PERMISSION, ExitCode.SIGN_IN),
        (Alarm.OUR_MISTAKE, ExitCode.REFUSED),
        (Alarm.WRONG_ANSWER, ExitCode.REFUSED),
        (Alarm.LONG_WAIT, ExitCode.UNFINISHED),
    ],
)
def test_one_alarm_stops(alarm: Alarm, code: ExitCode) -> None:
    outcome = CallOutcome(Verdict.FAILED, code="Word", message="A text.", alarm=alarm)
    halt = after(ACCEPTED, outcome)
    assert halt is not None
    assert halt.exit_code is code
    assert "Word: A text" in halt.reason


def test_an_untrusted_certificate_stops_at_once() -> None:
    outcome = CallOutcome(Verdict.NOT_SENT, code="NoTrust", message="self-signed", alarm=Alarm.NO_TRUST)
    assert exit_code_after(outcome) is ExitCode.UNFINISHED


@pytest.mark.fault(79, "The second stops the run.")
def test_a_stranger_in_the_apis_place_stops_the_second_time() -> None:
    stranger = CallOutcome(Verdict.IN_DOUBT, code="Redirect", alarm=Alarm.NOT_THE_API)
    assert after(*WARM, stranger) is None
    assert exit_code_after(*WARM, stranger, ACCEPTED, stranger) is ExitCode.REFUSED


@pytest.mark.fault(59, "Too many of them stop the run.")
def test_failures_stop_only_above_the_share_and_from_twenty_devices_on() -> None:
    assert after(*[ACCEPTED] * 16, *[REFUSED] * 3) is None
    assert after(*[ACCEPTED] * 18, *[REFUSED] * 2) is None
    assert exit_code_after(*[ACCEPTED] * 17, *[REFUSED] * 3) is ExitCode.REFUSED
    assert exit_code_after(*[ACCEPTED] * 18, *[REFUSED] * 3) is ExitCode.REFUSED


@pytest.mark.parametrize("outcome", [REFUSED, UNCLEAR], ids=lambda outcome: outcome.verdict)
@pytest.mark.parametrize("number", range(1, FIRST_CALLS + 1))
def test_one_of_the_first_five_that_is_not_accepted_stops(outcome: CallOutcome, number: int) -> None:
    assert exit_code_after(*[ACCEPTED] * (number - 1), outcome) is ExitCode.REFUSED


@pytest.mark.parametrize("outcome", [REFUSED, UNCLEAR, OPEN], ids=lambda outcome: outcome.verdict)
def test_the_sixth_may_be_refused(outcome: CallOutcome) -> None:
    assert after(*WARM, outcome) is None


def test_what_was_asked_for_already_is_as_good_as_accepted() -> None:
    assert after(*[OPEN] * FIRST_CALLS) is None


def test_a_call_that_is_made_again_is_still_one_of_the_first_five() -> None:
    assert after(THROTTLED, NOT_SENT, UNAUTHORIZED, *WARM, REFUSED) is None
    assert exit_code_after(*WARM[:-1], THROTTLED, THROTTLED, REFUSED) is ExitCode.REFUSED


def test_an_api_that_never_answered_is_tried_for_half_a_minute() -> None:
    brakes = Brakes(10)
    assert brakes.note(NOT_SENT, 100.0) is None
    assert brakes.note(NOT_SENT, 129.0) is None
    halt = brakes.note(NOT_SENT, 130.0)
    assert halt is not None
    assert halt.exit_code is ExitCode.UNFINISHED


def test_an_api_that_went_away_is_tried_for_ten_minutes() -> None:
    brakes = Brakes(10)
    brakes.note(ACCEPTED, 0.0)
    assert brakes.note(NOT_SENT, 100.0) is None
    assert brakes.note(NOT_SENT, 699.0) is None
    assert brakes.note(NOT_SENT, 700.0) is not None


def test_an_answer_ends_the_count_of_the_absence() -> None:
    brakes = Brakes(10)
    brakes.note(NOT_SENT, 0.0)
    brakes.note(ACCEPTED, 10.0)
    assert brakes.note(NOT_SENT, 10_000.0) is None


def test_five_answers_warm_up() -> None:
    brakes = Brakes(10)
    for _ in range(FIRST_CALLS):
        assert not brakes.warmed_up
        brakes.note(ACCEPTED, 0.0)
    assert brakes.warmed_up


@pytest.mark.fault(75, "In doubt, and the run stops.")
def test_an_action_that_belongs_to_another_device_puts_the_row_in_doubt() -> None:
    brakes = Brakes(10)
    assert brakes.examine(ACCEPTED, "1" * 40) is ACCEPTED
    assert brakes.examine(ACCEPTED, "1" * 40) is ACCEPTED
    outcome = brakes.examine(ACCEPTED, "2" * 40)
    assert (outcome.verdict, outcome.alarm, outcome.action_id) == (Verdict.IN_DOUBT, Alarm.WRONG_ANSWER, "a")
    assert outcome.code == "WrongAction"


@pytest.mark.parametrize(
    ("outcomes", "held"),
    [
        ([*WARM, UNCLEAR, UNCLEAR, UNCLEAR], True),
        ([REFUSED], True),
        ([*[ACCEPTED] * 18, *[REFUSED] * 3], True),
        ([CallOutcome(Verdict.FAILED, alarm=Alarm.OUR_MISTAKE)], True),
        ([CallOutcome(Verdict.IN_DOUBT, alarm=Alarm.WRONG_ANSWER)], True),
        ([UNAUTHORIZED, UNAUTHORIZED], False),
        ([CallOutcome(Verdict.FAILED, alarm=Alarm.PERMISSION)], False),
        ([CallOutcome(Verdict.THROTTLED, alarm=Alarm.LONG_WAIT)], False),
    ],
)
def test_what_no_waiting_mends_holds_the_batch_for_a_person(outcomes: list[CallOutcome], held: bool) -> None:
    halt = after(*outcomes)
    assert halt is not None
    assert halt.held == held


def test_an_unclear_answer_among_the_first_waits_for_what_it_turns_out_as() -> None:
    brakes = Brakes(10)
    brakes.note(ACCEPTED, 0.0)
    halt = brakes.note(UNCLEAR, 0.0)
    assert halt is not None
    assert halt.unsettled == "HTTP500"
    brakes.settled(2)
    for _ in range(2):
        assert brakes.note(ACCEPTED, 0.0) is None
        assert not brakes.warmed_up
    assert brakes.note(ACCEPTED, 0.0) is None
    assert brakes.warmed_up


def test_unclear_answers_that_were_settled_are_not_in_a_row() -> None:
    brakes = Brakes(10)
    for number in range(1, FIRST_CALLS + 1):
        assert brakes.note(UNCLEAR, 0.0) is not None
        brakes.settled(number)
    assert brakes.note(UNCLEAR, 0.0) is None


@pytest.mark.parametrize("before", range(FIRST_CALLS + 1))
def test_first_calls_of_earlier_runs_count(before: int) -> None:
    brakes = Brakes(10, accepted_first=before)
    assert brakes.warmed_up == (before == FIRST_CALLS)
    for _ in range(FIRST_CALLS - before - 1):
        brakes.note(ACCEPTED, 0.0)
    halt = brakes.note(REFUSED, 0.0)
    assert (halt is None) == (before == FIRST_CALLS)


def test_whoever_says_so_is_stopped_by_no_first_call_and_by_every_other_brake() -> None:
    brakes = Brakes(10, continue_after_failures=True)
    outcomes = [REFUSED, UNCLEAR, UNCLEAR, REFUSED, REFUSED]
    assert [brakes.note(outcome, 0.0) for outcome in outcomes] == [None] * 5
    assert brakes.warmed_up
    for _ in range(16):
        assert brakes.note(ACCEPTED, 0.0) is None
    halt = brakes.note(REFUSED, 0.0)
    assert halt is not None
    assert "4 of 20 devices failed" in halt.reason


@given(st.lists(st.sampled_from([ACCEPTED, REFUSED, UNCLEAR]), max_size=20))
def test_the_journal_counts_the_first_calls_as_the_run_does(outcomes: list[CallOutcome]) -> None:
    """Each halt ends a run, and the next one starts with what the journal has recorded."""
    brakes, seen = Brakes(100.0), []
    for outcome in outcomes:
        halt = brakes.note(outcome, 0.0)
        seen.append(outcome.state)
        if halt is not None:
            brakes = Brakes(100.0, accepted_first=accepted_first(seen))
        assert brakes.warmed_up == (accepted_first(seen) == FIRST_CALLS)


CANCELLED = CallOutcome(Verdict.CANCELLED)
TAKEN = CallOutcome(Verdict.ANSWERED)
TOO_LATE = CallOutcome(Verdict.ANSWERED, http_status=400, code="TooLate")


@given(
    st.lists(
        st.lists(st.sampled_from([REFUSED, UNCLEAR, TAKEN, TOO_LATE, THROTTLED]), max_size=UNCLEAR_CANCELLATIONS - 1)
    )
)
def test_no_answer_about_an_action_stops_a_cancellation(groups: list[list[CallOutcome]]) -> None:
    brakes = CancelBrakes()
    assert brakes.warmed_up
    for outcome in [each for group in groups for each in (*group, CANCELLED)]:
        assert brakes.note(outcome, 0.0) is None


def test_a_cancellation_that_nobody_answers_clearly_is_stopped_and_can_be_asked_for_again() -> None:
    brakes = CancelBrakes()
    halts = [brakes.note(UNCLEAR, 0.0) for _ in range(UNCLEAR_CANCELLATIONS)]
    assert halts[:-1] == [None] * (UNCLEAR_CANCELLATIONS - 1)
    assert halts[-1] is not None
    assert halts[-1].exit_code is ExitCode.UNFINISHED


@pytest.mark.parametrize(
    "outcomes",
    [
        *([CallOutcome(Verdict.FAILED, code="Word", alarm=alarm)] * 2 for alarm in Alarm),
        [UNAUTHORIZED] * 2,
        [UNCLEAR] * UNCLEAR_CANCELLATIONS,
        [NOT_SENT] * 2,
    ],
    ids=lambda outcomes: outcomes[0].alarm or outcomes[0].verdict,
)
def test_no_halt_of_a_cancellation_tells_anybody_to_send_more(outcomes: list[CallOutcome]) -> None:
    brakes = CancelBrakes()
    halts = [brakes.note(outcome, 1000.0 * number) for number, outcome in enumerate(outcomes)]
    found = [halt for halt in halts if halt is not None]
    assert found
    assert not any(word in halt.reason for halt in found for word in ("resume", "retry", "run it"))


SENT, BACK, UNSETTLED = JobState.SUBMITTED, JobState.FAILED, JobState.IN_DOUBT


@pytest.mark.parametrize(
    ("calls", "accepted"),
    [
        ([], 0),
        ([SENT] * 3, 3),
        ([SENT, SENT, BACK], 0),
        ([SENT, BACK, SENT, SENT], 2),
        ([SENT, UNSETTLED, SENT], 1),
        ([SENT] * 4 + [BACK] + [SENT] * 4, 4),
        ([SENT] * 5 + [BACK], 5),
        ([BACK] + [SENT] * 9 + [UNSETTLED], 5),
    ],
)
def test_first_calls_are_passed_once_five_in_a_row_were_accepted(calls: list[JobState], accepted: int) -> None:
    assert accepted_first(calls) == accepted
