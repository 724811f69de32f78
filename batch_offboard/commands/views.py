"""What the commands return, as values that every face shows, and the callbacks that a face passes in."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from batch_offboard.base.errors import ExitCode
from batch_offboard.calls.logged import LoggedRun
from batch_offboard.core.batches import Batch, Counts, Example
from batch_offboard.core.brakes import Halt
from batch_offboard.core.consent import Approval, Approvals
from batch_offboard.core.ending import Ending
from batch_offboard.core.facts import Caution, CautionCount
from batch_offboard.core.guards import Refusal
from batch_offboard.core.jobs import JobState
from batch_offboard.core.plan import Reason
from batch_offboard.core.progress import Observer
from batch_offboard.core.selection import Choice, Selection
from batch_offboard.core.slots import Standing
from batch_offboard.core.tenant import ApiName


@dataclass(frozen=True, slots=True)
class PlanView:
    """What `plan` shows. `expected` is seconds from the first call to the end of the last; `refusals` are those of the
    guards; `lifted_to` is the limit given by --max-devices, if any; `approvals` is None if none are needed."""

    batch: Batch
    counts: Counts
    examples: Mapping[Reason, Sequence[Example]]
    notes: Sequence[str]
    expected: float
    max_devices: int | None
    cautions: Mapping[Caution, CautionCount] = field(default_factory=dict)
    sent_again: Sequence[Example] = ()  # devices that were sent before
    refusals: Sequence[Refusal] = ()
    lifted_to: int | None = None
    approvals: Approvals | None = None
    overrides: Sequence[str] = ()  # options that set a guard aside
    selection: Selection | None = None

    @property
    def to_send(self) -> int:
        """How many devices a run of the plan sends."""
        return self.counts.of(JobState.PENDING) if self.selection is None else len(self.selection.rows)


@dataclass(frozen=True, slots=True)
class RunView:
    """How a run ended."""

    batch: Batch
    counts: Counts
    skipped: Mapping[Reason, int]
    halt: Halt | None
    reports: Sequence[Path]
    exit_code: ExitCode
    open_actions: int = 0  # machine actions that are not final according to the journal
    left_out: int = 0  # pending rows that were not part of this run


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a run would send, for a person to confirm. `command`: `run` or `retry`; `choice`: the requested part of the
    batch, empty for all of it."""

    view: PlanView
    command: str = "run"
    choice: Choice = Choice()  # noqa: RUF009  # frozen

    @property
    def batch(self) -> Batch:
        return self.view.batch


@dataclass(frozen=True, slots=True)
class Talk:
    """A command's connection to its users: who watches its progress, where its messages go, and how to ask it to
    end."""

    observer: Observer
    say: Callable[[str], None]
    ending: Ending = field(default_factory=Ending)


def all_skipped(counts: Counts, skipped: Mapping[Reason, int]) -> dict[Reason, int]:
    """Skipped rows by reason: those of the plan, and jobs that a run has skipped."""
    total = dict(counts.skipped)
    for reason, number in skipped.items():
        total[reason] = total.get(reason, 0) + number
    return total


@dataclass(frozen=True, slots=True)
class BatchView:
    """One batch as it is now. `skipped` are jobs that a run has skipped; `at_work`: another process works on it."""

    batch: Batch
    counts: Counts
    skipped: Mapping[Reason, int]
    open_actions: int
    approvals: Sequence[Approval]
    at_work: bool


@dataclass(frozen=True, slots=True)
class ResolvedView:
    """A row that a person settled, and its batch with the counts right after that."""

    batch: Batch
    counts: Counts
    row: int
    accepted: bool


@dataclass(frozen=True, slots=True)
class ListView:
    """The requested batches, newest first. `interrupted`: the keys of those whose process has died; `hidden`: how many
    outdated plans were left out."""

    batches: Sequence[tuple[Batch, Counts]]
    interrupted: Collection[int]
    hidden: int


def logged(observer: Observer) -> Observer:
    """An observer that logs each event before passing it on."""
    return LoggedRun(observer)


def exit_code(counts: Counts, skipped: Mapping[Reason, int], halt: Halt | None) -> ExitCode:
    """The exit code of a run that ended like this."""
    if halt is not None and (counts.of(JobState.PENDING) or halt.exit_code is ExitCode.SIGN_IN):
        return halt.exit_code
    if counts.of(JobState.PENDING, JobState.SENDING, JobState.IN_DOUBT):
        return ExitCode.UNFINISHED
    unwell = sum(number for reason, number in [*counts.skipped.items(), *skipped.items()] if not reason.is_well)
    return ExitCode.ROWS_FAILED if unwell or counts.of(JobState.FAILED, JobState.CANCELLED) else ExitCode.OK


def exit_code_of_plan(view: PlanView) -> ExitCode:
    """The exit code of a plan: OK if no row needs attention."""
    return exit_code(Counts({}, view.counts.skipped), {}, None)


@dataclass(frozen=True, slots=True)
class QuotaView:
    """The quota of offboard calls as it stands; `next_call` is in seconds since the epoch, None if a call under way
    decides it. `others` are the quotas of reads and cancellations that were used."""

    scope: str
    standing: Standing
    next_call: float | None
    now: float
    others: Mapping[ApiName, Standing]
