"""Requests and answers as values, and what every answer of the API has in common."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

from batch_offboard.base.text import one_line
from batch_offboard.core.quota import DEFAULT_HOLD

# Body sizes that the API documents are a few hundred bytes for one action; more than this is not an answer of it.
MAX_BODY = 1 << 20

LONGEST_WAIT = 3600.0  # seconds; the longest window of the quota

MESSAGE_KEPT = 500  # characters of one text of the API's own

# Asked of every request; with a body the API wants to know that it is JSON (offboard-machine-api).
ACCEPT = {"Accept": "application/json"}
JSON_BODY = {"Content-Type": "application/json", **ACCEPT}


@dataclass(frozen=True, slots=True)
class Request:
    """One request, complete but for the token.

    `largest_answer` is in bytes of the unpacked body. `patience` stretches the configured time for one call.
    """

    method: str
    url: str
    body: bytes | None
    headers: Mapping[str, str]
    largest_answer: int = MAX_BODY
    patience: float = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Header names are lower case, with all values of a repeated one; `complete` says that the
    body ended as it should and within the request's largest answer."""

    status: int
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = True


class Fault(StrEnum):
    """Why no answer came."""

    UNREACHABLE = "unreachable"  # no connection: name, route, refusal, proxy
    NO_TRUST = "no_trust"  # the TLS handshake failed
    LOST = "lost"  # the connection broke, or time ran out, after the request may have left
    INTERRUPTED = "interrupted"  # we were stopped in the middle


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No status line came back."""

    fault: Fault
    detail: str


@dataclass(frozen=True, slots=True)
class ApiError:
    """What the API says of a refusal, in the shape of common-errors; `target` is Microsoft's tracking ID."""

    code: str
    message: str
    target: str


def api_error(answer: Answer) -> ApiError | None:
    """The API's own error, or None if this answer holds none."""
    error = (parse_object(answer.body) or {}).get("error") if answer.complete else None
    if not isinstance(error, dict) or not isinstance(error.get("code"), str) or not error["code"].strip():
        return None
    return ApiError(kept_text(error["code"]), kept_text(error.get("message")), kept_text(error.get("target")))


def is_web_page(answer: Answer) -> bool:
    kind = " ".join(answer.headers.get("content-type", ())).lower()
    return "html" in kind or answer.body.lstrip()[:1] == b"<"


def parse_object(body: bytes) -> dict[str, Any] | None:
    """The body as a JSON object, or None. Strict: UTF-8, no name twice, no NaN, no depth that exhausts the parser."""
    try:
        value = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_unique_names, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def retry_after(answer: Answer, now: float) -> float:
    """Seconds to wait: the header as a number or a date, or the default where it is missing or makes no sense."""
    values = answer.headers.get("retry-after", ())
    if len(values) != 1:
        return DEFAULT_HOLD
    text = values[0].strip()
    seconds = float(text) if re.fullmatch(r"[0-9]{1,9}", text) else _seconds_until(text, now)
    return seconds if seconds > 0 else DEFAULT_HOLD


def server_time(answer: Answer) -> float | None:
    """The server's own time in seconds since the epoch, to the second, as its Date header tells it."""
    values = answer.headers.get("date", ())
    return _date(values[0].strip()) if len(values) == 1 else None


def identifier(value: object) -> str | None:
    """An opaque word of the API's as it stands, if it is one that can be kept and shown."""
    if not isinstance(value, str) or not (word := value.strip()):
        return None
    return word if word.isprintable() and len(word) <= MESSAGE_KEPT else None


def kept_text(value: object) -> str:
    """Any value as one line of bounded length."""
    return one_line(str(value))[:MESSAGE_KEPT] if value is not None else ""


def moment(value: object) -> float | None:
    """Seconds since the epoch of one of the API's timestamps (UTC, seven fractional digits), if it is one."""
    if not isinstance(value, str):
        return None
    try:
        date = datetime.fromisoformat(value.strip())
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _seconds_until(text: str, now: float) -> float:
    at = _date(text)
    return 0.0 if at is None else at - now


def _date(text: str) -> float | None:
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name occurs twice")
    return value


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
