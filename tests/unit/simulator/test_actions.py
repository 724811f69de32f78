"""The status of an action as a function of time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.simulator.actions import Action, ActionStatus, Cancellation, Course, Pace, course_of

CREATED = 1_800_000_000.0
FINAL = {ActionStatus.SUCCEEDED, ActionStatus.FAILED, ActionStatus.TIME_OUT, ActionStatus.CANCELLED}
RANK = {ActionStatus.PENDING: 0, ActionStatus.IN_PROGRESS: 1}


def action(course: Course) -> Action:
    return Action("id", "machine", None, "why", "app", CREATED, course)


SUCCEEDS = Course(CREATED + 10, CREATED + 30, ActionStatus.SUCCEEDED)


@pytest.mark.parametrize(
    ("after", "status"),
    [(0, "Pending"), (9.9, "Pending"), (10, "InProgress"), (29.9, "InProgress"), (30, "Succeeded"), (1e9, "Succeeded")],
)
def test_the_status_follows_the_time_passed_in(after: float, status: str) -> None:
    assert action(SUCCEEDS).status(CREATED + after) == status


@given(
    st.uuids().map(str),
    st.booleans(),
    st.lists(st.floats(min_value=0, max_value=1e6), min_size=2, max_size=9).map(sorted),
)
def test_an_action_never_goes_backwards_and_stays_final(action_id: str, inactive: bool, moments: list[float]) -> None:
    pace = Pace(failed=0.3, timed_out=0.3)
    life = action(course_of(action_id, CREATED, 7, pace, inactive=inactive))
    statuses = [life.status(CREATED + moment) for moment in moments]
    ranks = [RANK.get(status, 2) for status in statuses]
    assert ranks == sorted(ranks)
    assert len({status for status in statuses if status in FINAL}) <= 1


def test_the_course_is_the_same_for_the_same_seed_and_id() -> None:
    pace = Pace(failed=0.5)
    assert course_of("a", CREATED, 1, pace, inactive=False) == course_of("a", CREATED, 1, pace, inactive=False)


def test_the_course_changes_with_the_seed() -> None:
    assert course_of("a", CREATED, 1, Pace(), inactive=False) != course_of("a", CREATED, 2, Pace(), inactive=False)


def test_the_action_of_an_inactive_device_waits_and_times_out() -> None:
    life = action(course_of("a", CREATED, 1, Pace(time_out_after=100), inactive=True))
    assert [life.status(CREATED + after) for after in (0, 99, 100)] == ["Pending", "Pending", "TimeOut"]


def test_the_shares_of_failed_and_timed_out_actions_are_kept() -> None:
    pace = Pace(failed=0.2, timed_out=0.1)
    ends = [course_of(str(number), CREATED, 1, pace, inactive=False).end for number in range(3000)]
    assert 0.17 < ends.count(ActionStatus.FAILED) / 3000 < 0.23
    assert 0.08 < ends.count(ActionStatus.TIME_OUT) / 3000 < 0.12


def test_a_look_back_shows_the_action_before_it_was_cancelled() -> None:
    life = action(SUCCEEDS)
    life.cancellation = Cancellation(CREATED + 5, "app", "wrong list")
    assert life.status(CREATED + 4) == "Pending"
    assert life.as_json(CREATED + 4)["cancellationComment"] is None
    assert life.status(CREATED + 60) == "Cancelled"


def test_the_object_has_the_fields_of_recorded_answers() -> None:
    shown = action(SUCCEEDS).as_json(CREATED + 12.5)
    assert list(shown) == [
        "id", "type", "title", "requestor", "requestorComment", "status", "machineId", "computerDnsName",
        "creationDateTimeUtc", "lastUpdateDateTimeUtc", "cancellationRequestor", "cancellationComment",
        "cancellationDateTimeUtc", "errorHResult", "scope", "externalId", "requestSource", "relatedFileInfo",
        "commands", "troubleshootInfo",
    ]  # fmt: skip
    assert shown["creationDateTimeUtc"] == "2027-01-15T08:00:00.0000000Z"
    assert shown["lastUpdateDateTimeUtc"] == "2027-01-15T08:00:10.0000000Z"


def test_a_failed_action_says_why() -> None:
    failed = action(Course(CREATED, CREATED + 1, ActionStatus.FAILED)).as_json(CREATED + 2)
    assert failed["errorHResult"] != 0
    assert failed["troubleshootInfo"]
