"""What all answers share: waits, times, errors, and texts that can be stored and shown."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.core.tenant import ApiName
from batch_offboard.defender.protocol import Answer, parse_object, retry_after
from batch_offboard.defender.protocol.wire import (
    ApiError,
    api_error,
    identifier,
    is_web_page,
    kept_text,
    moment,
    server_time,
)

NOW = 1_795_500_000.0
JSON = {"content-type": ("application/json; odata.metadata=minimal; charset=utf-8",)}
HTML = {"content-type": ("Text/HTML; charset=utf-8",)}
HALF_PAST_EIGHT = 1_795_509_000.0
ONE_HALF_HOUR_LATER = ("Tue, 24 Nov 2026 09:00:00 GMT",)

WAITS = [
    pytest.param(("30",), 30.0, id="seconds"),
    pytest.param((" 41 ",), 41.0, id="blanks around"),
    pytest.param(ONE_HALF_HOUR_LATER, 1800.0, id="a date"),
    pytest.param(("Tue, 24 Nov 2026 10:00:00 +0100",), 1800.0, id="a date with a zone"),
    pytest.param(("Tue, 24 Nov 2026 09:00:00",), 1800.0, id="a date without a zone is UTC"),
    pytest.param(("Tue, 24 Nov 2026 08:30:00 GMT",), 60.0, id="a date that is now"),
    pytest.param(("Mon, 01 Jan 2024 00:00:00 GMT",), 60.0, id="a date that has passed"),
    pytest.param((), 60.0, id="missing"),
    pytest.param(("0",), 60.0, id="zero"),
    pytest.param(("1",), 1.0, id="one second"),
    pytest.param(("-5",), 60.0, id="negative"),
    pytest.param(("abc",), 60.0, id="no number"),
    pytest.param(("１２",), 60.0, id="digits of another script"),
    pytest.param(("1.5",), 60.0, id="a fraction"),
    pytest.param(("30", "40"), 60.0, id="twice"),
    pytest.param(("",), 60.0, id="empty"),
    pytest.param(("999999",), 999_999.0, id="more than an hour"),
    pytest.param(("9" * 9,), 999_999_999.0, id="nine digits"),
    pytest.param(("9" * 10,), 60.0, id="ten digits"),
]


@pytest.mark.fault(65, "The date is obeyed.", case="a date")
@pytest.mark.fault(65, "A date in the past counts as a minute.", case="a date that has passed")
@pytest.mark.parametrize(("values", "seconds"), WAITS)
def test_retry_after(values: tuple[str, ...], seconds: float) -> None:
    headers = {"retry-after": values} if values else {}
    assert retry_after(Answer(429, headers), HALF_PAST_EIGHT) == seconds


@given(st.text(max_size=200))
def test_any_text_as_retry_after_gives_a_positive_wait(text: str) -> None:
    assert retry_after(Answer(429, {"retry-after": (text,)}), NOW) > 0


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        pytest.param(ONE_HALF_HOUR_LATER, HALF_PAST_EIGHT + 1800, id="as HTTP writes it"),
        pytest.param((" Tue, 24 Nov 2026 09:00:00 GMT ",), HALF_PAST_EIGHT + 1800, id="blanks around"),
        pytest.param(("Tue, 24 Nov 2026 11:00:00 +0200",), HALF_PAST_EIGHT + 1800, id="with a zone"),
        pytest.param((), None, id="missing"),
        pytest.param(("soon",), None, id="no date"),
        pytest.param(("",), None, id="empty"),
        pytest.param(("Tue, 99 Nov 2026 09:00:00 GMT",), None, id="no day of any month"),
        pytest.param(ONE_HALF_HOUR_LATER * 2, None, id="twice"),
    ],
)
def test_the_servers_time(values: tuple[str, ...], seconds: float | None) -> None:
    assert server_time(Answer(200, {"date": values} if values else {})) == seconds


@given(st.text(max_size=60))
def test_any_text_as_date_is_a_time_or_none(text: str) -> None:
    assert isinstance(server_time(Answer(200, {"date": (text,)})), float | None)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param("2026-11-24T08:30:00Z", HALF_PAST_EIGHT, id="UTC"),
        pytest.param("2026-11-24T08:30:00.5000000Z", HALF_PAST_EIGHT + 0.5, id="seven digits"),
        pytest.param("2026-11-24T08:30:00.1234567Z", HALF_PAST_EIGHT + 0.123456, id="the seventh digit is let go"),
        pytest.param("2026-11-24T08:30:00", HALF_PAST_EIGHT, id="without a zone it is UTC"),
        pytest.param("2026-11-24T10:30:00+02:00", HALF_PAST_EIGHT, id="another zone"),
        pytest.param(" 2026-11-24T08:30:00Z\n", HALF_PAST_EIGHT, id="blanks around"),
        pytest.param("0001-01-01T00:00:00Z", -62_135_596_800.0, id="the date that stands for none"),
        pytest.param("", None, id="empty"),
        pytest.param("yesterday", None, id="no date"),
        pytest.param("2026-13-24T08:30:00Z", None, id="month 13"),
        pytest.param("\ud800", None, id="half a character"),
        pytest.param(1_795_509_000, None, id="a number"),
        pytest.param(None, None, id="null"),
        pytest.param(["2026-11-24T08:30:00Z"], None, id="a list"),
    ],
)
def test_a_timestamp_of_the_api(value: object, seconds: float | None) -> None:
    assert moment(value) == seconds


@pytest.mark.fault(50, "A time or none, never an error.")
@given(st.text(max_size=40))
def test_any_text_is_a_timestamp_or_none(text: str) -> None:
    assert isinstance(moment(text), float | None)


@pytest.mark.parametrize(
    ("body", "complete", "error"),
    [
        pytest.param(
            b'{"error": {"code": "A", "message": "b\\nc", "target": "|3f"}}',
            True,
            ApiError("A", "b c", "|3f"),
            id="all",
        ),
        pytest.param(b'{"error": {"code": "A"}}', True, ApiError("A", "", ""), id="only a code"),
        pytest.param(
            b'{"error": {"code": "A", "message": null, "target": 7}}', True, ApiError("A", "", "7"), id="null"
        ),
        pytest.param(b'{"error": {"code": "A"}}', False, None, id="cut off"),
        pytest.param(b'{"error": {"code": " "}}', True, None, id="a blank code"),
        pytest.param(b'{"error": {"code": 5}}', True, None, id="a number as code"),
        pytest.param(b'{"error": "A"}', True, None, id="an error that is text"),
        pytest.param(b'{"error": null}', True, None, id="no error"),
        pytest.param(b"[]", True, None, id="a list"),
        pytest.param(b"", True, None, id="nothing"),
    ],
)
def test_the_apis_own_error(body: bytes, complete: bool, error: ApiError | None) -> None:
    assert api_error(Answer(400, JSON, body, complete)) == error


@pytest.mark.parametrize(
    ("answer", "is_one"),
    [
        pytest.param(Answer(200, HTML, b""), True, id="by its type"),
        pytest.param(Answer(200, {}, b"\r\n <!doctype html>"), True, id="by its first sign"),
        pytest.param(Answer(200, JSON, b"<html>"), True, id="labelled JSON and none"),
        pytest.param(Answer(200, JSON, b"{}"), False, id="JSON"),
        pytest.param(Answer(200, {}, b""), False, id="nothing"),
    ],
)
def test_a_web_page_is_known(answer: Answer, is_one: bool) -> None:
    assert is_web_page(answer) is is_one


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("0b0f6f0e-52a1", "0b0f6f0e-52a1"),
        (" x-1\n", "x-1"),
        ("端末", "端末"),
        ("x" * 500, "x" * 500),
        ("x" * 501, None),
        ("", None),
        (" ", None),
        ("a\nb", None),
        ("a\x1b[2J", None),
        ("\ud83d", None),
        (7, None),
        (None, None),
        (["x"], None),
    ],
)
def test_an_identifier_is_kept_as_it_stands_or_not_at_all(value: object, word: str | None) -> None:
    assert identifier(value) == word


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("a\r\nb\t c", "a b c"),
        ("\x1b[2J", "\\x1b[2J"),
        ("y" * 501, "y" * 500),
        (0, "0"),
        (True, "True"),
        ({"a": [1]}, "{'a': [1]}"),
    ],
)
def test_any_value_is_kept_as_one_short_line(value: object, text: str) -> None:
    assert kept_text(value) == text


ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(ANY_JSON)
def test_what_is_kept_of_any_value_is_one_line_of_bounded_length(value: Any) -> None:
    text = kept_text(value)
    assert len(text) <= 500
    assert len(text.splitlines()) <= 1


@given(st.dictionaries(st.text(max_size=8), ANY_JSON, max_size=5))
def test_an_object_is_parsed_as_it_was_written(value: dict[str, Any]) -> None:
    assert parse_object(json.dumps(value, ensure_ascii=True).encode()) == value


def test_the_quotas_go_by_the_words_that_the_call_log_keeps() -> None:
    assert [*ApiName] == ["offboard", "read", "cancel"]


def test_only_an_object_is_parsed() -> None:
    assert parse_object(b'{"a": 1}') == {"a": 1}
    assert parse_object(b"3") is None
