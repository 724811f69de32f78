"""The offboard call: its request, and what each answer means for the device and the run."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from batch_offboard.core.jobs import Alarm, CallOutcome, Verdict
from batch_offboard.defender.protocol.wire import (
    JSON_BODY,
    LONGEST_WAIT,
    Answer,
    Fault,
    NoAnswer,
    Request,
    api_error,
    identifier,
    is_web_page,
    kept_text,
    parse_object,
    retry_after,
)


def offboard_request(api_url: str, device_id: str, comment: str) -> Request:
    """The request of offboard-machine-api: `Comment` is required, and its name is case-sensitive. Raises ValueError if
    `device_id` is not one."""
    if not re.fullmatch(r"[0-9a-f]{40}", device_id):
        raise ValueError(f"not a device ID: {device_id!r}")
    return Request(
        method="POST",
        url=f"{api_url}/api/machines/{device_id}/offboard",
        body=json.dumps({"Comment": comment}, ensure_ascii=False).encode(),
        headers=JSON_BODY,
    )


def classify(answer: Answer | NoAnswer, device_id: str, now: float, token: str = "") -> CallOutcome:
    """What the answer to an offboard call means for the device and for the run. `now`: seconds since the epoch;
    `token`: the correlation token that the call carried."""
    if isinstance(answer, NoAnswer):
        return _NO_ANSWER[answer.fault](answer.detail)
    rule = _RULES.get(answer.status) or _RULES_BY_CLASS.get(answer.status // 100, _unclear)
    return rule(_Reading(answer, device_id, now, token))


@dataclass(frozen=True, slots=True)
class _Reading:
    """An answer and what the rules need to classify it."""

    answer: Answer
    device_id: str
    now: float
    token: str

    def outcome(self, verdict: Verdict, fallback: str, **more: Any) -> CallOutcome:
        error = api_error(self.answer)
        fields: dict[str, Any] = {
            "code": error.code if error else f"HTTP{self.answer.status}",
            "message": (error.message if error else "") or fallback,
            "target": error.target if error else "",
        }
        return CallOutcome(verdict, http_status=self.answer.status, **(fields | more))


def _accepted(reading: _Reading) -> CallOutcome:
    """Both 200 and 201 are used for "accepted"; only the action's id proves it (machineaction)."""
    action = parse_object(reading.answer.body) if reading.answer.complete else None
    if action is None:
        return _unreadable(reading)
    action_id = identifier(action.get("id"))
    if action_id is None:
        return reading.outcome(Verdict.IN_DOUBT, "Accepted, but the answer names no machine action.", code="NoActionId")
    strange = _strangeness(action, reading.device_id)
    if strange:
        return reading.outcome(
            Verdict.IN_DOUBT,
            strange,
            code="WrongAction",
            action_id=action_id,
            alarm=Alarm.WRONG_ANSWER,
        )
    return CallOutcome(
        Verdict.SUBMITTED,
        http_status=reading.answer.status,
        action_id=action_id,
        action_status=kept_text(action.get("status")),
        own_action=_is_ours(action, reading.token),
    )


def _is_ours(action: Mapping[str, Any], token: str) -> bool:
    """Whether this call created the action. The API may answer with one that was already open, whose comment comes from
    another program or an earlier call."""
    comment = action.get("requestorComment")
    return not isinstance(comment, str) or not comment.strip() or token in comment


def _strangeness(action: Mapping[str, Any], device_id: str) -> str:
    """Why this action cannot be the requested one, or "". A missing or null field proves nothing."""
    machine, kind = action.get("machineId"), action.get("type")
    if machine and str(machine).strip().lower() != device_id:
        return f"The answer is about another device ({kept_text(machine)})."
    if kind and str(kind).strip().lower() != "offboard":
        return f"The answer is about another kind of action ({kept_text(kind)})."
    return ""


def _unreadable(reading: _Reading) -> CallOutcome:
    if is_web_page(reading.answer):
        return _web_page(reading)
    return reading.outcome(Verdict.IN_DOUBT, "The answer was cut off or is not JSON.", code="UnreadableAnswer")


def _web_page(reading: _Reading) -> CallOutcome:
    fallback = "A web page came back instead of the API's answer; a proxy or a portal may be in the way."
    return reading.outcome(Verdict.IN_DOUBT, fallback, code="NotTheApi", alarm=Alarm.NOT_THE_API)


def _redirect(reading: _Reading) -> CallOutcome:
    fallback = "The API answered with a redirect, which is never followed."
    return reading.outcome(Verdict.IN_DOUBT, fallback, code="Redirect", alarm=Alarm.NOT_THE_API)


