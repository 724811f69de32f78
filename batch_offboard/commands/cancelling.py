"""Cancels a batch's own machine actions that are not final: within the quota, journalled like other calls."""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from batch_offboard.base import logs
from batch_offboard.base.clock import Moment
from batch_offboard.base.errors import BatchOffboardError, BusyError, ExitCode, SignInError, UsageError
from batch_offboard.calls.gate import Gate
from batch_offboard.calls.logged import LoggedCalls
from batch_offboard.calls.lookup import look_back
from batch_offboard.calls.pool import Pool
from batch_offboard.calls.tenancy import HURRIED, CannotReadError, ReadError, StrangeListError, Tenancy
from batch_offboard.commands.desk import Desk
from batch_offboard.commands.locking import working_alone
from batch_offboard.commands.reporting import usual_reports, write_reports
from batch_offboard.commands.views import Talk
from batch_offboard.core.audit import Kind
from batch_offboard.core.batches import Batch
from batch_offboard.core.brakes import CancelBrakes, Halt
from batch_offboard.core.consent import Consent
from batch_offboard.core.jobs import CallOutcome, Job, Verdict
from batch_offboard.core.slots import Slot
from batch_offboard.core.tenant import ApiName
from batch_offboard.defender.protocol import cancel_request, classify_cancel
from batch_offboard.journal import settlements
from batch_offboard.journal.attempts import End, Start
from batch_offboard.journal.reading import call_history, rows_between
from batch_offboard.journal.settlements import OwnAction

CANCEL_COMMENT = "Offboarding taken back"
WHY_HELD = "Its machine actions were cancelled, and rows that were not sent by then wait for a person."
NOT_OPEN = "no machine action of this batch is open for it"  # of a row that was named


@dataclass(frozen=True, slots=True)
class CancelView:
    """The result of a cancellation. `refused` maps rows whose action was not cancelled to the API's message;
    `still_open` is how many of the batch's own actions are not final."""

    batch: Batch
    asked: int
    cancelled: int
    refused: Mapping[int, str]
    halt: Halt | None
    reports: Sequence[Path]
    exit_code: ExitCode
    still_open: int = 0


@dataclass(frozen=True, slots=True)
class CancelProposal:
    """What would be cancelled, for a person to confirm: the row of each machine action, by action ID. `rows` are those
    that were named; empty means all."""

    batch: Batch
    rows: Collection[int]
    actions: Mapping[str, int]


async def propose_cancel(desk: Desk, name: str, rows: Collection[int], talk: Talk) -> CancelProposal:
    """The batch's own actions that are not final, all or those of some rows. Raises UsageError if there are none.
    Actions that others created are never touched."""
    batch = desk.batch(name, begun=True)
    desk.tenants.target_of(batch)
    _refuse_unknown(desk, batch, rows)
    with working_alone(desk, batch):
        async with desk.tenants.of(batch, talk.say) as tenancy:
            await _refresh(tenancy, batch)
    actions = {
        action.action_id: action.row
        for action in settlements.own_open_actions(desk.journal, batch.key)
        if not rows or action.row in rows
    }
    if not actions:
        raise UsageError(
            f"Batch {batch.batch_id} has nothing to cancel{' in these rows' if rows else ''}: no action of its own "
            f"is open; `batch-offboard show {batch.batch_id}` shows its state."
        )
    return CancelProposal(batch, rows, actions)


async def cancel(
    desk: Desk, proposal: CancelProposal, consent: Consent, reports: Sequence[Path], talk: Talk
) -> CancelView:
    """Cancel the confirmed actions that are still open."""
    batch, rows, agreed = proposal.batch, proposal.rows, proposal.actions
    with working_alone(desk, batch):
        # A person may take hours to confirm, and others may work meanwhile: actions created since were not confirmed.
        chosen = [each for each in settlements.own_open_actions(desk.journal, batch.key) if each.action_id in agreed]
        if not rows:
            desk.journal.hold(batch.key, WHY_HELD, desk.clock.now().wall)
        work = _Cancelling(batch, chosen, desk.options.comment or CANCEL_COMMENT, talk)
        with _recorded(desk, batch, len(chosen), consent) as ends:
            async with desk.tenants.of(batch, talk.say) as tenancy:
                halt = await work.run(tenancy)
            ends(halt.reason if halt else "")
        batch = desk.batch(batch.batch_id)
        written = write_reports(desk, batch, reports or usual_reports(desk, batch))
    taken_back = settlements.cancelled_rows(desk.journal, batch.key)
    open_rows = {action.row for action in chosen}
    named = sorted({*agreed.values(), *rows})
    refused = {row: work.words.get(row, "") if row in open_rows else NOT_OPEN for row in named if row not in taken_back}
    code = ExitCode.OK if not refused else halt.exit_code if halt else ExitCode.ROWS_FAILED
    still_open = len(settlements.own_open_actions(desk.journal, batch.key))
    return CancelView(batch, len(named), len(named) - len(refused), refused, halt, written, code, still_open)


