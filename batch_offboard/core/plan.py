"""Decides each row of a sheet: a device to offboard, a duplicate, or a row that is skipped for a reason.

Pure: the rows are passed in, in order, with what the journal and the tenant know about the devices. A row is decided
at once; the only exception is a contradiction that a later row reveals, which `amendments` returns at the end.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from batch_offboard.base.clock import iso_utc
from batch_offboard.core.devices import Refusal, judge_id, normal_name, same_name, shown, trimmed
from batch_offboard.core.facts import Caution, DeviceFacts
from batch_offboard.core.fleet import LONG_OPEN, Fleet, is_onboarded
from batch_offboard.core.platforms import why_unsupported
from batch_offboard.core.protected import Protected
from batch_offboard.core.rows import SourceRow
from batch_offboard.core.tenant import Machine

CANDIDATES_SHOWN = 5


class Reason(StrEnum):
    """Why a row is skipped; the value is the report's error_code."""

    DUPLICATE = "duplicate"
    INVALID_ID = "invalid_id"
    NOT_FOUND = "not_found"
    AMBIGUOUS_NAME = "ambiguous_name"
    NAME_MISMATCH = "name_mismatch"
    UNSUPPORTED_OS = "unsupported_os"
    NOT_ONBOARDED = "not_onboarded"
    MERGED = "merged"
    PROTECTED = "protected"
    ALREADY_PENDING = "already_pending"
    ALREADY_OFFBOARDED = "already_offboarded"
    OFFBOARDED_BEFORE = "offboarded_before"  # and it is not known whether it came back

    @property
    def is_well(self) -> bool:
        """Whether a row skipped for this reason needs no attention."""
        return self in (Reason.DUPLICATE, Reason.ALREADY_OFFBOARDED)


@dataclass(frozen=True, slots=True)
class Known:
    """What the journal knows about a device from another batch. Times are in seconds since the epoch, None if unknown:
    `accepted_at` by our clock, which may have been wrong, `ended_at` (when the action succeeded) by the server's."""

    reason: Reason  # ALREADY_OFFBOARDED or ALREADY_PENDING
    batch_id: str
    row: int
    action_id: str = ""
    accepted_at: float | None = None
    ended_at: float | None = None


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """One row of the plan; for a device to be offboarded `reason` is None and `detail` a note about it. `first_row` is
    set for a duplicate, `facts` for a device that the tenant knows or that is sent again."""

    row: int
    device_id: str
    device_name: str
    reason: Reason | None
    detail: str
    first_row: int | None
    cells: tuple[str, ...]
    facts: DeviceFacts | None = None


