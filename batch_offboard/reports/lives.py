"""The history of one row as values: what was decided about it, every call for it, how its doubts were settled."""

from dataclasses import dataclass

from batch_offboard.reports.rows import ReportRow


@dataclass(frozen=True, slots=True)
class Settlement:
    """How one doubt was settled. `settled` is `list` or `person`; `at` in seconds since the epoch."""

    attempt: int
    at: float
    settled: str
    who: str
    accepted: bool
    action_id: str
    note: str


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt as the journal has it: to offboard, or to cancel."""

    api: str
    attempt: int
    started_at: float
    ended_at: float | None
    verdict: str
    http_status: int | None
    code: str
    message: str
    target: str


@dataclass(frozen=True, slots=True)
class Life:
    """One row of a batch, what was decided about it, and every call that was made for it. `note` is the plan's remark
    on a device that it accepted."""

    report_row: ReportRow
    reason: str
    first_row: int | None
    calls: tuple[Call, ...]
    settlements: tuple[Settlement, ...] = ()
    note: str = ""
