"""The guards: rules that refuse a whole run before its first call, each with a remedy.

Pure. Sending requires a `Clearance`, which only the guards create, so no call can bypass them.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from batch_offboard.base.errors import BatchOffboardError
from batch_offboard.core.protected import Protected

# With fewer onboarded devices than this, a share of the tenant says little: half of ten devices may well retire.
SMALLEST_FLEET = 100

# A sheet with this share of the tenant's devices is its inventory, not a list of devices to remove.
WHOLE_TENANT = 0.9
SMALLEST_EXPORT = 5  # devices
WHOLE_TENANT_GUARD = "whole_tenant"

# Headers of the portal's own device export, which ignores the filters set there (device-inventory-field-reference).
PORTAL_COLUMNS: Final = frozenset(
    {
        "device id", "device name", "domain", "first seen", "last device update", "os platform", "os distribution",
        "os version", "os build", "windows 10 version", "tags", "group", "is aad joined", "device ips", "risk level",
        "exposure level", "health status", "onboarding status", "device role", "managed by", "antivirus status",
        "criticality level", "device category", "device type", "device subtype", "vendor", "model", "mitigation status",
    }
)  # fmt: skip
PORTAL_SIGNS = 6  # a sheet with so many of them is an export


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """What the operator permits; None disables a guard. `max_devices` limits one run, `max_devices_per_day` all runs on
    the tenant within 24 hours; `max_devices_from` names the setting that `max_devices` comes from."""

    max_devices: int | None
    max_devices_per_day: int | None
    max_fleet_percent: float
    require_comment: bool = False
    max_devices_from: str = "guards.max_devices"


@dataclass(frozen=True, slots=True)
class Situation:
    """What a run would do. `onboarded` and `known` count the tenant's onboarded devices and its records, None without a
    look-up; `matched` is how many of the records the sheet names."""

    batch_id: str
    devices: int
    sent_today: int
    onboarded: int | None
    known: int | None
    matched: int
    columns: Collection[str]
    has_comment: bool
    protected: Protected


@dataclass(frozen=True, slots=True)
class Refusal:
    """One guard's refusal: a sentence with the reason, and one with the remedy."""

    guard: str
    why: str
    remedy: str


class Clearance:
    """The guards' permission to send a batch, required by everything that sends. `protected` is still never sent."""

    __slots__ = ("_protected", "batch_id")

    def __init__(self, batch_id: str, protected: Protected, *, seal: object) -> None:
        if seal is not _SEAL:
            raise BatchOffboardError("Only the guards can create a clearance; this is a bug in the program.")
        self.batch_id, self._protected = batch_id, protected

    @property
    def protected(self) -> Protected:
        return self._protected


_SEAL = object()


def clear(situation: Situation, limits: GuardLimits) -> Clearance | list[Refusal]:
    """A clearance, or every reason why there is none."""
    refused = [refusal for guard in _GUARDS if (refusal := guard(situation, limits)) is not None]
    return refused or Clearance(situation.batch_id, situation.protected, seal=_SEAL)


def refusal_text(refusals: Sequence[Refusal]) -> str:
    """The message that ends the command: all reasons, then the remedies. If the sheet looks like the whole inventory,
    only that guard's remedy is given, so that the message does not help to offboard it."""
    decisive = [each for each in refusals if each.guard == WHOLE_TENANT_GUARD] or refusals
    remedies = dict.fromkeys(each.remedy for each in decisive)
    return " ".join([*(each.why for each in refusals), "Nothing was sent.", *remedies])


def cleared_before(batch_id: str, protected: Protected) -> Clearance:
    """For a batch that was cleared when it started and is continued: only the protected list may have changed."""
    return Clearance(batch_id, protected, seal=_SEAL)


def _max_devices(situation: Situation, limits: GuardLimits) -> Refusal | None:
    if limits.max_devices is None or situation.devices <= limits.max_devices:
        return None
    return Refusal(
        "max_devices",
        f"Batch {situation.batch_id} would offboard {_devices(situation.devices)}, but {limits.max_devices_from} "
        f"allows {limits.max_devices}.",
        _if_all_are_meant(situation, f"run it with --max-devices {situation.devices}."),
    )