def _unclear(reading: _Reading) -> CallOutcome:
    return reading.outcome(Verdict.IN_DOUBT, "The answer does not say whether the device was accepted.")


def _server_error(reading: _Reading) -> CallOutcome:
    """The server may have accepted the call before it failed. Its Retry-After is still obeyed."""
    wait = min(retry_after(reading.answer, reading.now), LONGEST_WAIT)
    return reading.outcome(
        Verdict.IN_DOUBT,
        "The server failed; it may still have carried out the call.",
        retry_after=wait if "retry-after" in reading.answer.headers else None,
    )


# common-errors: codes about our request and not about the device; the next request would fail in the same way.
_OUR_MISTAKES = frozenset({"invalidrequestbody", "missingrequiredparameter", "odataerror"})

# Documented for live response, seen on other actions. An action is already open: find it, never send another.
_ALREADY_OPEN = frozenset({"activerequestalreadyexists"})


def _refused(reading: _Reading) -> CallOutcome:
    """A 4xx is a refusal if it has the API's own error (common-errors); without one it may come from a gateway."""
    error = api_error(reading.answer)
    if error is None:
        return _unreadable(reading)
    code = error.code.lower()
    if code in _ALREADY_OPEN:
        return reading.outcome(Verdict.ALREADY_OPEN, "An offboard action of this device is already open.")
    mistake = Alarm.OUR_MISTAKE if code in _OUR_MISTAKES else None
    return reading.outcome(Verdict.FAILED, "The API refused the device.", alarm=mistake)


def _conflict(reading: _Reading) -> CallOutcome:
    """409 is not documented; it is treated like ActiveRequestAlreadyExists: something is in progress."""
    return reading.outcome(Verdict.ALREADY_OPEN, "Another action of this device is in progress.")


def _unauthorized(reading: _Reading) -> CallOutcome:
    return reading.outcome(Verdict.UNAUTHORIZED, "The token was not accepted.")


def _forbidden(reading: _Reading) -> CallOutcome:
    """common-errors: DisallowedOperation is about the device, every other code about the token or the tenant."""
    error = api_error(reading.answer)
    if error is None:
        doubt = _unreadable(reading)
        return doubt if doubt.alarm else reading.outcome(Verdict.IN_DOUBT, doubt.message, alarm=Alarm.PERMISSION)
    alarm = None if error.code.lower() == "disallowedoperation" else Alarm.PERMISSION
    return reading.outcome(Verdict.FAILED, "The token lacks a permission.", alarm=alarm)


def _proxy_refused(reading: _Reading) -> CallOutcome:
    """Only a proxy answers 407, and it has forwarded nothing (RFC 9110, 15.5.8)."""
    return reading.outcome(
        Verdict.NOT_SENT,
        "The proxy requires authentication (407); check network.proxy_user and its password.",
        code="ProxyRefused",
    )


def _throttled(reading: _Reading) -> CallOutcome:
    """The documented code is TooManyRequests, but "429" was seen, too: so only the status decides."""
    asked = retry_after(reading.answer, reading.now)
    return reading.outcome(
        Verdict.THROTTLED,
        "The quota is used up.",
        retry_after=min(asked, LONGEST_WAIT),
        alarm=Alarm.LONG_WAIT if asked > LONGEST_WAIT else None,
    )


def _unreachable(detail: str) -> CallOutcome:
    return CallOutcome(Verdict.NOT_SENT, code="Unreachable", message=detail)


def _no_trust(detail: str) -> CallOutcome:
    return CallOutcome(Verdict.NOT_SENT, code="NoTrust", message=detail, alarm=Alarm.NO_TRUST)


def _lost(detail: str) -> CallOutcome:
    return CallOutcome(Verdict.IN_DOUBT, code="NoAnswer", message=detail)


def _interrupted(detail: str) -> CallOutcome:
    return CallOutcome(Verdict.IN_DOUBT, code="Interrupted", message=detail)


_NO_ANSWER: Mapping[Fault, Callable[[str], CallOutcome]] = {
    Fault.UNREACHABLE: _unreachable,
    Fault.NO_TRUST: _no_trust,
    Fault.LOST: _lost,
    Fault.INTERRUPTED: _interrupted,
}

_RULES: Mapping[int, Callable[[_Reading], CallOutcome]] = {
    200: _accepted,
    201: _accepted,
    401: _unauthorized,
    403: _forbidden,
    407: _proxy_refused,
    408: _unclear,  # the server gave up on the request, and does not say how much of it it had read
    409: _conflict,
    429: _throttled,
}

_RULES_BY_CLASS: Mapping[int, Callable[[_Reading], CallOutcome]] = {
    2: _unclear,
    3: _redirect,
    4: _refused,
    5: _server_error,
}
