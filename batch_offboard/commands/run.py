"""Sends a proposal, continues an interrupted batch, and deletes a plan that was never run."""

from collections.abc import Callable, Sequence
from pathlib import Path

from batch_offboard.base.errors import UsageError
from batch_offboard.calls.shift import Terms, work_off
from batch_offboard.commands.clearing import (
    cleared_to_go_on,
    cleared_to_send,
    demand,
    note_overrides,
    refusals_recorded,
)
from batch_offboard.commands.desk import Desk
from batch_offboard.commands.locking import working_alone
from batch_offboard.commands.proposing import rows_text
from batch_offboard.commands.reporting import _refuse_sheet_path, usual_reports, write_reports
from batch_offboard.commands.views import Proposal, RunView, Talk, exit_code
from batch_offboard.core.batches import Batch
from batch_offboard.core.consent import Consent
from batch_offboard.core.guards import Clearance
from batch_offboard.core.jobs import JobState
from batch_offboard.core.selection import Selection
from batch_offboard.journal.reading import (
    Owner,
    count,
    find_batch,
    newest_unfinished,
    pending_devices,
    rows_between,
    skipped_jobs,
)
from batch_offboard.journal.settlements import open_count
from batch_offboard.reports.files import ensure_writable


async def send(desk: Desk, proposal: Proposal, consent: Consent, reports: Sequence[Path], talk: Talk) -> RunView:
    """Send a confirmed proposal, and write the report. Raises GuardError if a guard refuses it now."""
    batch, selection = proposal.batch, proposal.view.selection
    clearance = cleared_to_send(desk, batch, proposal.view.to_send, consent, proposal.command)

    def choose() -> Selection | None:
        if proposal.command == "retry":
            return Selection(desk.journal.retry_failed(batch.key, desk.clock.now().wall), "the failed rows")
        if proposal.choice or batch.chosen:
            rows = proposal.choice.within(selection.rows) if selection is not None else ()
            desk.journal.note_findings(batch.key, {"selection": proposal.choice.words, "selected": rows})
        return selection

    return await _work(desk, batch, clearance, reports, talk, proposal.command, choose)


async def resume(desk: Desk, batch: Batch | None, reports: Sequence[Path], talk: Talk) -> RunView:
    """Continue a batch, by default the newest unfinished one of the configured tenant and application."""
    batch = batch or _to_resume(desk)
    if batch.state == "planned":
        raise UsageError(f"Batch {batch.batch_id} was never run; type `batch-offboard run {batch.batch_id}`.")
    part = _rest_of_part(desk, batch) if batch.chosen else None
    return await _work(desk, batch, cleared_to_go_on(desk, batch), reports, talk, "resume", lambda: part)


def _rest_of_part(desk: Desk, batch: Batch) -> Selection:
    """The rows of the part that a person chose; the others were never confirmed. Raises UsageError if none of them is
    left."""
    counts = count(desk.journal, batch.key)
    part = frozenset(row for pair in batch.chosen_rows for row in rows_between(desk.journal, batch.key, *pair))
    left = sum(row in part for row, _, _ in pending_devices(desk.journal, batch.key))
    if not left and not counts.of(JobState.SENDING, JobState.IN_DOUBT):
        raise UsageError(
            f"The part of batch {batch.batch_id} that was to be sent ({batch.chosen}) has been sent. To send the other "
            f"{rows_text(counts.of(JobState.PENDING))}, type `batch-offboard run {batch.batch_id}`."
        )
    return Selection(part, batch.chosen)


def _to_resume(desk: Desk) -> Batch:
    """The newest unfinished batch of the tenant and application of this command, never of another."""
    any_owner = Owner(simulated=desk.options.simulate)
    others = newest_unfinished(desk.journal, any_owner)
    if others is None:
        apart = newest_unfinished(desk.journal, Owner(simulated=not desk.options.simulate))
        if apart is not None:
            desk.tenants.target_of(apart)  # raises with the option to use
        raise UsageError("There is no interrupted batch to resume; `batch-offboard list` shows all batches.")
    owner = desk.tenants.owner()
    found = newest_unfinished(desk.journal, owner)
    if found is None:
        raise UsageError(
            f"There is no interrupted batch of {owner.words} to resume; {others.batch_id} belongs to {others.scope}, "
            "name its configuration with --config to resume it."
        )
    return found


async def _work(
    desk: Desk,
    batch: Batch,
    clearance: Clearance,
    reports: Sequence[Path],
    talk: Talk,
    command: str,
    choose: Callable[[], Selection | None] = lambda: None,
) -> RunView:
    """Hold the locks, submit, and write the report however it ends. `command` is recorded as what started the run;
    `choose` is called once the locks are held and returns the rows to send, if not every pending one."""
    target = desk.tenants.target_of(batch)
    asked = reports or usual_reports(desk, batch)
    _refuse_sheet_path(batch, asked)
    for path in asked:
        ensure_writable(path)
    if target is not None:
        target.token.sign_in()  # before the lock: a person may take minutes
    with working_alone(desk, batch):
        _refuse_forgotten(desk, batch)
        selection = choose()
        note_overrides(desk, batch)
        desk.journal.remember_reports(batch.key, [str(path) for path in reports])
        async with desk.tenants.of(batch, talk.say) as tenancy:
            with refusals_recorded(desk, batch):
                terms = _terms(desk, batch, command, selection, talk)
                halt = await work_off(tenancy, batch, clearance, talk.observer, terms)
        batch = desk.batch(batch.batch_id)
        written = write_reports(desk, batch, asked)
    counts = count(desk.journal, batch.key)
    skipped = skipped_jobs(desk.journal, batch.key)
    left = open_count(desk.journal, batch.key)
    left_out = counts.of(JobState.PENDING) if selection is not None and halt is None else 0
    return RunView(batch, counts, skipped, halt, written, exit_code(counts, skipped, halt), left, left_out)


def _refuse_forgotten(desk: Desk, batch: Batch) -> None:
    """Raise UsageError if the plan was forgotten while its number was being typed."""
    if find_batch(desk.journal, batch.batch_id) is None:
        raise UsageError(f"Batch {batch.batch_id} was forgotten meanwhile; nothing was sent. Plan its sheet again.")


def forget(desk: Desk, name: str) -> Batch:
    """Delete a plan that was never run. Raises UsageError if it was started: what may have been sent is never
    forgotten."""
    batch = desk.batch(name)
    with working_alone(desk, batch):
        if not desk.journal.forget_plan(batch.key, batch.batch_id, desk.clock.now().wall):
            raise UsageError(
                f"Batch {batch.batch_id} was started, so it is kept: only plans that were never run can be forgotten."
            )
    return batch


def _terms(desk: Desk, batch: Batch, command: str, selection: Selection | None, talk: Talk) -> Terms:
    options = desk.options
    return Terms(
        speed=options.speed,
        look=options.lookup,
        command=command,
        check=desk.objection,
        attended=not options.unattended,
        selection=selection,
        continue_after_failures=desk.continues_after_failures,
        ending=talk.ending,
        demand=lambda: demand(desk, batch, command, desk.options.actor.person),
    )
