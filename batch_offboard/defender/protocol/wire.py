"""Requests and answers as values, and the parsing that all answers of the API share."""

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

# The documented bodies are a few hundred bytes for one action; a larger one than this is not an answer of the API.
MAX_BODY = 1 << 20

LONGEST_WAIT = 3600.0  # seconds; the longest window of the quota

MESSAGE_KEPT = 500  # characters of one text from the API

# Headers of every request; with a body the API requires its type (offboard-machine-api).
ACCEPT = {"Accept": "application/json"}
JSON_BODY = {"Content-Type": "application/json", **ACCEPT}


@dataclass(frozen=True, slots=True)
class Request:
    """One request without its token.

    `largest_answer` is in bytes of the decompressed body. `patience` multiplies the configured timeout of a call.
    """

    method: str
    url: str
    body: bytes | None
    headers: Mapping[str, str]
    largest_answer: int = MAX_BODY
    patience: float = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The response. Header names are in lower case, each with all its values; `complete` is true if the body arrived in
    full and was not larger than the request's `largest_answer`."""

    status: int
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = True


class Fault(StrEnum):
    """Why there is no answer."""

    UNREACHABLE = "unreachable"  # no connection: name, route, refusal, proxy
    NO_TRUST = "no_trust"  # the TLS handshake failed
    LOST = "lost"  # the connection broke, or time ran out, after the request may have left
    INTERRUPTED = "interrupted"  # the call was cancelled


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No status line was received."""

    fault: Fault
    detail: str


@dataclass(frozen=True, slots=True)
class ApiError:
    """The API's error object, as in common-errors; `target` is Microsoft's tracking ID."""

    code: str
    message: str
    target: str


def api_error(answer: Answer) -> ApiError | None:
    """The API's error object, or None if this answer has none."""
    error = (parse_object(answer.body) or {}).get("error") if answer.complete else None
    if not isinstance(error, dict) or not isinstance(error.get("code"), str) or not error["code"].strip():
        return None
    return ApiError(kept_text(error["code"]), kept_text(error.get("message")), kept_text(error.get("target")))


def is_web_page(answer: Answer) -> bool:
    kind = " ".join(answer.headers.get("content-type", ())).lower()
    return "html" in kind or answer.body.lstrip()[:1] == b"<"


def parse_object(body: bytes) -> dict[str, Any] | None:
    """The body as a JSON object, or None. Strict: UTF-8, no duplicate names, no NaN, no nesting beyond the parser's
    limit."""
    try:
        value = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_unique_names, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def retry_after(answer: Answer, now: float) -> float:
    """Seconds to wait: from the header, a number or a date, or the default if it is missing or invalid."""
    values = answer.headers.get("retry-after", ())
    if len(values) != 1:
        return DEFAULT_HOLD
    text = values[0].strip()
    seconds = float(text) if re.fullmatch(r"[0-9]{1,9}", text) else _seconds_until(text, now)
    return seconds if seconds > 0 else DEFAULT_HOLD


def server_time(answer: Answer) -> float | None:
    """The server's time from its Date header, in whole seconds since the epoch."""
    values = answer.headers.get("date", ())
    return _date(values[0].strip()) if len(values) == 1 else None


def identifier(value: object) -> str | None:
    """An opaque ID from the API, stripped; None if it is empty, too long or not printable."""
    if not isinstance(value, str) or not (word := value.strip()):
        return None
    return word if word.isprintable() and len(word) <= MESSAGE_KEPT else None


def kept_text(value: object) -> str:
    """Any value as one line of bounded length."""
    return one_line(str(value))[:MESSAGE_KEPT] if value is not None else ""


def moment(value: object) -> float | None:
    """One of the API's timestamps (UTC, seven fractional digits) in seconds since the epoch, or None."""
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
        raise ValueError("duplicate name")
    return value


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
