"""Reading the tenant: requests for machines and machine actions, and what each answer means.

Pages are linked by `@odata.nextLink`. A link is followed to the API's own host only, since any other host would
receive the token.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urljoin, urlsplit, urlunsplit

from batch_offboard.defender.protocol.wire import (
    ACCEPT,
    LONGEST_WAIT,
    Answer,
    Fault,
    NoAnswer,
    Request,
    api_error,
    is_web_page,
    retry_after,
    server_time,
)

# A page of 10,000 machines, the maximum of get-machines, is 15 to 30 MB.
LARGEST_LIST = 256 << 20

_API_DOMAINS = ("api.security.microsoft.com", "securitycenter.microsoft.com", "securitycenter.microsoft.us")

LIST_PATIENCE = 4.0  # a full page takes longer than one action

_USUAL_PORTS = {"https": 443, "http": 80}

# Characters that need no escaping in a path or a query (RFC 3986, 3.4); `%` keeps what is already escaped.
_UNESCAPED = "%/?:@!$&'()*+,;="


class ReadKind(StrEnum):
    """The kinds of result of a read."""

    PAGE = "page"
    EMPTY = "empty"  # get-machines answers an empty list with 404; for a single object it means that it does not exist
    FORBIDDEN = "forbidden"  # the token has no permission to read
    NOT_OFFERED = "not_offered"  # the server does not support this call
    UNAUTHORIZED = "unauthorized"
    THROTTLED = "throttled"
    AGAIN = "again"  # a retry may succeed
    REFUSED = "refused"  # a retry cannot succeed


@dataclass(frozen=True, slots=True)
class Read:
    """The result of one read. `server_time` is in whole seconds since the epoch, `retry_after` in seconds."""

    kind: ReadKind
    items: Sequence[Mapping[str, Any]] = ()
    next_link: str = ""
    http_status: int | None = None
    code: str = ""
    message: str = ""
    target: str = ""
    retry_after: float | None = None
    server_time: float | None = None


def machines_request(api_url: str, *, top: int | None = None) -> Request:
    """The first page of the tenant's machines (get-machines), at most `top` of them."""
    query = "" if top is None else f"?{_query({'$top': str(top)})}"
    return _list_request(f"{api_url}/api/machines{query}")


def actions_request(
    api_url: str, *, since: float | None = None, device_id: str | None = None, top: int | None = None
) -> Request:
    """The first page of offboard actions (get-machineactions-collection), the whole tenant's or one device's.

    `since`: created at that time or later, in seconds since the epoch; `top`: at most so many. Only documented
    operators are used. Raises ValueError if `device_id` is not one.
    """
    terms = ["type eq 'Offboard'"]
    if device_id is not None:
        if not re.fullmatch(r"[0-9a-f]{40}", device_id):
            raise ValueError(f"not a device ID: {device_id!r}")
        terms.append(f"machineId eq '{device_id}'")
    if since is not None:
        terms.append(f"creationDateTimeUtc ge {datetime.fromtimestamp(since, UTC):%Y-%m-%dT%H:%M:%SZ}")
    limit = {} if top is None else {"$top": str(top)}
    return _list_request(f"{api_url}/api/machineactions?{_query({'$filter': ' and '.join(terms)} | limit)}")


def action_request(api_url: str, action_id: str) -> Request:
    """One machine action (get-machineaction-object)."""
    return Request("GET", f"{api_url}/api/machineactions/{quote(action_id, safe='')}", None, ACCEPT)


def following_request(request: Request, link: str) -> Request | None:
    """The request for the page at `link`, always on the request's own host; None if the link points elsewhere.

    A link may name another of the API's own hosts: the documented contexts say `securitycenter` whichever was called.
    """
    here = urlsplit(request.url)
    try:
        there = urlsplit(urljoin(request.url, link))
        same_api = _origin(there) == _origin(here) or (_is_the_apis(here) and _is_the_apis(there))
        path, query = (quote(part, safe=_UNESCAPED) for part in (there.path, there.query))
    except ValueError:
        return None
    if not same_api or there.username or there.password:
        return None
    return replace(request, url=urlunsplit((here.scheme, here.netloc, path, query, "")))


def _is_the_apis(address: SplitResult) -> bool:
    """Whether it is one of the API's documented hosts, including the geographic ones (exposed-apis-list, gov)."""
    scheme, host, port = _origin(address)
    below = any(f".{host}".endswith(f".{domain}") for domain in _API_DOMAINS)
    return below and (scheme, port) == ("https", _USUAL_PORTS["https"])


def _origin(address: SplitResult) -> tuple[str, str | None, int | None]:
    """Scheme, host and port of an address (RFC 6454, 4), with the scheme's default port filled in."""
    port = _USUAL_PORTS.get(address.scheme) if address.port is None else address.port
    return address.scheme, address.hostname, port


def next_page_by_number(request: Request, skip: int) -> Request:
    """The page after the first `skip` items, for a service that gave no link to the next page."""
    parts = urlsplit(request.url)
    query = dict(parse_qsl(parts.query)) | {"$skip": str(skip)}
    return replace(request, url=urlunsplit(parts._replace(query=_query(query))))