@dataclass(frozen=True, slots=True)
class Amendment:
    """A changed decision: the row was to be offboarded until a later row contradicted it."""

    row: int
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Why a device is not offboarded, as a reason and as a sentence."""

    reason: Reason
    detail: str


@dataclass(slots=True)
class _Seen:
    row: int
    name: str  # the most complete of the names that match
    named_in: int
    disputed: bool = False


class Planner:
    """Decides the rows of one sheet.

    `known` maps device IDs to what other batches did or still do with them; `fleet` is the look-up, None without one;
    `protected` devices are never sent. `offboard_again`: devices that were offboarded before are sent again if it is
    not known whether they came back.
    """

    def __init__(
        self,
        known: Mapping[str, Known],
        fleet: Fleet | None = None,
        protected: Protected | None = None,
        *,
        offboard_again: bool = False,
    ) -> None:
        self._known, self._offboard_again = known, offboard_again
        self._fleet = fleet
        self._protected = protected or Protected()
        self.matched = 0  # devices of the sheet that the tenant has a record of
        self._seen: dict[str, _Seen] = {}
        self._amendments: list[Amendment] = []

    def decide(self, source: SourceRow) -> PlannedRow:
        """The decision on the next row."""
        if (name := trimmed(source.device_name)) != source.device_name:
            source = replace(source, device_name=name)
        judged = judge_id(source.device_id)
        if isinstance(judged, Refusal):
            return self._without_id(source, judged)
        return self._identified(source, judged)

    def amendments(self) -> Iterator[Amendment]:
        """The decisions to change; complete after the last row."""
        return iter(self._amendments)

    def _without_id(self, source: SourceRow, refusal: Refusal) -> PlannedRow:
        """The name replaces the ID only if the cell is blank, which for example a formula without a value is not."""
        blank = isinstance(source.device_id, str) and not trimmed(source.device_id)
        as_typed = source.device_id if isinstance(source.device_id, str) else source.device_id.shown
        if not blank or not source.device_name:
            return _row(source, shown(as_typed), Decision(Reason.INVALID_ID, refusal.detail))
        if self._fleet is None:
            return _row(source, "", Decision(Reason.INVALID_ID, _NOT_LOOKED_UP))
        found = self._fleet.named(source.device_name)
        if len(found) == 1:
            return self.decide(replace(source, device_id=found[0].device_id))
        return _row(source, "", _unresolved(source.device_name, found))

    def _identified(self, source: SourceRow, device_id: str) -> PlannedRow:
        seen = self._seen.get(device_id)
        if seen is not None:
            return self._again(source, device_id, seen)
        machine = self._fleet.find(device_id) if self._fleet else None
        self.matched += machine is not None
        self._seen[device_id] = _Seen(source.number, source.device_name, source.number)
        decision = self._first(source, device_id, machine)
        note = self._why_again(device_id, machine) if decision is None else ""
        name = source.device_name or (machine.name if machine else "")
        return _row(source, device_id, decision, name=name, note=note, facts=self._facts(machine, again=bool(note)))

    def _facts(self, machine: Machine | None, *, again: bool = False) -> DeviceFacts | None:
        facts = None if self._fleet is None or machine is None else self._fleet.facts(machine)
        if not again:
            return facts
        facts = facts or DeviceFacts("", "", (), None)
        # SENT_AGAIN includes that there was an earlier action.
        kept = (each for each in facts.cautions if each is not Caution.OFFBOARDED_BEFORE)
        return replace(facts, cautions=(*kept, Caution.SENT_AGAIN))

    def _first(self, source: SourceRow, device_id: str, machine: Machine | None) -> Decision | None:
        """The decision on a device that no earlier row names."""
        protection = why_protected(self._protected, device_id, source.device_name, machine)
        if protection is not None:
            return protection
        misnamed = _misnamed(source.device_name, machine) if machine else None
        if misnamed is not None:
            return misnamed
        known = self._judge_known(device_id, machine)
        if known is not None or self._fleet is None:
            return known
        if machine is None:
            return Decision(Reason.NOT_FOUND, f"The tenant has no device {device_id}.")
        return judge_machine(machine, self._fleet)

    def _judge_known(self, device_id: str, machine: Machine | None) -> Decision | None:
        """Why the device is skipped because of another batch, or None. The tenant's current state takes precedence: a
        policy or an extension may have onboarded the device again."""
        known = self._known.get(device_id)
        if known is None:
            return None
        if known.reason is Reason.ALREADY_PENDING:
            detail = f"Not settled yet in batch {known.batch_id}, row {known.row}; resume that batch first."
            return Decision(Reason.ALREADY_PENDING, detail)
        is_back = came_back(known, machine, self._fleet) if self._fleet else None
        if is_back is False:
            return Decision(Reason.ALREADY_OFFBOARDED, _accepted_earlier(known))
        if is_back is None and not self._offboard_again:
            detail = (
                f"{_accepted_earlier(known)} It is not known whether the device came back; plan again when the tenant "
                "can be asked, or add --offboard-again to send it again."
            )
            return Decision(Reason.OFFBOARDED_BEFORE, detail)
        return None

    def _why_again(self, device_id: str, machine: Machine | None) -> str:
        """The note for a device that is sent although it was sent before; "" for any other."""
        known = self._known.get(device_id)
        seen = "" if machine is None or machine.last_seen is None else _day(machine.last_seen)
        if known is not None:
            is_back = self._fleet is not None and came_back(known, machine, self._fleet)
            because = f"back since {seen} at the latest; sent again" if is_back else "sent again with --offboard-again"
            return f"{_sent_before(known)} (batch {known.batch_id}, row {known.row}), {because}."
        overdue = self._fleet.overdue_action(machine) if self._fleet and machine else None
        if overdue is None or overdue.created is None:
            return ""
        return (
            f"Machine action {overdue.id} is {overdue.status or 'open'} since {_day(overdue.created)}, and the device "
            f"reported on {seen}; sent again."
        )

    def _again(self, source: SourceRow, device_id: str, seen: _Seen) -> PlannedRow:
        machine = self._fleet.find(device_id) if self._fleet else None
        misnamed = _misnamed(source.device_name, machine) if machine else None
        both_named = source.device_name and seen.name
        if misnamed is not None or (both_named and not same_name(source.device_name, seen.name)):
            self._dispute(source, seen)
        # Keep the name with a domain: it contradicts one with another domain, while a short name matches both.
        if not seen.name or (not seen.disputed and "." in normal_name(source.device_name)):
            seen.name, seen.named_in = source.device_name, source.number
        if misnamed is not None:
            return _row(source, device_id, misnamed, facts=self._facts(machine))
        if seen.disputed:
            detail = (
                f"Row {seen.named_in} gives the same device ID another name ({shown(seen.name)}); correct one of them."
            )
            return _row(source, device_id, Decision(Reason.NAME_MISMATCH, detail), facts=self._facts(machine))
        detail = f"Row {seen.row} has the same device ID and is the one that counts."
        duplicate = Decision(Reason.DUPLICATE, detail)
        return _row(source, device_id, duplicate, first_row=seen.row, facts=self._facts(machine))

    def _dispute(self, source: SourceRow, seen: _Seen) -> None:
        if not seen.disputed:
            detail = (
                f"Row {source.number} gives the same device ID another name ({shown(source.device_name)}); "
                "correct one of them."
            )
            self._amendments.append(Amendment(seen.row, Reason.NAME_MISMATCH, detail))
        seen.disputed = True


def why_protected(protected: Protected, device_id: str, name: str, machine: Machine | None) -> Decision | None:
    """The decision on a device that is on the protected list, or None. `name` is the sheet's."""
    rule = protected.why(device_id, name, machine)
    if rule is None:
        return None
    return Decision(Reason.PROTECTED, f"The protected list names this device ('{shown(rule)}').")


