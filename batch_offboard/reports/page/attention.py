"""The rows that need attention, grouped by problem: the advice once, then the rows.

A limited number of rows is kept for each group; the page's table has all rows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from batch_offboard.core.plan import Reason
from batch_offboard.core.tenant import UNSUCCESSFUL
from batch_offboard.reports.rows import Outcome, ReportRow, advice

ROWS_LISTED = 25  # per group on a screen
ROWS_PRINTED = 1000  # per group on paper, where there is no table to search
GROUPS = 40
LONGEST_TEXT = 600  # characters of a message; the table has it whole

_ORDER = (Outcome.FAILED, Outcome.IN_DOUBT, Outcome.SUBMITTED, Outcome.SKIPPED)
_WELL = frozenset(reason.value for reason in Reason if reason.is_well)


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of a group."""

    row: int
    device_id: str
    device_name: str
    message: str
    http_status: int | None
    attempts: int


@dataclass(slots=True)
class Group:
    """Rows with the same problem. `trouble` is the error code, or the status of the machine action."""

    outcome: Outcome
    trouble: str
    advice: str
    count: int = 0
    rows: list[Listed] = field(default_factory=list)

    @property
    def on_screen(self) -> list[Listed]:
        return self.rows[:ROWS_LISTED]

    @property
    def on_paper(self) -> list[Listed]:
        """How many rows a screen shows only in the table of all rows."""
        return self.rows[ROWS_LISTED:]

    @property
    def not_on_screen(self) -> int:
        return self.count - len(self.on_screen)

    @property
    def not_on_paper(self) -> int:
        return self.count - len(self.rows)


class Attention:
    """Collects the groups while rows are written."""

    def __init__(self, batch_id: str) -> None:
        self._batch = batch_id
        self._groups: dict[tuple[Outcome, str], Group] = {}

    def watching(self, rows: Iterable[ReportRow]) -> Iterator[ReportRow]:
        """Yield the same rows and collect those that need attention."""
        for row in rows:
            trouble = trouble_of(row)
            if trouble is not None:
                self._note(row, trouble)
            yield row

    def groups(self) -> list[Group]:
        """Failures first, then doubts, actions without effect, rows to be repaired; in each the largest group first."""
        groups = self._groups.values()
        return sorted(groups, key=lambda group: (_ORDER.index(group.outcome), -group.count, group.trouble))

    def _note(self, row: ReportRow, trouble: str) -> None:
        key, remedy = (row.outcome, trouble), advice(row, self._batch, "ROW")
        if key not in self._groups and len(self._groups) >= GROUPS:
            key, remedy = (row.outcome, "other reasons"), "The table of all rows says what to do about each."
        group = self._groups.setdefault(key, Group(*key, remedy))
        group.count += 1
        if len(group.rows) < ROWS_PRINTED:
            message = row.error_message[:LONGEST_TEXT]
            listed = Listed(row.row, row.device_id, row.device_name, message, row.http_status, row.attempts)
            group.rows.append(listed)


def trouble_of(row: ReportRow) -> str | None:
    """The row's problem, or None if it needs no attention."""
    if row.outcome in (Outcome.FAILED, Outcome.IN_DOUBT):
        return row.error_code
    if row.outcome is Outcome.SUBMITTED and row.action_status.lower() in UNSUCCESSFUL:
        return row.action_status
    if row.outcome is Outcome.SKIPPED and row.error_code not in _WELL:
        return row.error_code
    return None
