"""A machine action from the API's JSON, and the correlation token that identifies ours."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.core.tenant import MachineAction, Token, comment_with_token, correlation_token, token_in
from batch_offboard.defender.protocol.actions import action_of

ACTION = "0b0f6f0e-52a1-4f0c-9a63-3a5d6a1c7e90"
DEVICE = "a3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0"
HALF_PAST_EIGHT = 1_795_509_000.0  # 2026-11-24 08:30:00 UTC

SHOWN: dict[str, Any] = {
    "id": ACTION,
    "type": "Offboard",
    "title": None,
    "requestor": "offboarding-batch",
    "requestorComment": "CHG0042 [bo 20261124-0815-kqzt/17/2]",
    "status": "Pending",
    "machineId": DEVICE.upper(),
    "computerDnsName": "lt-0417.contoso.example",
    "creationDateTimeUtc": "2026-11-24T08:30:00.4412093Z",
    "lastUpdateDateTimeUtc": "2026-11-24T08:31:00.0000098Z",
    "errorHResult": 0,
    "commands": [],
    "troubleshootInfo": None,
}


def action(**changes: Any) -> MachineAction:
    found = action_of(SHOWN | changes)
    assert found is not None
    return found


def test_an_action_is_read_as_it_is_shown() -> None:
    assert action() == MachineAction(
        id=ACTION,
        status="Pending",
        machine_id=DEVICE,
        comment="CHG0042 [bo 20261124-0815-kqzt/17/2]",
        requestor="offboarding-batch",
        created=HALF_PAST_EIGHT + 0.441209,
        updated=HALF_PAST_EIGHT + 60.000009,
        error="",
    )
    assert action().token == Token("20261124-0815-kqzt", 17, 2)


def test_every_field_but_the_id_may_be_missing() -> None:
    assert action_of({"id": "x-1"}) == MachineAction("x-1", "", "", "", "", None, None, "")


def test_every_field_but_the_id_may_be_null() -> None:
    assert action_of(dict.fromkeys(SHOWN) | {"id": "x-1"}) == MachineAction("x-1", "", "", "", "", None, None, "")


@pytest.mark.parametrize(
    ("times", "updated"),
    [
        ({"lastUpdateDateTimeUtc": None, "lastUpdateTimeUtc": "2026-11-24T08:32:00Z"}, HALF_PAST_EIGHT + 120),
        ({"lastUpdateTimeUtc": "2026-11-24T08:32:00Z"}, HALF_PAST_EIGHT + 60.000009),
        ({"lastUpdateDateTimeUtc": "", "lastUpdateTimeUtc": "2026-11-24T08:32:00Z"}, HALF_PAST_EIGHT + 120),
        ({"lastUpdateDateTimeUtc": None}, None),
        ({"lastUpdateDateTimeUtc": "never"}, None),
    ],
)
def test_the_last_change_goes_by_two_names(times: dict[str, Any], updated: float | None) -> None:
    assert action(**times).updated == updated


@pytest.mark.parametrize("kind", ["Offboard", "offboard", " OFFBOARD ", None])
def test_an_action_is_one_of_offboarding_in_any_case_and_where_it_does_not_say(kind: str | None) -> None:
    assert action(type=kind).id == ACTION


@pytest.mark.parametrize(
    "kind",
    [
        "RunAntiVirusScan",
        "LiveResponse",
        "CollectInvestigationPackage",
        "Isolate",
        "Unisolate",
        "StopAndQuarantineFile",
        "RestrictCodeExecution",
        "UnrestrictCodeExecution",
        "NeverHeardOf",
        "",
        7,
    ],
)
def test_any_other_action_is_dropped(kind: object) -> None:
    assert action_of(SHOWN | {"type": kind}) is None


@pytest.mark.parametrize("identifier", [None, "", " ", 7, ["x"], "a\nb", "\ud800", "x" * 501])
def test_what_has_no_id_is_no_action(identifier: object) -> None:
    assert action_of(SHOWN | {"id": identifier}) is None


STATUSES = [
    # the status, whether it is final, whether the device may be sent again
    ("Pending", False, False),
    ("InProgress", False, False),
    ("Succeeded", True, False),
    ("Failed", True, True),
    ("TimeOut", True, True),
    ("Cancelled", True, True),
    ("SUCCEEDED", True, False),
    ("timeout", True, True),
    ("Dreaming", False, False),
    ("", False, False),
]


@pytest.mark.parametrize(("status", "is_final", "is_unsuccessful"), STATUSES)
def test_status(status: str, is_final: bool, is_unsuccessful: bool) -> None:
    found = action(status=status)
    assert (found.status, found.is_final, found.is_unsuccessful) == (status, is_final, is_unsuccessful)


@pytest.mark.parametrize(
    ("result", "info", "words"),
    [
        (0, None, ""),
        (None, None, ""),
        (-2147024891, None, "0x80070005"),
        (2147942405, "access\ndenied", "0x80070005 access denied"),
        (0, "the sensor is gone", "the sensor is gone"),
        (True, None, ""),
        ("0x80070005", None, ""),
        (1.5, None, ""),
    ],
)
def test_why_an_action_failed(result: object, info: str | None, words: str) -> None:
    assert action(errorHResult=result, troubleshootInfo=info).error == words


TOKENS = [
    pytest.param("[bo 20261124-0815-kqzt/17/2]", Token("20261124-0815-kqzt", 17, 2), id="alone"),
    pytest.param("CHG0042 [bo b/1/1]", Token("b", 1, 1), id="behind a comment"),
    pytest.param("[bo old/1/1] again [bo new/2/3]", Token("new", 2, 3), id="the last of two"),
    pytest.param("[bo new/2/3][bo b/1", Token("new", 2, 3), id="the last that is whole"),
    pytest.param("[bo a/1/1[bo b/2/3]", Token("b", 2, 3), id="one inside another"),
    pytest.param("[bo b/1/1] cut by somebody", Token("b", 1, 1), id="not at the end"),
    pytest.param("[bo b/999999999/999999]", Token("b", 999_999_999, 999_999), id="the largest numbers"),
    pytest.param("[bo b/1000000000/1]", None, id="a row too large"),
    pytest.param("[bo b/1/1000000]", None, id="an attempt too large"),
    pytest.param(f"[bo {'b' * 41}/1/1]", None, id="a batch ID too long"),
    pytest.param("(bo b/1/1]", None, id="a disarmed one"),
    pytest.param("[BO b/1/1]", None, id="capitals"),
    pytest.param("[bo b/1]", None, id="no attempt"),
    pytest.param("[bo b/-1/1]", None, id="a negative row"),
    pytest.param("[bo b/１/1]", None, id="digits of another script"),
    pytest.param("[bo b c/1/1]", None, id="a blank in the batch ID"),
    pytest.param("[bo  b/1/1]", None, id="two blanks"),
    pytest.param("", None, id="nothing"),
]


@pytest.mark.parametrize(("comment", "token"), TOKENS)
def test_token(comment: str, token: Token | None) -> None:
    assert token_in(comment) == token
    assert action(requestorComment=comment).token == token


FAKE_TOKENS = st.sampled_from(["[bo x/1/1]", "[bo ", "[bo x/1/1", "/1/1]", "[[boo", "[b", "[bo\tx/1/1]", "]", " "])
COMMENTS = st.lists(st.text(max_size=40) | FAKE_TOKENS, max_size=30).map("".join)
BATCH_IDS = st.from_regex(r"[0-9]{8}-[0-9]{4}-[a-z]{4}", fullmatch=True)


@given(COMMENTS, BATCH_IDS, st.integers(1, 10**9 - 1), st.integers(1, 10**6 - 1))
def test_a_token_is_found_again_behind_any_comment(comment: str, batch_id: str, row: int, attempt: int) -> None:
    sent = comment_with_token(comment, correlation_token(batch_id, row, attempt))
    assert token_in(sent) == Token(batch_id, row, attempt)


@given(COMMENTS)
def test_no_comment_of_anybody_is_sent_with_another_token(comment: str) -> None:
    token = correlation_token("20261124-0815-kqzt", 17, 2)
    assert token_in(comment_with_token(comment, token).removesuffix(token)) is None


ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*SHOWN, "lastUpdateTimeUtc", "invented"]), ANY_JSON))
def test_any_value_in_any_field_is_an_action_or_none(shown: dict[str, Any]) -> None:
    found = action_of({"id": "x-1", "type": "Offboard"} | shown)
    if found is not None:
        assert found.id
        assert len(found.status.splitlines()) <= 1
        assert found.machine_id == found.machine_id.lower()
        assert not (found.is_unsuccessful and not found.is_final)