def came_back(known: Known, machine: Machine | None, fleet: Fleet) -> bool | None:
    """Whether the tenant shows a device as onboarded and seen after it was offboarded; None if that is not certain.
    `known` says that it was accepted; `machine` is the tenant's record, if any.

    Only times of the server's clock prove that a device is back: ours may have been changed since.
    """
    if machine is None or not is_onboarded(machine):
        return False
    if machine.last_seen is None and machine.health.lower() == "inactive":
        return False
    if known.ended_at is not None:
        return None if machine.last_seen is None else machine.last_seen > known.ended_at
    if fleet.open_action(machine.device_id) is not None:
        return fleet.overdue_action(machine) is not None
    # The list may be late or unreadable, or not go back so far. A device that was sent recently is not back yet.
    is_young = known.accepted_at is not None and 0 <= fleet.at - known.accepted_at <= LONG_OPEN
    return False if is_young else None


def judge_machine(machine: Machine, fleet: Fleet) -> Decision | None:
    """Why this machine is not offboarded according to the tenant, or None."""
    return next((decision for rule in _RULES if (decision := rule(machine, fleet)) is not None), None)


def _merged(machine: Machine, _fleet: Fleet) -> Decision | None:
    if not machine.merged_into:
        return None
    return Decision(Reason.MERGED, f"The tenant has merged this record into device {machine.merged_into}.")


def _not_onboarded(machine: Machine, _fleet: Fleet) -> Decision | None:
    if is_onboarded(machine):
        return None
    return Decision(Reason.NOT_ONBOARDED, f"Defender reports this device as {machine.onboarding}.")


def _unsupported(machine: Machine, fleet: Fleet) -> Decision | None:
    why = why_unsupported(machine, fleet.platforms)
    return None if why is None else Decision(Reason.UNSUPPORTED_OS, f"{why}.")


def _open_action(machine: Machine, fleet: Fleet) -> Decision | None:
    action = fleet.open_action(machine.device_id)
    if action is None or action is fleet.overdue_action(machine):
        return None
    whose = f" by {shown(action.requestor)}" if action.requestor else ""
    detail = (
        f"An offboard action of this device{whose} is already {action.status or 'open'}: machine action {action.id}."
    )
    return Decision(Reason.ALREADY_PENDING, detail)


_RULES: Sequence[Callable[[Machine, Fleet], Decision | None]] = (_merged, _not_onboarded, _unsupported, _open_action)


def _misnamed(name: str, machine: Machine) -> Decision | None:
    """A row's ID and name must identify the same device; a name that the tenant cannot confirm does not."""
    if not name or same_name(name, machine.name):
        return None
    of_it = f"calls this device {shown(machine.name)}" if machine.name else "has no name for this device"
    return Decision(Reason.NAME_MISMATCH, f"The tenant {of_it}, but the row says {shown(name)}; correct one of them.")


def _unresolved(name: str, found: Sequence[Machine]) -> Decision:
    if not found:
        return Decision(Reason.NOT_FOUND, f"The tenant has no device named {shown(name)}.")
    listed = ", ".join(_candidate(machine) for machine in found[:CANDIDATES_SHOWN])
    more = f" and {len(found) - CANDIDATES_SHOWN} more" if len(found) > CANDIDATES_SHOWN else ""
    return Decision(Reason.AMBIGUOUS_NAME, f"{len(found)} devices are named {shown(name)}: {listed}{more}.")


def _candidate(machine: Machine) -> str:
    notes = [note for note in (machine.health, "merged into another" if machine.merged_into else "") if note]
    return machine.device_id + (f" ({', '.join(notes)})" if notes else "")


def _row(
    source: SourceRow,
    device_id: str,
    decision: Decision | None,
    *,
    first_row: int | None = None,
    name: str = "",
    note: str = "",
    facts: DeviceFacts | None = None,
) -> PlannedRow:
    reason, detail = (decision.reason, decision.detail) if decision else (None, note)
    name = name or source.device_name
    return PlannedRow(source.number, device_id, name, reason, detail, first_row, source.cells, facts)


_NOT_LOOKED_UP = (
    "The row has no device ID, and its computer name was not looked up in the tenant; copy the ID from the device's "
    "page in the portal."
)


def _accepted_earlier(known: Known) -> str:
    return f"Accepted earlier in batch {known.batch_id}, row {known.row}, machine action {known.action_id}."


def _sent_before(known: Known) -> str:
    if known.ended_at is not None:
        return f"Offboarded on {_day(known.ended_at)}"
    return "Sent before" if known.accepted_at is None else f"Sent on {_day(known.accepted_at)}"


def _day(at: float) -> str:
    """The day in UTC, since the sentence is written to files."""
    return iso_utc(at)[:10]
