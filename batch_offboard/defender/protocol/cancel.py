"""The cancel call: its request, and what each answer means for the machine action."""

import json
import re
from dataclasses import replace

from batch_offboard.core.jobs import CallOutcome, Verdict
from batch_offboard.core.tenant import FINAL_STATUSES
from batch_offboard.defender.protocol.offboard import classify
from batch_offboard.defender.protocol.wire import (
    JSON_BODY,
    Answer,
    NoAnswer,
    Request,
    identifier,
    kept_text,
    parse_object,
)


def cancel_request(api_url: str, action_id: str, comment: str) -> Request:
    """The request of cancel-machine-action. Raises ValueError if the ID, which is the API's, is not safe in a path."""
    if not re.fullmatch(r"(?!\.{1,2}$)[0-9A-Za-z._~-]{1,200}", action_id):
        raise ValueError(f"not a machine action ID: {action_id!r}")
    return Request(
        method="POST",
        url=f"{api_url}/api/machineactions/{action_id}/cancel",
        body=json.dumps({"Comment": comment}, ensure_ascii=False).encode(),
        headers=JSON_BODY,
    )


def classify_cancel(answer: Answer | NoAnswer, action_id: str, now: float) -> CallOutcome:
    """What the answer to a cancel call means; refusals and missing answers mean the same as for an offboard call."""
    if isinstance(answer, NoAnswer) or answer.status not in (200, 201):
        return _refused(classify(answer, "", now))
    action = parse_object(answer.body) if answer.complete else None
    if action is None or identifier(action.get("id")) is None:
        return classify(answer, "", now)
    if str(action["id"]).strip().lower() != action_id.lower():
        words = f"The answer names another machine action ({kept_text(action['id'])})."
        return CallOutcome(Verdict.IN_DOUBT, http_status=answer.status, code="WrongAction", message=words)
    return _cancelled(kept_text(action.get("status")), action_id, answer.status)


def _refused(outcome: CallOutcome) -> CallOutcome:
    """cancel-machine-action: a final action cannot be cancelled and is answered with 400; its code is not documented.
    A cancellation that came too late says nothing about the others, so it does not count as a failure."""
    too_late = outcome.http_status == 400 and outcome.alarm is None
    return replace(outcome, verdict=Verdict.ANSWERED) if too_late and outcome.verdict is Verdict.FAILED else outcome


def _cancelled(status: str, action_id: str, http_status: int) -> CallOutcome:
    """cancel-machine-action: 200 with the action, whose status says whether the cancellation was in time."""
    if status.lower() == "cancelled":
        return CallOutcome(Verdict.CANCELLED, http_status=http_status, action_id=action_id, action_status=status)
    if status.lower() in FINAL_STATUSES:
        words = f"The action had already ended ({status})."
        return CallOutcome(
            Verdict.ANSWERED, http_status=http_status, action_status=status, code="TooLate", message=words
        )
    words = f"The cancellation was accepted; the action was still {status or 'without a status'}."
    return CallOutcome(Verdict.ANSWERED, http_status=http_status, action_status=status, message=words)
