"""The state machine: legal moves are data, an illegal one raises and changes nothing."""

from itertools import product

import pytest

from batch_offboard.core.jobs import (
    FINISHED,
    NEXT_STATE,
    TRANSITIONS,
    CallOutcome,
    IllegalMove,
    JobState,
    Verdict,
    move,
)

LEGAL = {
    ("pending", "sending"),
    ("pending", "skipped"),
    ("sending", "submitted"),
    ("sending", "failed"),
    ("sending", "pending"),
    ("sending", "in_doubt"),
    ("in_doubt", "submitted"),
    ("in_doubt", "failed"),
    ("in_doubt", "pending"),
    ("failed", "pending"),
    ("submitted", "cancelled"),
}


@pytest.mark.parametrize(("old", "new"), list(product(JobState, JobState)))
def test_only_the_arrows_are_legal(old: JobState, new: JobState) -> None:
    if (old.value, new.value) in LEGAL:
        assert move(old, new) is new
    else:
        with pytest.raises(IllegalMove):
            move(old, new)


def test_every_state_is_in_the_table() -> None:
    assert set(TRANSITIONS) == set(JobState)


def test_every_verdict_leads_from_sending_to_a_legal_state() -> None:
    assert set(Verdict) - set(NEXT_STATE) == {Verdict.ANSWERED, Verdict.CANCELLED}  # of calls that offboard nothing
    assert all(state in TRANSITIONS[JobState.SENDING] for state in NEXT_STATE.values())


def test_what_an_offboard_call_came_to_decides_where_its_job_goes_on() -> None:
    assert {verdict.value: CallOutcome(verdict).state.value for verdict in NEXT_STATE} == {
        "submitted": "submitted",
        "failed": "failed",
        "throttled": "pending",
        "unauthorized": "pending",
        "not_sent": "pending",
        "in_doubt": "in_doubt",
        "already_open": "in_doubt",
    }


def test_verdicts_go_by_the_words_that_the_journal_keeps() -> None:
    assert {verdict.name.lower() for verdict in Verdict} == {verdict.value for verdict in Verdict}


def test_an_action_is_our_own_unless_something_says_otherwise() -> None:
    assert CallOutcome(Verdict.SUBMITTED, action_id="a").own_action


def test_only_the_four_finished_states_are_finished() -> None:
    assert {state.value for state in FINISHED} == {"submitted", "failed", "skipped", "cancelled"}
