"""Parses a machine action from the API's JSON."""

from collections.abc import Mapping
from typing import Any

from batch_offboard.core.tenant import MachineAction
from batch_offboard.defender.protocol.wire import identifier, kept_text, moment


def action_of(shown: Mapping[str, Any]) -> MachineAction | None:
    """The offboard action in this JSON object, or None if it is another kind of action or not an action."""
    action_id = identifier(shown.get("id"))
    kind = shown.get("type")
    if action_id is None or (kind is not None and str(kind).strip().lower() != "offboard"):
        return None
    # The examples of the list call it lastUpdateTimeUtc (get-machineactions-collection).
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
    """Why an action failed: its HRESULT and its text, where given."""
    result, words = shown.get("errorHResult"), kept_text(shown.get("troubleshootInfo"))
    number = (
        f"0x{result & 0xFFFFFFFF:08X}" if isinstance(result, int) and result and not isinstance(result, bool) else ""
    )
    return " ".join(word for word in (number, words) if word)
