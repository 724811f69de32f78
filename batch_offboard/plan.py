"""What becomes of each row of a sheet: a device to offboard, a duplicate, or a row that is refused with a reason.

Pure: the rows come in, in order, and with them what the journal knows of the devices. A row is decided when it
comes, with one exception that only a later row can bring to light; `amendments` tells it at the end.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from batch_offboard.devices import Refusal, judge_id, same_name, shown
from batch_offboard.rows import SourceRow


class Reason(StrEnum):
    """Why a row is skipped; the words stand in the report's error_code."""

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

    @property
    def is_well(self) -> bool:
        """A row skipped for this reason needs nobody's attention."""
        return self in (Reason.DUPLICATE, Reason.ALREADY_OFFBOARDED)


@dataclass(frozen=True, slots=True)
class Known:
    """What the journal knows of a device from another batch."""

    reason: Reason  # ALREADY_OFFBOARDED or ALREADY_PENDING
    batch_id: str
    row: int
    action_id: str = ""


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """One row of the plan; `reason` is None for a device to be offboarded. `first_row` is set for a duplicate."""

    row: int
    device_id: str
    device_name: str
    reason: Reason | None
    detail: str
    first_row: int | None
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Amendment:
    """A row that was to be offboarded until a later row spoke against it."""

    row: int
    reason: Reason
    detail: str


@dataclass(slots=True)
class _Seen:
    row: int
    name: str
    disputed: bool = False


class Planner:
    """Decides the rows of one sheet. `known` maps device IDs to what other batches did or still do with them."""

    def __init__(self, known: Mapping[str, Known]) -> None:
        self._known = known
        self._seen: dict[str, _Seen] = {}
        self._amendments: list[Amendment] = []

    def decide(self, source: SourceRow) -> PlannedRow:
        """The decision on the next row."""
        judged = judge_id(source.device_id)
        if isinstance(judged, Refusal):
            return self._refused(source, judged)
        seen = self._seen.get(judged)
        if seen is not None:
            return self._again(source, judged, seen)
        self._seen[judged] = _Seen(source.number, source.device_name)
        known = self._known.get(judged)
        if known is not None:
            return _row(source, judged, known.reason, _known_detail(known))
        return _row(source, judged, None, "")

    def amendments(self) -> Iterator[Amendment]:
        """Decisions that must be taken back; ask when all rows are in."""
        return iter(self._amendments)

    def _refused(self, source: SourceRow, refusal: Refusal) -> PlannedRow:
        as_typed = source.device_id if isinstance(source.device_id, str) else source.device_id.shown
        detail = refusal.detail
        if not as_typed.strip() and source.device_name:
            detail = (
                "The row has no device ID, and computer names are not looked up; copy the ID from the device's page "
                "in the portal."
            )
        return _row(source, shown(as_typed), Reason.INVALID_ID, detail)

    def _again(self, source: SourceRow, device_id: str, seen: _Seen) -> PlannedRow:
        if not source.device_name or not seen.name:
            seen.name = seen.name or source.device_name
        elif not same_name(source.device_name, seen.name):
            self._dispute(source, seen)
        if seen.disputed:
            detail = f"Row {seen.row} gives the same device ID another name ({shown(seen.name)}); correct one of them."
            return _row(source, device_id, Reason.NAME_MISMATCH, detail)
        detail = f"Row {seen.row} holds the same device and is the one that counts."
        return _row(source, device_id, Reason.DUPLICATE, detail, seen.row)

    def _dispute(self, source: SourceRow, seen: _Seen) -> None:
        if not seen.disputed:
            detail = (
                f"Row {source.number} gives the same device ID another name ({shown(source.device_name)}); "
                "correct one of them."
            )
            self._amendments.append(Amendment(seen.row, Reason.NAME_MISMATCH, detail))
        seen.disputed = True


def _row(
    source: SourceRow, device_id: str, reason: Reason | None, detail: str, first_row: int | None = None
) -> PlannedRow:
    return PlannedRow(source.number, device_id, source.device_name, reason, detail, first_row, source.cells)


def _known_detail(known: Known) -> str:
    where = f"batch {known.batch_id}, row {known.row}"
    if known.reason is Reason.ALREADY_OFFBOARDED:
        return f"Accepted earlier in {where}, machine action {known.action_id}."
    return f"Not settled yet in {where}; resume that batch first."
