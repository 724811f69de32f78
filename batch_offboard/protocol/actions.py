"""A machine action as the API shows it, and the token by which one of ours is known again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batch_offboard.protocol.wire import identifier, kept_text, moment

# machineaction, property `status`, in lower case: after these an action does not change any more.
FINAL_STATUSES = frozenset({"succeeded", "failed", "timeout", "cancelled"})

# The action came to nothing, so the device is free to be sent again.
UNSUCCESSFUL = FINAL_STATUSES - {"succeeded"}

_TOKEN = re.compile(r"\[bo ([0-9A-Za-z-]{1,40})/([0-9]{1,9})/([0-9]{1,6})\]")


@dataclass(frozen=True, slots=True)
class Token:
    """What a correlation token says: which attempt, for which row of which batch."""

    batch_id: str
    row: int
    attempt: int


@dataclass(frozen=True, slots=True)
class MachineAction:
    """One machine action of type Offboard. Every field but the ID may be missing (machineaction).

    Times are seconds since the epoch by the server's clock. `machine_id` is in lower case.
    """

    id: str
    status: str
    machine_id: str
    comment: str
    requestor: str
    created: float | None
    updated: float | None
    error: str = ""

    @property
    def is_final(self) -> bool:
        return self.status.lower() in FINAL_STATUSES

    @property
    def came_to_nothing(self) -> bool:
        return self.status.lower() in UNSUCCESSFUL

    @property
    def token(self) -> Token | None:
        return token_in(self.comment)


def token_in(comment: str) -> Token | None:
    """The correlation token at the end of a comment; an earlier one was somebody's text."""
    found = _TOKEN.findall(comment)
    return Token(found[-1][0], int(found[-1][1]), int(found[-1][2])) if found else None


def action_of(shown: Mapping[str, Any]) -> MachineAction | None:
    """The offboard action of this JSON object, or None if it is another kind of action or no action at all."""
    action_id = identifier(shown.get("id"))
    kind = shown.get("type")
    if action_id is None or (kind is not None and str(kind).strip().lower() != "offboard"):
        return None
    # The list's own examples call it lastUpdateTimeUtc (get-machineactions-collection).
    updated = shown.get("lastUpdateDateTimeUtc") or shown.get("lastUpdateTimeUtc")
    return MachineAction(
        id=action_id,
        status=kept_text(shown.get("status")),
        machine_id=kept_text(shown.get("machineId")).lower(),
        comment=str(shown.get("requestorComment") or ""),
        requestor=kept_text(shown.get("requestor")),
        created=moment(shown.get("creationDateTimeUtc")),
        updated=moment(updated),
        error=_why(shown),
    )


def _why(shown: Mapping[str, Any]) -> str:
    """What a failed action says of its failure: an HRESULT, and words where there are any."""
    result, words = shown.get("errorHResult"), kept_text(shown.get("troubleshootInfo"))
    number = (
        f"0x{result & 0xFFFFFFFF:08X}" if isinstance(result, int) and result and not isinstance(result, bool) else ""
    )
    return " ".join(word for word in (number, words) if word)
