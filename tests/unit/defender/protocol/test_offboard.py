"""The requests that the API requires, and one row for each known or possible answer."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.core.jobs import Alarm, CallOutcome, Verdict
from batch_offboard.core.tenant import MAX_COMMENT, comment_with_token, correlation_token
from batch_offboard.defender.protocol import Answer, Fault, NoAnswer, classify, offboard_request

DEVICE = "a3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0"
ACTION = "0b0f6f0e-52a1-4f0c-9a63-3a5d6a1c7e90"
NOW = 1_795_500_000.0
JSON = {"content-type": ("application/json; odata.metadata=minimal; charset=utf-8",)}
HTML = {"content-type": ("text/html; charset=utf-8",)}


def action(**changes: Any) -> bytes:
    body = {"id": ACTION, "type": "Offboard", "status": "Pending", "machineId": DEVICE, "errorHResult": 0}
    return json.dumps(body | changes).encode()


def error(code: str, message: str = "words", target: str = "|3f") -> bytes:
    return json.dumps({"error": {"code": code, "message": message, "target": target}}).encode()


def judged(answer: Answer | NoAnswer) -> CallOutcome:
    return classify(answer, DEVICE, NOW)


SUBMITTED, FAILED, DOUBT = Verdict.SUBMITTED, Verdict.FAILED, Verdict.IN_DOUBT
THROTTLED, UNAUTHORIZED, NOT_SENT = Verdict.THROTTLED, Verdict.UNAUTHORIZED, Verdict.NOT_SENT
OPEN = Verdict.ALREADY_OPEN

ANSWERS = [
    # the answer, its verdict, its alarm, its code
    pytest.param(Answer(201, JSON, action()), SUBMITTED, None, "", id="201 is accepted"),
    pytest.param(Answer(200, JSON, action()), SUBMITTED, None, "", id="200 is accepted like 201"),
    pytest.param(Answer(201, {}, action()), SUBMITTED, None, "", id="a missing content type does not matter"),
    pytest.param(
        Answer(201, JSON, b"\xef\xbb\xbf" + action()), SUBMITTED, None, "", id="a byte order mark does not matter"
    ),
    pytest.param(Answer(201, JSON, action(id="not-a-guid")), SUBMITTED, None, "", id="the action id is opaque"),
    pytest.param(Answer(201, JSON, action(status="Dreaming")), SUBMITTED, None, "", id="an unknown status is kept"),
    pytest.param(
        Answer(201, JSON, action(invented={"a": [1]})), SUBMITTED, None, "", id="unknown fields do not matter"
    ),
    pytest.param(Answer(201, JSON, action(machineId=None)), SUBMITTED, None, "", id="the machine may be null"),
    pytest.param(
        Answer(201, JSON, action(machineId=DEVICE.upper())), SUBMITTED, None, "", id="the machine's case is free"
    ),
    pytest.param(
        Answer(
            200, JSON, action(requestorComment="somebody else's", creationDateTimeUtc="2026-11-01T08:15:31.4412093Z")
        ),
        SUBMITTED,
        None,
        "",
        id="the device's older action is the device's action",
    ),
    pytest.param(
        Answer(201, JSON, action(machineId=f" {DEVICE} ")), SUBMITTED, None, "", id="blanks around the machine"
    ),
    pytest.param(Answer(201, JSON, action(type=None)), SUBMITTED, None, "", id="the type may be null"),
    pytest.param(Answer(201, JSON, action(type=" OFFBOARD ")), SUBMITTED, None, "", id="the type's case is free"),
    pytest.param(Answer(201, JSON, action(id="")), DOUBT, None, "NoActionId", id="201 with an empty id"),
    pytest.param(Answer(201, JSON, action(id=None)), DOUBT, None, "NoActionId", id="201 with a null id"),
    pytest.param(Answer(201, JSON, action(id=7)), DOUBT, None, "NoActionId", id="201 with a number as id"),
    pytest.param(Answer(201, JSON, b"{}"), DOUBT, None, "NoActionId", id="201 without an id"),
    pytest.param(Answer(201, JSON, b"[]"), DOUBT, None, "UnreadableAnswer", id="201 with a list"),
    pytest.param(Answer(201, JSON, b""), DOUBT, None, "UnreadableAnswer", id="201 with nothing"),
    pytest.param(Answer(201, JSON, action()[:40]), DOUBT, None, "UnreadableAnswer", id="201 with half the JSON"),
    pytest.param(Answer(201, JSON, action(), complete=False), DOUBT, None, "UnreadableAnswer", id="201 cut off"),
    pytest.param(Answer(201, JSON, action().decode().encode("utf-16")), DOUBT, None, "UnreadableAnswer", id="UTF-16"),
    pytest.param(Answer(201, JSON, b'{"id": "a", "id": "b"}'), DOUBT, None, "UnreadableAnswer", id="a name twice"),
    pytest.param(Answer(201, JSON, b'{"id": "a", "x": NaN}'), DOUBT, None, "UnreadableAnswer", id="NaN"),
    pytest.param(Answer(201, JSON, b'{"x":' * 10_000), DOUBT, None, "UnreadableAnswer", id="depth 10,000"),
    pytest.param(
        Answer(201, JSON, b'{"x": 1' + b"0" * 5000 + b"}"), DOUBT, None, "UnreadableAnswer", id="a huge number"
    ),
    pytest.param(Answer(201, HTML, b"<html>Sign in</html>"), DOUBT, Alarm.NOT_THE_API, "NotTheApi", id="a login page"),
    pytest.param(Answer(200, {}, b" <!doctype html>"), DOUBT, Alarm.NOT_THE_API, "NotTheApi", id="an unlabelled page"),
    pytest.param(
        Answer(201, JSON, action(machineId="b" * 40)), DOUBT, Alarm.WRONG_ANSWER, "WrongAction", id="another machine"
    ),
    pytest.param(
        Answer(201, JSON, action(type="Isolate")), DOUBT, Alarm.WRONG_ANSWER, "WrongAction", id="another kind of action"
    ),
    pytest.param(Answer(202, JSON, action()), DOUBT, None, "HTTP202", id="202 is not in use"),
    pytest.param(Answer(204), DOUBT, None, "HTTP204", id="204 is not in use"),
    pytest.param(Answer(101), DOUBT, None, "HTTP101", id="101 is no answer"),
    *[
        pytest.param(Answer(status), DOUBT, Alarm.NOT_THE_API, "Redirect", id=f"{status} is never followed")
        for status in (301, 302, 303, 307, 308)
    ],
    pytest.param(
        Answer(400, JSON, error("OsPlatformNotSupported")), FAILED, None, "OsPlatformNotSupported", id="platform"
    ),
    pytest.param(
        Answer(400, JSON, error("ClientVersionNotSupported")), FAILED, None, "ClientVersionNotSupported", id="client"
    ),
    pytest.param(
        Answer(400, JSON, error("NeverHeardOf")), FAILED, None, "NeverHeardOf", id="an unknown code is refused"
    ),
    pytest.param(
        Answer(400, JSON, error("ActiveRequestAlreadyExists")),
        OPEN,
        None,
        "ActiveRequestAlreadyExists",
        id="open already",
    ),
    pytest.param(Answer(409, JSON, error("Conflict")), OPEN, None, "Conflict", id="409"),
    *[
        pytest.param(Answer(400, JSON, error(code)), FAILED, Alarm.OUR_MISTAKE, code, id=f"{code} is our mistake")
        for code in ("InvalidRequestBody", "MissingRequiredParameter", "ODataError")
    ],
    pytest.param(Answer(400, HTML, b"<html>"), DOUBT, Alarm.NOT_THE_API, "NotTheApi", id="400 as a web page"),
    pytest.param(Answer(400, JSON, b'{"error": "text"}'), DOUBT, None, "UnreadableAnswer", id="400 in another shape"),
    pytest.param(Answer(400, JSON, b'{"error": {"code": " "}}'), DOUBT, None, "UnreadableAnswer", id="a blank code"),
    pytest.param(Answer(405), DOUBT, None, "UnreadableAnswer", id="405 with an empty body"),
    pytest.param(Answer(407, HTML, b"<html>"), NOT_SENT, None, "ProxyRefused", id="407 is the proxy's"),
    pytest.param(Answer(408, JSON, error("RequestTimeout")), DOUBT, None, "RequestTimeout", id="408 says nothing"),
    pytest.param(Answer(404, JSON, error("ResourceNotFound")), FAILED, None, "ResourceNotFound", id="404"),
    pytest.param(Answer(404, HTML, b"<html>"), DOUBT, Alarm.NOT_THE_API, "NotTheApi", id="404 of somebody else"),
    pytest.param(Answer(401, JSON, error("Unauthorized")), UNAUTHORIZED, None, "Unauthorized", id="401"),
    pytest.param(Answer(401), UNAUTHORIZED, None, "HTTP401", id="401 with an empty body"),
    pytest.param(Answer(403, JSON, error("Forbidden")), FAILED, Alarm.PERMISSION, "Forbidden", id="403"),
    pytest.param(
        Answer(403, JSON, error("DisabledFeature")), FAILED, Alarm.PERMISSION, "DisabledFeature", id="feature off"
    ),
    pytest.param(Answer(403, JSON, error("DisallowedOperation")), FAILED, None, "DisallowedOperation", id="disallowed"),
    pytest.param(Answer(403, HTML, b"<html>"), DOUBT, Alarm.NOT_THE_API, "NotTheApi", id="403 of a proxy"),
    pytest.param(Answer(403, JSON, b""), DOUBT, Alarm.PERMISSION, "HTTP403", id="403 without a word"),
    pytest.param(Answer(429, JSON, error("TooManyRequests")), THROTTLED, None, "TooManyRequests", id="429 documented"),
    pytest.param(Answer(429, JSON, error("429")), THROTTLED, None, "429", id="429 as it was seen"),
    pytest.param(Answer(429, HTML, b"<html>"), THROTTLED, None, "HTTP429", id="429 as a web page"),
    *[
        pytest.param(Answer(status, JSON, error("Oops")), DOUBT, None, "Oops", id=f"{status} may have been accepted")
        for status in (500, 501, 502, 503, 504, 599)
    ],
    pytest.param(Answer(500, HTML, b"<html>"), DOUBT, None, "HTTP500", id="500 as a web page"),
    pytest.param(Answer(777), DOUBT, None, "HTTP777", id="a status nobody has heard of"),
    pytest.param(NoAnswer(Fault.UNREACHABLE, "refused"), NOT_SENT, None, "Unreachable", id="no connection"),
    pytest.param(NoAnswer(Fault.NO_TRUST, "expired"), NOT_SENT, Alarm.NO_TRUST, "NoTrust", id="no trusted certificate"),
    pytest.param(NoAnswer(Fault.LOST, "reset"), DOUBT, None, "NoAnswer", id="connection lost after sending"),
    pytest.param(NoAnswer(Fault.INTERRUPTED, "stopped"), DOUBT, None, "Interrupted", id="stopped in the middle"),
]


@pytest.mark.fault(57, "Failed, and the run stops at the first.", case="403")
@pytest.mark.fault(58, "Failed, and the run stops.", case="feature off")
@pytest.mark.fault(59, "Failed.", case="404")
@pytest.mark.fault(61, "Failed, not retried.", case="platform")
@pytest.mark.fault(63, "An unknown code is a failure.", case="an unknown code is refused")
@pytest.mark.fault(63, "A web page is a doubt.", case="400 as a web page")
@pytest.mark.fault(69, "In doubt.", case="500 as a web page")
@pytest.mark.fault(73, "In doubt.", case="201 with an empty id")
@pytest.mark.fault(74, "In doubt, and the run stops.", case="another machine")
@pytest.mark.fault(74, "In doubt, and the run stops.", case="another kind of action")
@pytest.mark.fault(77, "200 is accepted like 201.", case="200 is accepted like 201")
@pytest.mark.fault(77, "Others are doubts.", case="202 is not in use")
@pytest.mark.fault(79, "In doubt.", case="a login page")
@pytest.mark.parametrize(("answer", "verdict", "alarm", "code"), ANSWERS)
def test_answer(answer: Answer | NoAnswer, verdict: Verdict, alarm: Alarm | None, code: str) -> None:
    outcome = judged(answer)
    assert (outcome.verdict, outcome.alarm, outcome.code) == (verdict, alarm, code)


def test_an_accepted_call_carries_the_action_as_the_api_named_it() -> None:
    assert judged(Answer(201, JSON, action(id=" x-1 ", status="Queued"))) == CallOutcome(
        SUBMITTED, http_status=201, action_id="x-1", action_status="Queued"
    )


def test_a_refusal_carries_the_apis_code_text_and_tracking_id() -> None:
    outcome = judged(Answer(404, JSON, error("ResourceNotFound", "Machine was\nnot found", "8f6f")))
    assert (outcome.http_status, outcome.message, outcome.target) == (404, "Machine was not found", "8f6f")


WORDS = [
    # if the API gives no message
    (Answer(201, JSON, b""), "The answer was cut off or is not JSON."),
    (Answer(201, JSON, b"{}"), "Accepted, but the answer names no machine action."),
    (Answer(201, JSON, action(machineId="b" * 40)), f"The answer is about another device ({'b' * 40})."),
    (Answer(201, JSON, action(type="Isolate")), "The answer is about another kind of action (Isolate)."),
    (Answer(204), "The answer does not say whether the device was accepted."),
    (Answer(302), "The API answered with a redirect, which is never followed."),
    (Answer(400, JSON, b'{"error": {"code": "X"}}'), "The API refused the device."),
    (Answer(400, JSON, error("ActiveRequestAlreadyExists", "")), "An offboard action of this device is already open."),
    (Answer(401), "The token was not accepted."),
    (Answer(403, JSON, error("Forbidden", "")), "The token lacks a permission."),
    (Answer(407), "The proxy requires authentication (407); check network.proxy_user and its password."),
    (Answer(409), "Another action of this device is in progress."),
    (Answer(429), "The quota is used up."),
    (Answer(500), "The server failed; it may still have carried out the call."),
]


@pytest.mark.parametrize(("answer", "words"), WORDS)
def test_words_of_our_own_where_the_api_has_none(answer: Answer, words: str) -> None:
    assert judged(answer).message == words


def test_a_long_message_is_cut() -> None:
    assert len(judged(Answer(400, JSON, error("X", "y" * 9000))).message) == 500


def test_words_that_cannot_be_kept_or_shown_are_spelled_out() -> None:
    outcome = judged(
        Answer(400, JSON, b'{"error": {"code": "A\\ud83d", "message": "\\u001b[2J\\ud83d", "target": "t"}}')
    )
    assert (outcome.code, outcome.message) == ("A\\ud83d", "\\x1b[2J\\ud83d")


@pytest.mark.parametrize("identifier", ["a\ud83d", "a\x1b[2J", "a\nb", "x" * 501])
def test_an_action_id_that_cannot_be_kept_or_shown_is_none(identifier: str) -> None:
    assert judged(Answer(201, JSON, action(id=identifier))).code == "NoActionId"


def test_a_429_that_asks_for_more_than_an_hour_stops_the_run_and_waits_an_hour() -> None:
    outcome = judged(Answer(429, {"retry-after": ("999999",)}))
    assert (outcome.retry_after, outcome.alarm) == (3600.0, Alarm.LONG_WAIT)
    an_hour = judged(Answer(429, {"retry-after": ("3600",)}))
    assert (an_hour.retry_after, an_hour.alarm) == (3600.0, None)


@pytest.mark.fault(70, "In doubt, and all calls wait.")
def test_a_503_is_in_doubt_and_its_wait_is_obeyed() -> None:
    outcome = judged(Answer(503, {"retry-after": ("120",)}))
    assert (outcome.verdict, outcome.retry_after) == (DOUBT, 120.0)


def test_a_500_without_a_wait_asks_for_none() -> None:
    assert judged(Answer(500)).retry_after is None


def test_the_request_is_what_the_api_documents() -> None:
    request = offboard_request("https://api.security.microsoft.com", DEVICE, "Größe [bo b/1/1]")
    assert (request.method, request.url) == (
        "POST",
        f"https://api.security.microsoft.com/api/machines/{DEVICE}/offboard",
    )
    assert request.body == '{"Comment": "Größe [bo b/1/1]"}'.encode()
    assert request.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("device", ["", DEVICE.upper(), DEVICE[:-1], DEVICE + "\n", "../../x", "a" * 39 + "/"])
def test_no_request_is_built_for_what_is_no_device_id(device: str) -> None:
    with pytest.raises(ValueError, match="not a device ID"):
        offboard_request("https://api.security.microsoft.com", device, "x")


def test_the_token_stands_whole_at_the_end_of_the_comment() -> None:
    token = correlation_token("20261124-0815-kqzt", 17, 2)
    assert token == "[bo 20261124-0815-kqzt/17/2]"
    assert comment_with_token("CHG0042", token) == "CHG0042 [bo 20261124-0815-kqzt/17/2]"
    assert comment_with_token(" ", token) == token


def test_a_comment_is_cut_at_500_characters_and_never_its_token() -> None:
    token = correlation_token("20261124-0815-kqzt", 17, 2)
    assert comment_with_token("x" * 9000, token) == "x" * (499 - len(token)) + " " + token
    assert comment_with_token("x" * (498 - len(token)) + " y", token) == "x" * (498 - len(token)) + " " + token


def test_a_comment_cannot_carry_a_token_of_its_own() -> None:
    assert comment_with_token("[bo x/1/1] hi", "[bo y/2/1]") == "(bo x/1/1] hi [bo y/2/1]"


@given(st.text(max_size=2000), st.integers(1, 10**6))
def test_any_comment_becomes_one_line_of_bounded_length_that_ends_with_the_token(text: str, row: int) -> None:
    token = correlation_token("20261124-0815-kqzt", row, 1)
    comment = comment_with_token(text, token)
    assert comment.endswith(token)
    assert comment.count("[bo") == 1
    assert len(comment) <= MAX_COMMENT
    assert len(comment.splitlines()) == 1


@pytest.mark.fault(80, "Any bytes get a verdict.")
@given(st.integers(100, 999), st.binary(max_size=300), st.booleans())
def test_any_bytes_get_a_verdict_and_none_is_accepted_without_an_action(
    status: int, body: bytes, complete: bool
) -> None:
    outcome = judged(Answer(status, JSON, body, complete))
    assert outcome.verdict is not SUBMITTED or (status in (200, 201) and outcome.action_id)
    assert outcome.verdict is not FAILED or 400 <= status < 500


TOKEN = "[bo batch-1/2/1]"


@pytest.mark.fault(76, "Submitted with that action, which is never taken for our own.")
@pytest.mark.parametrize(
    ("comment", "own"),
    [(f"CHG0042 {TOKEN}", True), (None, True), (" ", True), ("somebody else's", False), ("[bo batch-1/2/2]", False)],
)
def test_an_action_with_another_comment_is_not_of_our_making(comment: str | None, own: bool) -> None:
    outcome = classify(Answer(201, JSON, action(requestorComment=comment)), DEVICE, NOW, TOKEN)
    assert (outcome.verdict, outcome.own_action) == (SUBMITTED, own)