def _max_devices_per_day(situation: Situation, limits: GuardLimits) -> Refusal | None:
    total = situation.devices + situation.sent_today
    if limits.max_devices_per_day is None or total <= limits.max_devices_per_day:
        return None
    if not situation.sent_today and _max_devices(situation, limits) is not None:
        return None  # the same devices, refused by the same number as a rule
    with_those = (
        f"With the {_devices(situation.sent_today)} of the last 24 hours, batch" if situation.sent_today else "Batch"
    )
    later = ", or run it later" if situation.devices <= limits.max_devices_per_day else ""
    return Refusal(
        "max_devices_per_day",
        f"{with_those} {situation.batch_id} would make {_devices(total)} in 24 hours, but guards.max_devices_per_day "
        f"allows {limits.max_devices_per_day}.",
        _if_all_are_meant(situation, f"run it with --max-devices {situation.devices}{later}."),
    )


def _max_fleet_percent(situation: Situation, limits: GuardLimits) -> Refusal | None:
    fleet = situation.onboarded
    if fleet is None or fleet < SMALLEST_FLEET:
        return None
    if 100 * situation.devices <= limits.max_fleet_percent * fleet:
        return None
    needed = min(100, ceil(100 * situation.devices / fleet))
    return Refusal(
        "max_fleet_percent",
        f"Batch {situation.batch_id} would offboard {situation.devices} of the tenant's {fleet} onboarded devices, but "
        f"guards.max_fleet_percent allows {limits.max_fleet_percent:g} %.",
        f"If all of them are meant, set guards.max_fleet_percent to {needed}.",
    )


def _whole_tenant(situation: Situation, limits: GuardLimits) -> Refusal | None:
    """A share of 100 % means that the operator wants to offboard the whole tenant."""
    if situation.known is None or limits.max_fleet_percent >= 100 or not situation.devices:
        return None
    if situation.matched < WHOLE_TENANT * situation.known:
        return None
    if situation.known < (SMALLEST_EXPORT if _is_export(situation) else SMALLEST_FLEET):
        return None
    return Refusal(
        WHOLE_TENANT_GUARD,
        f"The sheet of batch {situation.batch_id} contains {situation.matched} of the tenant's {situation.known} "
        "devices, so it looks like an export of the whole inventory (the portal ignores its filters when it exports).",
        "Make a sheet that lists only the devices to be offboarded.",
    )


def _protected_needs_lookup(situation: Situation, _limits: GuardLimits) -> Refusal | None:
    if situation.known is not None or not situation.protected.needs_lookup:
        return None
    return Refusal(
        "protected",
        "guards.protected has rules by name, tag or group, which cannot be checked without a look-up.",
        "Plan with the look-up, or keep only IDs in the list.",
    )


def _comment(situation: Situation, limits: GuardLimits) -> Refusal | None:
    if situation.has_comment or not limits.require_comment:
        return None
    return Refusal(
        "require_comment",
        f"Batch {situation.batch_id} has no comment, but guards.require_comment requires one.",
        "Plan the sheet again with --comment, or with comment set in the configuration.",
    )


def _is_export(situation: Situation) -> bool:
    """Whether the sheet has the columns of the portal's own export."""
    return len({column.strip().lower() for column in situation.columns} & PORTAL_COLUMNS) >= PORTAL_SIGNS


def _if_all_are_meant(situation: Situation, how: str) -> str:
    """The remedy that raises a limit, unless the sheet may be the whole inventory, which only a look-up can show."""
    if situation.known is None and _is_export(situation):
        return (
            "The sheet is an export of the portal, which ignores its filters, and only a look-up can show how much of "
            "the tenant it contains; plan it with the look-up first."
        )
    return f"If all of them are meant, {how}"


def _devices(number: int) -> str:
    return f"{number} device" if number == 1 else f"{number} devices"


_GUARDS: Sequence[Callable[[Situation, GuardLimits], Refusal | None]] = (
    _max_devices,
    _max_devices_per_day,
    _max_fleet_percent,
    _whole_tenant,
    _protected_needs_lookup,
    _comment,
)
