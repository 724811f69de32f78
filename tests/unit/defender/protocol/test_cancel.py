"""The cancel call: its request, and what each answer means for the machine action."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.core.jobs import Alarm, CallOutcome, Verdict
from batch_offboard.defender.protocol import Answer, Fault, NoAnswer, cancel_request, classify_cancel

ACTION = "0b0f6f0e-52a1-4f0c-9a63-3a5d6a1c7e90"
NOW = 1_795_500_000.0
JSON = {"content-type": ("application/json; odata.metadata=minimal; charset=utf-8",)}
HTML = {"content-type": ("text/html; charset=utf-8",)}

CANCELLED, ANSWERED, FAILED, DOUBT = Verdict.CANCELLED, Verdict.ANSWERED, Verdict.FAILED, Verdict.IN_DOUBT
THROTTLED, UNAUTHORIZED, NOT_SENT = Verdict.THROTTLED, Verdict.UNAUTHORIZED, Verdict.NOT_SENT


def action(**changes: Any) -> bytes:
    return json.dumps({"id": ACTION, "type": "Offboard", "status": "Cancelled"} | changes).encode()


def error(code: str, message: str = "words") -> bytes:
    return json.dumps({"error": {"code": code, "message": message, "target": "|3f"}}).encode()


def judged(answer: Answer | NoAnswer) -> CallOutcome:
    return classify_cancel(answer, ACTION, NOW)


ANSWERS = [
    # the answer, its verdict, its alarm, its code, the action's status
    pytest.param(Answer(200, JSON, action()), CANCELLED, None, "", "Cancelled", id="cancelled"),
    pytest.param(Answer(201, JSON, action()), CANCELLED, None, "", "Cancelled", id="201 like 200"),
    pytest.param(Answer(200, JSON, action(status="cancelled")), CANCELLED, None, "", "cancelled", id="in any case"),
    pytest.param(Answer(200, JSON, action(id=ACTION.upper())), CANCELLED, None, "", "Cancelled", id="the id's case"),
    pytest.param(Answer(200, JSON, action(id=f" {ACTION} ")), CANCELLED, None, "", "Cancelled", id="blanks around it"),
    pytest.param(Answer(200, JSON, action(status="Pending")), ANSWERED, None, "", "Pending", id="still pending"),
    pytest.param(Answer(200, JSON, action(status="InProgress")), ANSWERED, None, "", "InProgress", id="under way"),
    pytest.param(Answer(200, JSON, action(status="Dreaming")), ANSWERED, None, "", "Dreaming", id="an unknown word"),
    pytest.param(Answer(200, JSON, action(status="")), ANSWERED, None, "", "", id="no status proves nothing"),
    pytest.param(Answer(200, JSON, action(status=None)), ANSWERED, None, "", "", id="null proves nothing"),
    pytest.param(Answer(200, JSON, action(status="Succeeded")), ANSWERED, None, "TooLate", "Succeeded", id="too late"),
    pytest.param(Answer(200, JSON, action(status="Failed")), ANSWERED, None, "TooLate", "Failed", id="failed already"),
    pytest.param(Answer(200, JSON, action(status="TimeOut")), ANSWERED, None, "TooLate", "TimeOut", id="timed out"),
    pytest.param(Answer(200, JSON, action(id="x-2")), DOUBT, None, "WrongAction", "", id="another action"),
    pytest.param(Answer(200, JSON, action(id="")), DOUBT, None, "NoActionId", "", id="an empty id"),
    pytest.param(Answer(200, JSON, action(id=None)), DOUBT, None, "NoActionId", "", id="no id"),
    pytest.param(Answer(200, JSON, action(id=7)), DOUBT, None, "NoActionId", "", id="a number as id"),
    pytest.param(Answer(200, JSON, b""), DOUBT, None, "UnreadableAnswer", "", id="nothing"),
    pytest.param(Answer(200, JSON, b"[]"), DOUBT, None, "UnreadableAnswer", "", id="a list"),
    pytest.param(Answer(200, JSON, action(), complete=False), DOUBT, None, "UnreadableAnswer", "", id="cut off"),
    pytest.param(Answer(200, HTML, b"<html>"), DOUBT, Alarm.NOT_THE_API, "NotTheApi", "", id="a web page"),
    pytest.param(Answer(202, JSON, action()), DOUBT, None, "HTTP202", "", id="202 is not in use"),
    pytest.param(Answer(204), DOUBT, None, "HTTP204", "", id="204 is not in use"),
    pytest.param(Answer(302), DOUBT, Alarm.NOT_THE_API, "Redirect", "", id="a redirect"),
    pytest.param(Answer(400, JSON, error("BadRequest")), ANSWERED, None, "BadRequest", "", id="it cannot be cancelled"),
    pytest.param(Answer(400, JSON, error("NeverHeardOf")), ANSWERED, None, "NeverHeardOf", "", id="whatever the code"),
    *[
        pytest.param(Answer(400, JSON, error(code)), FAILED, Alarm.OUR_MISTAKE, code, "", id=f"{code} is our mistake")
        for code in ("InvalidRequestBody", "MissingRequiredParameter")
    ],
    pytest.param(Answer(400, HTML, b"<html>"), DOUBT, Alarm.NOT_THE_API, "NotTheApi", "", id="400 as a web page"),
    pytest.param(Answer(400), DOUBT, None, "UnreadableAnswer", "", id="400 without a word"),
    pytest.param(Answer(404, JSON, error("ResourceNotFound")), FAILED, None, "ResourceNotFound", "", id="404"),
    pytest.param(Answer(404), DOUBT, None, "UnreadableAnswer", "", id="404 without a word"),
    pytest.param(Answer(405), DOUBT, None, "UnreadableAnswer", "", id="405"),
    pytest.param(Answer(401, JSON, error("Unauthorized")), UNAUTHORIZED, None, "Unauthorized", "", id="401"),
    pytest.param(Answer(403, JSON, error("Forbidden")), FAILED, Alarm.PERMISSION, "Forbidden", "", id="403"),
    pytest.param(Answer(407), NOT_SENT, None, "ProxyRefused", "", id="407"),
    pytest.param(Answer(408), DOUBT, None, "HTTP408", "", id="408"),
    pytest.param(Answer(409, JSON, error("Conflict")), Verdict.ALREADY_OPEN, None, "Conflict", "", id="409"),
    pytest.param(Answer(429, JSON, error("429")), THROTTLED, None, "429", "", id="429"),
    *[
        pytest.param(Answer(status, JSON, action()), DOUBT, None, f"HTTP{status}", "", id=f"{status} may have worked")
        for status in (500, 501, 502, 503, 504)
    ],
    pytest.param(NoAnswer(Fault.UNREACHABLE, "refused"), NOT_SENT, None, "Unreachable", "", id="no connection"),
    pytest.param(NoAnswer(Fault.NO_TRUST, "expired"), NOT_SENT, Alarm.NO_TRUST, "NoTrust", "", id="no trust"),
    pytest.param(NoAnswer(Fault.LOST, "reset"), DOUBT, None, "NoAnswer", "", id="silence"),
    pytest.param(NoAnswer(Fault.INTERRUPTED, "stopped"), DOUBT, None, "Interrupted", "", id="stopped in the middle"),
]


@pytest.mark.parametrize(("answer", "verdict", "alarm", "code", "status"), ANSWERS)
def test_answer(answer: Answer | NoAnswer, verdict: Verdict, alarm: Alarm | None, code: str, status: str) -> None:
    outcome = judged(answer)
    assert (outcome.verdict, outcome.alarm, outcome.code, outcome.action_status) == (verdict, alarm, code, status)


def test_a_cancelled_action_is_named() -> None:
    assert judged(Answer(200, JSON, action())) == CallOutcome(
        CANCELLED, http_status=200, action_id=ACTION, action_status="Cancelled"
    )


def test_the_case_of_the_id_does_not_matter_on_either_side() -> None:
    assert classify_cancel(Answer(200, JSON, action(id="ab-1")), "AB-1", NOW).verdict is CANCELLED


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("Pending", "The cancellation was accepted; the action was still Pending."),
        ("", "The cancellation was accepted; the action was still without a status."),
        ("Succeeded", "The action had already ended (Succeeded)."),
    ],
)
def test_what_came_of_the_action_is_told(status: str, words: str) -> None:
    assert judged(Answer(200, JSON, action(status=status))).message == words


def test_another_action_is_named() -> None:
    assert judged(Answer(200, JSON, action(id="x\u20282"))).code == "NoActionId"
    assert judged(Answer(200, JSON, action(id="x-2"))).message == "The answer names another machine action (x-2)."


def test_a_refusal_carries_the_apis_words_and_the_wait() -> None:
    refusal = judged(Answer(400, JSON, error("BadRequest", "Action is final")))
    assert (refusal.http_status, refusal.message, refusal.target) == (400, "Action is final", "|3f")
    assert judged(Answer(429, {"retry-after": ("30",)})).retry_after == 30.0
    assert judged(Answer(503, {"retry-after": ("30",)})).retry_after == 30.0


def test_the_request_is_what_the_api_documents() -> None:
    request = cancel_request("https://api.security.microsoft.com", ACTION, "Größe")
    assert (request.method, request.url) == (
        "POST",
        f"https://api.security.microsoft.com/api/machineactions/{ACTION}/cancel",
    )
    assert request.body == '{"Comment": "Größe"}'.encode()
    assert request.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "action_id", ["", ".", "..", "a/b", "../x", "a?b", "a#b", "a b", "a%2e", "x\n", "ä", "a:b", "x" * 201]
)
def test_no_request_is_built_for_an_id_that_no_path_can_hold(action_id: str) -> None:
    with pytest.raises(ValueError, match="not a machine action ID"):
        cancel_request("https://api.security.microsoft.com", action_id, "x")


@pytest.mark.parametrize("action_id", [ACTION, "x-1", "a.b", "...", ".a", "x" * 200])
def test_a_request_is_built_for_every_other_id(action_id: str) -> None:
    assert cancel_request("https://h", action_id, "x").url == f"https://h/api/machineactions/{action_id}/cancel"


@given(st.integers(100, 999), st.binary(max_size=300) | st.just(action()), st.booleans())
def test_nothing_is_called_cancelled_but_by_a_whole_answer_that_says_so(
    status: int, body: bytes, complete: bool
) -> None:
    verdict = judged(Answer(status, JSON, body, complete)).verdict
    assert (verdict is CANCELLED) == (status in (200, 201) and complete and body == action())
