"""When a run stops by itself, on both sides of each limit."""

import pytest

from batch_offboard.brakes import FIRST_CALLS, Brakes, Halt
from batch_offboard.errors import ExitCode
from batch_offboard.jobs import Alarm, CallOutcome, Verdict

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


@pytest.mark.parametrize("verdict", [Verdict.ALREADY_OPEN, Verdict.CANCELLED, Verdict.ANSWERED])
def test_what_was_asked_for_already_or_taken_back_is_as_good_as_accepted(verdict: Verdict) -> None:
    assert after(*[CallOutcome(verdict)] * FIRST_CALLS) is None


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