def classify_read(answer: Answer | NoAnswer, now: float, *, single: bool = False) -> Read:
    """What the answer to a read means; `single` if it was for one object and not a list."""
    if isinstance(answer, NoAnswer):
        kind = ReadKind.REFUSED if answer.fault is Fault.NO_TRUST else ReadKind.AGAIN
        return Read(kind, code=_NO_ANSWER.get(answer.fault, "NoAnswer"), message=answer.detail)
    rule = _RULES.get(answer.status) or _RULES_BY_CLASS.get(answer.status // 100, _strange)
    read = rule(_Reading(answer, now, single))
    return replace(read, http_status=answer.status, server_time=server_time(answer))


def _list_request(url: str) -> Request:
    return Request("GET", url, None, ACCEPT, largest_answer=LARGEST_LIST, patience=LIST_PATIENCE)


def _query(parameters: Mapping[str, str]) -> str:
    return urlencode(parameters, safe="$':", quote_via=quote)


@dataclass(frozen=True, slots=True)
class _Reading:
    """An answer and what the rules need to classify it."""

    answer: Answer
    now: float
    single: bool

    def said(self, kind: ReadKind, fallback: str, *, code: str = "", wait: float | None = None) -> Read:
        """A result with the API's own code and message, or with `code` and `fallback` where it gave none."""
        error = api_error(self.answer)
        return Read(
            kind,
            code=error.code if error else code or f"HTTP{self.answer.status}",
            message=(error.message if error else "") or fallback,
            target=error.target if error else "",
            retry_after=wait,
        )


def _page(reading: _Reading) -> Read:
    value = _json(reading.answer)
    if reading.single:
        return Read(ReadKind.PAGE, (value,)) if isinstance(value.get("id"), str) else _strange(reading)
    items, link = value.get("value"), value.get("@odata.nextLink")
    if not isinstance(items, list) or not isinstance(link, str | None):
        return _strange(reading)
    objects = [item for item in items if isinstance(item, dict)]
    return Read(ReadKind.PAGE, objects, link or "")


def _json(answer: Answer) -> dict[str, Any]:
    """The body as a JSON object, or an empty one. The strict parser would be too slow for a page of 10,000 items."""
    try:
        value = json.loads(answer.body.decode("utf-8-sig")) if answer.complete else None
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _strange(reading: _Reading) -> Read:
    if is_web_page(reading.answer):
        words = "A web page came back instead of the API's answer; a proxy or a portal may be in the way."
        return Read(ReadKind.AGAIN, code="NotTheApi", message=words)
    return reading.said(ReadKind.AGAIN, "The answer was cut off or is not a list.", code="UnreadableAnswer")


def _unauthorized(reading: _Reading) -> Read:
    return reading.said(ReadKind.UNAUTHORIZED, "The token was not accepted.")


def _forbidden(reading: _Reading) -> Read:
    """The API's own 403 is about permission (common-errors); a web page or a gateway's answer is not."""
    kind = ReadKind.FORBIDDEN if api_error(reading.answer) else ReadKind.NOT_OFFERED
    return reading.said(kind, "Reading is not allowed.")


def _nothing(reading: _Reading) -> Read:
    """get-machines: 404 when there are no recent machines. Without the API's own error the path does not exist."""
    kind = ReadKind.EMPTY if api_error(reading.answer) else ReadKind.NOT_OFFERED
    return reading.said(kind, "Nothing was found.")


def _not_offered(reading: _Reading) -> Read:
    return reading.said(ReadKind.NOT_OFFERED, "This server does not support the call.")


def _proxy_refused(_reading: _Reading) -> Read:
    words = "The proxy requires authentication (407); check network.proxy_user and its password."
    return Read(ReadKind.REFUSED, code="ProxyRefused", message=words)


def _throttled(reading: _Reading) -> Read:
    return reading.said(ReadKind.THROTTLED, "The quota is used up.", wait=retry_after(reading.answer, reading.now))


def _redirect(reading: _Reading) -> Read:
    words = "The API answered with a redirect, which is never followed."
    return reading.said(ReadKind.REFUSED, words, code="Redirect")


def _refused(reading: _Reading) -> Read:
    return reading.said(ReadKind.REFUSED, "The API refused.") if api_error(reading.answer) else _strange(reading)


def _server_error(reading: _Reading) -> Read:
    asked = "retry-after" in reading.answer.headers
    wait = min(retry_after(reading.answer, reading.now), LONGEST_WAIT) if asked else None
    return reading.said(ReadKind.AGAIN, "The server failed.", wait=wait)


_NO_ANSWER: Mapping[Fault, str] = {Fault.UNREACHABLE: "Unreachable", Fault.NO_TRUST: "NoTrust"}

_RULES: Mapping[int, Callable[[_Reading], Read]] = {
    200: _page,
    401: _unauthorized,
    403: _forbidden,
    404: _nothing,
    405: _not_offered,
    407: _proxy_refused,
    408: _server_error,  # the request did not arrive in time; a retry may (RFC 9110, 15.5.9)
    429: _throttled,
    501: _not_offered,
}

_RULES_BY_CLASS: Mapping[int, Callable[[_Reading], Read]] = {3: _redirect, 4: _refused, 5: _server_error}
