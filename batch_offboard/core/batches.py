"""A batch and the counts of its rows, as values that the journal reads and every face shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from batch_offboard.core.consent import SetAside
from batch_offboard.core.jobs import JobState
from batch_offboard.core.plan import Reason


def tenant_of(scope: str) -> str:
    """The tenant in a scope's name, which is TENANT/APPLICATION."""
    return scope.rpartition("/")[0]


class BatchState(StrEnum):
    """The state of a batch."""

    PLANNING = "planning"  # its rows are being written; nobody sees it yet
    PLANNED = "planned"  # never run
    RUNNING = "running"  # a process works on it, or died while it did
    STOPPED = "stopped"  # a run has ended before its end; any later run may continue it
    HELD = "held"  # the same, but only a person may continue it
    FINISHED = "finished"  # nothing is left to send or to settle

    @property
    def word(self) -> str:
        """What people and programs are shown: to them a held batch is a stopped one that says why."""
        return BatchState.STOPPED.value if self is BatchState.HELD else self.value


# No other module decides that a batch may go from one state to another.
BATCH_MOVES: Mapping[BatchState, frozenset[BatchState]] = {
    BatchState.PLANNING: frozenset({BatchState.PLANNED}),
    BatchState.PLANNED: frozenset({BatchState.RUNNING}),
    BatchState.RUNNING: frozenset({BatchState.RUNNING, BatchState.STOPPED, BatchState.HELD, BatchState.FINISHED}),
    BatchState.STOPPED: frozenset({BatchState.RUNNING, BatchState.STOPPED, BatchState.HELD, BatchState.FINISHED}),
    BatchState.HELD: frozenset({BatchState.RUNNING, BatchState.HELD, BatchState.FINISHED}),
    BatchState.FINISHED: frozenset({BatchState.RUNNING, BatchState.STOPPED, BatchState.FINISHED}),
}

UNFINISHED = frozenset({BatchState.RUNNING, BatchState.STOPPED, BatchState.HELD})  # begun, and something may be left


def states_before(new: BatchState) -> frozenset[BatchState]:
    """The states from which a batch may go to the new one."""
    return frozenset(old for old, to in BATCH_MOVES.items() if new in to)


def states_called(word: str) -> frozenset[BatchState]:
    """The states that are shown by this word."""
    return frozenset(state for state in BatchState if state.word == word)


@dataclass(frozen=True, slots=True)
class Batch:
    """One plan and its execution. Times are seconds since the epoch."""

    key: int
    batch_id: str
    scope_key: int
    scope: str
    state: BatchState
    halted_because: str
    planned_at: float
    started_at: float | None
    ended_at: float | None
    source_path: str
    source_name: str
    source_sha256: str
    source_kind: str
    columns: tuple[str, ...]
    reading: Mapping[str, Any]
    reports: tuple[str, ...]
    api_url: str
    comment: str
    simulated: bool
    tool_version: str
    lookup_wanted: bool
    looked_up_at: float | None
    findings: Mapping[str, Any]
    plan_sha256: str = ""  # over everything that is approved with the plan; see `consent.plan_digest`

    @property
    def chosen(self) -> str:
        """The options that chose a part of it to be sent, as typed; empty if all of it was cleared."""
        return str(self.findings.get("selection") or "")

    @property
    def chosen_rows(self) -> tuple[tuple[int, int], ...]:
        """The rows of that part, as pairs of first and last."""
        return tuple((int(first), int(last)) for first, last in self.findings.get("selected", ()))

    @property
    def is_part_sent(self) -> bool:
        """Whether only a part was chosen and that part was sent completely; a person left out what is pending."""
        return bool(self.chosen) and self.state is BatchState.STOPPED and not self.halted_because

    @property
    def held(self) -> bool:
        """Whether a brake or a person stopped it, so that only a person may continue it."""
        return self.state is BatchState.HELD

    @property
    def needs_person(self) -> bool:
        """Whether no unattended run may continue it: a brake or a person stopped it, or only a part was chosen."""
        return self.held or bool(self.chosen)

    @property
    def why_it_waits(self) -> str:
        """Why it needs a person, if it does."""
        part = f"It was to be sent in part only ({self.chosen})." if self.chosen else ""
        return " ".join(each for each in (self.halted_because, part) if each)

    @property
    def submitters(self) -> tuple[str, ...]:
        """The persons who submitted it: who planned it, and whose sheet it is where that is known."""
        planned_by = str(self.findings.get("planned_by", "")).rpartition("@")[0]
        return tuple(each for each in (planned_by, self.findings.get("sheet_owner", "")) if each)

    @property
    def set_aside(self) -> SetAside:
        """What was stated as set aside when it was planned."""
        return SetAside.from_json(self.findings.get("set_aside", {}))

    @property
    def tenant(self) -> str:
        """The tenant alone, for people; `scope` names the application as well."""
        return "rehearsal" if self.simulated else tenant_of(self.scope)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows of a batch are in each state: jobs by state, and rows without a job by reason."""

    jobs: Mapping[JobState, int]
    skipped: Mapping[Reason, int]

    @property
    def rows(self) -> int:
        return sum(self.jobs.values()) + sum(self.skipped.values())

    @property
    def devices(self) -> int:
        return sum(self.jobs.values())

    def of(self, *states: JobState) -> int:
        return sum(self.jobs.get(state, 0) for state in states)


@dataclass(frozen=True, slots=True)
class Example:
    """A skipped row as an example of its reason; the device ID is as typed."""

    row: int
    device_id: str
    device_name: str
    detail: str


# Batch IDs of rehearsals start with this, so that people and the program can distinguish them from real ones.
SIMULATED_PREFIX = "sim-"