def _refuse_unknown(desk: Desk, batch: Batch, rows: Collection[int]) -> None:
    """Raise UsageError if one of these rows is not in the batch: a typing error would leave the intended row
    uncancelled."""
    unknown = [str(row) for row in sorted(rows) if not rows_between(desk.journal, batch.key, row, row)]
    if unknown:
        named = f"{'row' if len(unknown) == 1 else 'rows'} {', '.join(unknown)}"
        raise UsageError(
            f"Batch {batch.batch_id} has no {named} (--row); nothing was cancelled. The report shows the rows of the "
            "batch."
        )


@contextmanager
def _recorded(desk: Desk, batch: Batch, actions: int, consent: Consent) -> Iterator[Callable[[str], None]]:
    """Record the start and the end of the block, however it ends; the block sets the reason."""
    reason = ["The program met an unexpected error."]

    def ends(because: str) -> None:
        reason[0] = because

    _record(desk, Kind.STARTED, batch, {"rows": actions, "consent": consent.how, "consented": consent.actor.who})
    try:
        yield ends
    except BatchOffboardError as error:
        ends(str(error))
        raise
    finally:
        _record(desk, Kind.ENDED, batch, {"reason": reason[0]})


def _record(desk: Desk, kind: Kind, batch: Batch, content: Mapping[str, object]) -> None:
    """Record an event in the audit record and in the log."""
    facts = {"batch": batch.batch_id, "command": "cancel", **content}
    desk.journal.record(kind, desk.clock.now().wall, facts)
    logs.info(f"cancellation {kind}", **facts)


async def _refresh(tenancy: Tenancy, batch: Batch) -> None:
    """Update which actions are final. If the tenant cannot be read, the API's answers will show it: a cancellation is
    urgent."""
    try:
        await look_back(tenancy, batch, resend=False, open_only=True)
    except (CannotReadError, ReadError, BusyError) as error:
        tenancy.say(f"The actions' statuses are not known: {str(error).rstrip('.')}.")


class _Cancelling:
    """The pool's store, sender and watcher for cancellations in one object."""

    def __init__(self, batch: Batch, actions: Sequence[OwnAction], comment: str, talk: Talk) -> None:
        self._batch, self._comment, self._talk = batch, comment, talk
        self._actions = {action.row: action for action in actions}
        self._left = [Job(action.row, action.device_id, action.cancels) for action in actions]
        self._tenancy: Tenancy | None = None
        self.words: dict[int, str] = {}

    async def run(self, tenancy: Tenancy) -> Halt | None:
        self._tenancy = tenancy
        target, clock = tenancy.target, tenancy.clock
        journal, now = tenancy.journal, clock.now()
        await tenancy.writer.run(journal.take_over, self._batch.scope_key, now)
        history = call_history(journal, self._batch.scope, ApiName.CANCEL, target.limits.hour.calls, now)
        gate = Gate(target.limits, clock, history)
        watcher = LoggedCalls(ApiName.CANCEL, self._batch.batch_id, self)
        pool = Pool(self, gate, self, CancelBrakes(), watcher, clock, target.workers)
        with self._talk.ending.heard(
            lambda name: pool.drain(_received(name)),
            lambda name: pool.stop(_received(name)),
        ):
            halt = await pool.run()
        with suppress(CannotReadError, ReadError, StrangeListError, SignInError, BusyError):
            await look_back(tenancy, self._batch, patience=HURRIED, resend=False)
        return halt

    async def next_jobs(self) -> list[Job]:
        jobs, self._left = self._left, []
        return jobs

    def start(self, job: Job, at: Moment) -> Awaitable[None]:
        line = Start(self._batch.key, self._batch.scope_key, job.row, job.attempts, at, ApiName.CANCEL)
        return self._open.writer.write(line)

    def end(self, job: Job, at: Moment, outcome: CallOutcome, *, slower: bool) -> Awaitable[None]:
        key, scope = self._batch.key, self._batch.scope_key
        return self._open.writer.write(End(key, scope, job.row, job.attempts, at, outcome, slower, ApiName.CANCEL))

    async def send(self, job: Job, slot: Slot) -> CallOutcome:
        action_id = self._actions[job.row].action_id
        request = cancel_request(self._open.target.api_url, action_id, self._comment)
        answer = await self._open.client.send(request, slot)
        return classify_cancel(answer, action_id, self._open.clock.now().wall)

    async def renew_sign_in(self) -> None:
        await self._open.target.token.renew()

    def began(self, job: Job) -> None:
        """Nothing is shown yet."""

    def ended(self, job: Job, outcome: CallOutcome) -> None:
        self.words[job.row] = ": ".join(word for word in (outcome.code, outcome.message) if word)
        if outcome.verdict is not Verdict.CANCELLED:
            self._talk.say(f"Row {job.row}: {outcome.verdict.replace('_', ' ')}, {self.words[job.row]}")

    @property
    def _open(self) -> Tenancy:
        if self._tenancy is None:
            raise UsageError("Nothing can be cancelled before the tenant is open; this is a bug in the program.")
        return self._tenancy


def _received(name: str) -> Halt:
    return Halt(f"{name} was received; no further actions were cancelled.", ExitCode.UNFINISHED)
