"""What each answer to a read means: a result, an empty result, or none."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.defender.protocol import Answer, Fault, NoAnswer, Read, ReadKind, classify_read

NOW = 1_795_509_000.0  # 2026-11-24 08:30:00 UTC
JSON = {"content-type": ("application/json; odata.metadata=minimal; charset=utf-8",)}
HTML = {"content-type": ("text/html; charset=utf-8",)}
ACTION = {"id": "0b0f6f0e-52a1", "type": "Offboard"}

PAGE, EMPTY, FORBIDDEN = ReadKind.PAGE, ReadKind.EMPTY, ReadKind.FORBIDDEN
NOT_OFFERED, AGAIN, REFUSED = ReadKind.NOT_OFFERED, ReadKind.AGAIN, ReadKind.REFUSED
THROTTLED, UNAUTHORIZED = ReadKind.THROTTLED, ReadKind.UNAUTHORIZED


def page(*items: Any, **more: Any) -> bytes:
    return json.dumps({"@odata.context": "$metadata#Machines", "value": items, **more}).encode()


def error(code: str, message: str = "words", target: str = "|3f") -> bytes:
    return json.dumps({"error": {"code": code, "message": message, "target": target}}).encode()


def waits(*values: str) -> dict[str, tuple[str, ...]]:
    return {**JSON, "retry-after": values}


# Answers to any request: the answer, what it means, its code.
ANSWERS = [
    pytest.param(Answer(204), AGAIN, "UnreadableAnswer", id="204 says nothing"),
    pytest.param(Answer(202, JSON, page()), AGAIN, "UnreadableAnswer", id="202 is no list"),
    pytest.param(Answer(206, JSON, page()), AGAIN, "UnreadableAnswer", id="206 is a part of a list"),
    pytest.param(Answer(101), AGAIN, "UnreadableAnswer", id="101 is no answer"),
    pytest.param(Answer(777), AGAIN, "UnreadableAnswer", id="a status nobody has heard of"),
    *[
        pytest.param(Answer(status, JSON, page()), REFUSED, "Redirect", id=f"{status} is never followed")
        for status in (301, 302, 303, 307, 308)
    ],
    pytest.param(Answer(302, HTML, b"<html>"), REFUSED, "Redirect", id="a redirect of a portal"),
    pytest.param(Answer(400, JSON, error("ODataError")), REFUSED, "ODataError", id="the filter is not understood"),
    pytest.param(Answer(400, JSON, error("BadRequest")), REFUSED, "BadRequest", id="400"),
    pytest.param(Answer(400, HTML, b"<html>"), AGAIN, "NotTheApi", id="400 as a web page"),
    pytest.param(Answer(400, JSON, b""), AGAIN, "UnreadableAnswer", id="400 without a word"),
    pytest.param(Answer(400, JSON, error("X"), complete=False), AGAIN, "UnreadableAnswer", id="400 cut off"),
    pytest.param(Answer(401, JSON, error("Unauthorized")), UNAUTHORIZED, "Unauthorized", id="401"),
    pytest.param(Answer(401), UNAUTHORIZED, "HTTP401", id="401 without a word"),
    pytest.param(Answer(401, HTML, b"<html>"), UNAUTHORIZED, "HTTP401", id="401 as a web page"),
    pytest.param(Answer(403, JSON, error("Forbidden")), FORBIDDEN, "Forbidden", id="403"),
    pytest.param(Answer(403, JSON, error("DisabledFeature")), FORBIDDEN, "DisabledFeature", id="the feature is off"),
    pytest.param(Answer(403, HTML, b"<html>"), NOT_OFFERED, "HTTP403", id="403 of a proxy"),
    pytest.param(Answer(403), NOT_OFFERED, "HTTP403", id="403 without a word"),
    pytest.param(Answer(404, JSON, error("NotFound")), EMPTY, "NotFound", id="404 is an empty list"),
    pytest.param(Answer(404, JSON, error("ResourceNotFound")), EMPTY, "ResourceNotFound", id="404 by its other name"),
    pytest.param(Answer(404, HTML, b"<html>"), NOT_OFFERED, "HTTP404", id="404 of somebody else"),
    pytest.param(Answer(404), NOT_OFFERED, "HTTP404", id="404 without a word"),
    pytest.param(
        Answer(404, JSON, error("NotFound"), complete=False), NOT_OFFERED, "HTTP404", id="404 cut off is no empty list"
    ),
    pytest.param(Answer(405), NOT_OFFERED, "HTTP405", id="405"),
    pytest.param(Answer(501), NOT_OFFERED, "HTTP501", id="501"),
    pytest.param(Answer(407, HTML, b"<html>"), REFUSED, "ProxyRefused", id="407 is the proxy's"),
    pytest.param(Answer(407, JSON, error("X")), REFUSED, "ProxyRefused", id="407 is never the API's"),
    pytest.param(Answer(408, JSON, error("RequestTimeout")), AGAIN, "RequestTimeout", id="408 may go better"),
    pytest.param(Answer(408), AGAIN, "HTTP408", id="408 without a word"),
    pytest.param(Answer(409, JSON, error("Conflict")), REFUSED, "Conflict", id="409"),
    pytest.param(Answer(429, JSON, error("TooManyRequests")), THROTTLED, "TooManyRequests", id="429 documented"),
    pytest.param(Answer(429, JSON, error("429")), THROTTLED, "429", id="429 as it was seen"),
    pytest.param(Answer(429, HTML, b"<html>"), THROTTLED, "HTTP429", id="429 as a web page"),
    *[
        pytest.param(Answer(status, JSON, error("Oops")), AGAIN, "Oops", id=f"{status} may go better")
        for status in (500, 502, 503, 504, 599)
    ],
    pytest.param(Answer(500, JSON, page(ACTION)), AGAIN, "HTTP500", id="500 with a list is no list"),
    pytest.param(Answer(502, HTML, b"<html>"), AGAIN, "HTTP502", id="502 as a web page"),
    pytest.param(NoAnswer(Fault.UNREACHABLE, "refused"), AGAIN, "Unreachable", id="no connection"),
    pytest.param(NoAnswer(Fault.NO_TRUST, "expired"), REFUSED, "NoTrust", id="no trusted certificate"),
    pytest.param(NoAnswer(Fault.LOST, "reset"), AGAIN, "NoAnswer", id="connection lost"),
    pytest.param(NoAnswer(Fault.INTERRUPTED, "stopped"), AGAIN, "NoAnswer", id="stopped in the middle"),
]


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize(("answer", "kind", "code"), ANSWERS)
def test_answer(answer: Answer | NoAnswer, kind: ReadKind, code: str, single: bool) -> None:
    read = classify_read(answer, NOW, single=single)
    assert (read.kind, read.code) == (kind, code)
    assert (read.items, read.next_link) == ((), "")


NEXT = "https://api.security.microsoft.com/api/machines?$skip=10000"
LISTS = [
    # the body of a 200, what it means, the items, the link to the next page
    pytest.param(page(ACTION), PAGE, [ACTION], "", id="a page"),
    pytest.param(page(), PAGE, [], "", id="a page of nothing"),
    pytest.param(b"\xef\xbb\xbf" + page(ACTION), PAGE, [ACTION], "", id="a byte order mark"),
    pytest.param(page(ACTION, **{"@odata.nextLink": NEXT}), PAGE, [ACTION], NEXT, id="and a next page"),
    pytest.param(page(**{"@odata.nextLink": NEXT}), PAGE, [], NEXT, id="nothing, and a next page"),
    pytest.param(page(ACTION, **{"@odata.nextLink": None}), PAGE, [ACTION], "", id="the next page is null"),
    pytest.param(page(ACTION, **{"@odata.nextLink": ""}), PAGE, [ACTION], "", id="the next page is empty"),
    pytest.param(page(ACTION, **{"@odata.nextLink": 7}), AGAIN, (), "", id="the next page cannot be told"),
    pytest.param(page(ACTION, invented=[1]), PAGE, [ACTION], "", id="unknown members do not matter"),
    pytest.param(page(None, 7, "x", [], ACTION), PAGE, [ACTION], "", id="items that are no objects"),
    pytest.param(b'{"value": [{"id": "a", "id": "b"}]}', PAGE, [{"id": "b"}], "", id="a name twice"),
    pytest.param(b'{"value": {}}', AGAIN, (), "", id="an object for a list"),
    pytest.param(b'{"value": null}', AGAIN, (), "", id="null for a list"),
    pytest.param(b"{}", AGAIN, (), "", id="no list at all"),
    pytest.param(json.dumps(ACTION).encode(), AGAIN, (), "", id="one thing for a list"),
    pytest.param(b"[]", AGAIN, (), "", id="a bare list"),
    pytest.param(b"", AGAIN, (), "", id="nothing"),
    pytest.param(page(ACTION)[:-2], AGAIN, (), "", id="half the JSON"),
    pytest.param(page().decode().encode("utf-16"), AGAIN, (), "", id="UTF-16"),
    pytest.param(b"[" * 100_000, AGAIN, (), "", id="depth 100,000"),
    pytest.param(b'{"value": [1' + b"0" * 5000 + b"]}", AGAIN, (), "", id="a huge number"),
    pytest.param(b"<html>Sign in</html>", AGAIN, (), "", id="an unlabelled page"),
    pytest.param(error("TooEarly"), AGAIN, (), "", id="an error for a list"),
]


@pytest.mark.parametrize(("body", "kind", "items", "link"), LISTS)
def test_list(body: bytes, kind: ReadKind, items: object, link: str) -> None:
    read = classify_read(Answer(200, JSON, body), NOW)
    assert (read.kind, read.items, read.next_link) == (kind, items, link)


def test_a_list_that_was_cut_off_is_none() -> None:
    read = classify_read(Answer(200, JSON, page(ACTION), complete=False), NOW)
    assert (read.kind, read.items, read.code) == (AGAIN, (), "UnreadableAnswer")


def test_a_web_page_is_no_list_whatever_it_is_called() -> None:
    read = classify_read(Answer(200, HTML, b"<html>Sign in</html>"), NOW)
    assert (read.kind, read.code) == (AGAIN, "NotTheApi")
    assert read.message == ("A web page came back instead of the API's answer; a proxy or a portal may be in the way.")


@pytest.mark.parametrize(
    ("body", "kind", "items"),
    [
        pytest.param(json.dumps(ACTION).encode(), PAGE, (ACTION,), id="the thing"),
        pytest.param(json.dumps(ACTION | {"id": 7}).encode(), AGAIN, (), id="a number as id"),
        pytest.param(b'{"type": "Offboard"}', AGAIN, (), id="no id"),
        pytest.param(page(ACTION), AGAIN, (), id="a list for one thing"),
        pytest.param(b"null", AGAIN, (), id="null"),
        pytest.param(b"", AGAIN, (), id="nothing"),
    ],
)
def test_one_thing(body: bytes, kind: ReadKind, items: object) -> None:
    read = classify_read(Answer(200, JSON, body), NOW, single=True)
    assert (read.kind, read.items, read.next_link) == (kind, items, "")


def test_one_thing_that_was_cut_off_is_none() -> None:
    read = classify_read(Answer(200, JSON, json.dumps(ACTION).encode(), complete=False), NOW, single=True)
    assert (read.kind, read.items) == (AGAIN, ())


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        pytest.param(Answer(429, waits("30")), 30.0, id="429 with seconds"),
        pytest.param(Answer(429, waits("Tue, 24 Nov 2026 08:32:00 GMT")), 120.0, id="429 with a date"),
        pytest.param(Answer(429, waits("Tue, 24 Nov 2026 08:29:00 GMT")), 60.0, id="429 with a date that has passed"),
        pytest.param(Answer(429), 60.0, id="429 without"),
        pytest.param(Answer(429, waits("0")), 60.0, id="429 with zero"),
        pytest.param(Answer(429, waits("-5")), 60.0, id="429 with a negative"),
        pytest.param(Answer(429, waits("abc")), 60.0, id="429 with a word"),
        pytest.param(Answer(429, waits("30", "40")), 60.0, id="429 with two"),
        pytest.param(Answer(429, waits("999999")), 999_999.0, id="429 for days is told as it is"),
        pytest.param(Answer(503, waits("120")), 120.0, id="503 with a wait"),
        pytest.param(Answer(503, waits("abc")), 60.0, id="503 with a word"),
        pytest.param(Answer(503, waits("999999")), 3600.0, id="503 waits an hour at most"),
        pytest.param(Answer(503), None, id="503 without a wait asks for none"),
        pytest.param(Answer(500, JSON, error("Oops")), None, id="500 asks for none"),
        pytest.param(Answer(200, waits("30"), page()), None, id="a page asks for none"),
        pytest.param(NoAnswer(Fault.LOST, "reset"), None, id="silence asks for none"),
    ],
)
def test_how_long_to_wait(answer: Answer | NoAnswer, seconds: float | None) -> None:
    assert classify_read(answer, NOW).retry_after == seconds


def test_a_refusal_carries_the_apis_code_text_and_tracking_id() -> None:
    read = classify_read(Answer(403, JSON, error("Forbidden", "Missing application\nroles.", "8f6f")), NOW)
    assert read == Read(
        FORBIDDEN, http_status=403, code="Forbidden", message="Missing application roles.", target="8f6f"
    )


WORDS = [
    # if the API gives no message
    (Answer(200), "The answer was cut off or is not a list."),
    (Answer(400, JSON, b'{"error": {"code": "X"}}'), "The API refused."),
    (Answer(401), "The token was not accepted."),
    (Answer(403), "Reading is not allowed."),
    (Answer(404), "Nothing was found."),
    (Answer(405), "This server does not support the call."),
    (Answer(407), "The proxy requires authentication (407); check network.proxy_user and its password."),
    (Answer(429), "The quota is used up."),
    (Answer(500), "The server failed."),
    (Answer(302), "The API answered with a redirect, which is never followed."),
]


@pytest.mark.parametrize(("answer", "words"), WORDS)
def test_words_of_our_own_where_the_api_has_none(answer: Answer, words: str) -> None:
    assert classify_read(answer, NOW).message == words


def test_silence_is_told_in_the_networks_words() -> None:
    assert classify_read(NoAnswer(Fault.UNREACHABLE, "no route"), NOW) == Read(
        AGAIN, code="Unreachable", message="no route"
    )


@pytest.mark.parametrize("status", [200, 404, 429, 500])
def test_every_answer_tells_the_servers_time(status: int) -> None:
    answer = Answer(status, {"date": ("Tue, 24 Nov 2026 08:31:00 GMT",)}, page())
    assert classify_read(answer, NOW).server_time == NOW + 60


HEADERS = st.sampled_from([{}, JSON, HTML, waits("30"), waits("soon")])
BODIES = st.one_of(st.binary(max_size=200), st.just(page(ACTION)), st.just(error("X")), st.just(b"<html>"))


@pytest.mark.fault(88, "Nothing else is taken for an empty list.")
@given(st.integers(100, 999), HEADERS, BODIES, st.booleans(), st.booleans())
def test_only_a_whole_200_is_a_page_and_only_the_apis_404_is_empty(
    status: int, headers: dict[str, tuple[str, ...]], body: bytes, complete: bool, single: bool
) -> None:
    read = classify_read(Answer(status, headers, body, complete), NOW, single=single)
    assert (read.kind is PAGE) <= (status == 200 and complete)
    assert (read.kind is EMPTY) <= (status == 404 and complete and body == error("X"))
    assert (not read.items and not read.next_link) or read.kind is PAGE
    assert (read.retry_after is None) or read.retry_after > 0
