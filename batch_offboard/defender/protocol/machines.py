"""Parses a machine from the API's JSON: the fields that the plan and its warnings depend on."""

import sys
from collections.abc import Mapping
from typing import Any

from batch_offboard.core.tenant import Machine
from batch_offboard.defender.protocol.wire import identifier, kept_text, moment


def machine_of(shown: Mapping[str, Any]) -> Machine | None:
    """The machine in this JSON object, or None if it has no ID."""
    device_id = identifier(shown.get("id"))
    if device_id is None:
        return None
    build = shown.get("osBuild")
    return Machine(
        device_id=device_id.lower(),
        name=kept_text(shown.get("computerDnsName")),
        platform=_word(shown, "osPlatform"),
        version=_word(shown, "version"),
        build=build if isinstance(build, int) and not isinstance(build, bool) else None,
        agent_version=_word(shown, "agentVersion"),
        onboarding=_word(shown, "onboardingStatus") or _word(shown, "onboardingstatus"),
        health=_word(shown, "healthStatus"),
        last_seen=moment(shown.get("lastSeen")),
        merged_into=kept_text(shown.get("mergedIntoMachineId")).lower(),
        group=_word(shown, "rbacGroupName"),
        tags=_tags(shown.get("machineTags")),
        cloud_managed=bool(shown.get("vmMetadata")),
    )


def _word(shown: Mapping[str, Any], name: str) -> str:
    """A text that many machines share, interned to save memory."""
    return sys.intern(kept_text(shown.get(name)))


def _tags(value: object) -> tuple[str, ...]:
    return tuple(sys.intern(kept_text(tag)) for tag in value) if isinstance(value, list) and value else ()
