"""What a run would send, for a person to look at before anything is sent."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

from batch_offboard.base import logs
from batch_offboard.base.clock import stamp
from batch_offboard.base.errors import BusyError, UsageError
from batch_offboard.calls.tenancy import Tenancy
from batch_offboard.commands.asking import gate_of
from batch_offboard.commands.clearing import (
    approvals,
    approvals_needed,
    conditions,
    planned_overrides,
    refusals,
    set_aside_by,
)
from batch_offboard.commands.desk import Desk
from batch_offboard.commands.plans import Purpose, Reading, age_notes, owner_of, read_sheet, save_plan, staleness
from batch_offboard.commands.views import PlanView, Proposal
from batch_offboard.core.batches import Batch, Counts
from batch_offboard.core.fleet import Fleet
from batch_offboard.core.jobs import JobState
from batch_offboard.core.quota import TYPICAL_LATENCY
from batch_offboard.core.selection import Choice, Selection, without_rows
from batch_offboard.defender.target import new_batch_id
from batch_offboard.journal.approving import given_approvals
from batch_offboard.journal.reading import (
    cautions,
    count,
    examples,
    pending_devices,
    rows_between,
)

REHEARSAL_URL = "the embedded tenant"
EXAMPLES = 3  # rows shown for each reason
EVERYTHING = Choice()


async def plan(desk: Desk, sheet: Path, reading: Reading, replaced: Batch | None = None) -> PlanView:
    """Read and check a sheet, look its devices up, and save it as a batch; nothing is sent. `replaced` is the stale
    plan that this one replaces."""
    now = desk.clock.now()
    batch_id = new_batch_id(stamp(now.wall), simulated=desk.options.simulate)
    purpose = _purpose(desk, desk.options.cwd / sheet, batch_id, replaced)
    protected = desk.protected()
    purpose = replace(purpose, conditions=conditions(desk, set_aside_by(desk.options), protected))
    table = read_sheet(desk.options.cwd / sheet, reading)
    fleet, why_not = await _fleet(desk, purpose, desk.options.cwd / sheet, reading)
    batch = save_plan(desk.journal, table, reading, purpose, now, fleet, why_not, protected)
    view = view_plan(desk, batch, [*table.notes, *table.closing_notes, *age_notes(table.source, now.wall)])
    logs.info(
        "planned",
        batch=batch.batch_id,
        sheet=batch.source_name,
        sha256=batch.source_sha256,
        rows=view.counts.rows,
        offboard=view.counts.of(JobState.PENDING),
        skipped=view.counts.skipped,
        not_looked_up=why_not,
    )
    return view


async def _fleet(desk: Desk, purpose: Purpose, sheet: Path, reading: Reading) -> tuple[Fleet | None, str]:
    """The look-up, or None and the reason. A tenant that cannot be reached now does not prevent planning: it is asked
    again before anything is sent."""
    if not desk.options.lookup:
        return None, "--no-lookup was given"
    from batch_offboard.calls.lookup import look_up
    from batch_offboard.calls.tenancy import HURRIED, PATIENT, CannotReadError, ReadError

    patience = PATIENT if desk.options.unattended else HURRIED
    try:
        async with _tenant_of_plan(desk, purpose, sheet, reading) as tenancy:
            return await look_up(tenancy, patience=patience), ""
    except (CannotReadError, ReadError, BusyError) as error:
        return None, str(error)


def _tenant_of_plan(
    desk: Desk, purpose: Purpose, sheet: Path, reading: Reading
) -> AbstractAsyncContextManager[Tenancy]:
    """The configured tenant, or for a rehearsal an embedded one with the devices of the sheet."""
    if not purpose.simulated:
        return desk.tenants.at(desk.tenants.target())
    from batch_offboard.commands.rehearsal import devices_in

    return desk.tenants.embedded(devices_in(read_sheet(sheet, reading)), purpose.scope)


def view_plan(
    desk: Desk,
    batch: Batch,
    notes: Sequence[str] = (),
    selection: Selection | None = None,
    *,
    failed: bool = False,
) -> PlanView:
    """A saved plan as people see it: a run sends all pending rows, a `selection` of them, or only the `failed` rows."""
    counts = count(desk.journal, batch.key)
    state = JobState.FAILED if failed else JobState.PENDING
    if failed:
        counts = Counts({JobState.PENDING: counts.of(state)}, {})
    devices = counts.of(JobState.PENDING) if selection is None else len(selection.rows)
    limits = desk.tenants.limits()
    gate = gate_of(desk, batch.scope, limits)
    workers = desk.config.workers if desk.config else 8
    return PlanView(
        batch=batch,
        counts=counts,
        examples={reason: examples(desk.journal, batch.key, reason, EXAMPLES) for reason in counts.skipped},
        sent_again=examples(desk.journal, batch.key, None, EXAMPLES),
        notes=notes,
        expected=gate.time_for(devices, TYPICAL_LATENCY, workers),
        max_devices=desk.guard_limits().max_devices,
        selection=selection,
        cautions=cautions(desk.journal, batch.key, [state], selection.rows if selection else None),
        refusals=refusals(desk, batch, devices),
        lifted_to=desk.options.max_devices or batch.set_aside.max_devices,
        approvals=approvals(desk, batch),
        overrides=planned_overrides(desk, batch) if approvals_needed(desk, batch) else (),
    )


async def fresh_plan(desk: Desk, name: str, say: Callable[[str], None]) -> PlanView:
    """A saved plan, made again if it was never run and is stale."""
    batch = desk.batch(name)
    stale = why_stale(desk, batch)
    if stale is None:
        return view_plan(desk, batch)
    void = [each.who for each in given_approvals(desk.journal, batch.key) if each.granted]
    words = f" The approval of {' and '.join(void)} is void." if approvals_needed(desk, batch) and void else ""
    say(f"{batch.source_name} is planned again: {stale}.{words}")
    return await plan(desk, Path(batch.source_path), Reading.from_json(batch.reading), batch)


def why_stale(desk: Desk, batch: Batch) -> str | None:
    """Why a plan that was never run must be made again; None if it is still valid."""
    if batch.state != "planned":
        return None
    found = approvals(desk, batch)
    stale = staleness(batch, desk.clock.now().wall, approved=found is not None and found.allows)
    changed = found is not None and found.plan_sha256 != batch.plan_sha256
    return "the guards or the protected list have changed since" if changed and stale is None else stale


def _purpose(desk: Desk, sheet: Path, batch_id: str, replaced: Batch | None) -> Purpose:
    """The purpose of a new batch: for the configured tenant, or for an embedded one of its own."""
    options = desk.options
    comment = options.comment or (replaced.comment if replaced else None)
    again = options.offboard_again or (replaced is not None and replaced.findings.get("offboard_again", False))
    if options.simulate:
        comment = comment or (desk.config.comment if desk.config else None)
        scope, api_url = f"simulated {batch_id}/rehearsal", REHEARSAL_URL
    else:
        target = desk.tenants.target()
        comment, scope, api_url = comment or target.comment, target.scope, target.api_url
    return Purpose(
        batch_id,
        scope,
        api_url,
        comment,
        simulated=options.simulate,
        lookup=options.lookup,
        offboard_again=again,
        sheet_owner=owner_of(sheet) if options.unattended else "",
    )


async def propose(
    desk: Desk, sheet: Path | None, name: str, reading: Reading, choice: Choice, say: Callable[[str], None]
) -> Proposal:
    """What a run of this sheet, or else of the batch with this name, would send; nothing is sent. A saved plan that is
    stale is first made again from its sheet."""
    view = await plan(desk, sheet, reading) if sheet is not None else await fresh_plan(desk, name, say)
    if not choice:
        return Proposal(view)
    selection = selected(desk, view.batch, choice)
    notes = [*view.notes, _left_out(view, selection)]
    return Proposal(view_plan(desk, view.batch, notes, selection=selection), choice=choice)


def propose_retry(desk: Desk, name: str) -> Proposal:
    """What a run of only the failed rows of a batch would send; pending rows stay pending."""
    batch = desk.batch(name, begun=True)
    counts = count(desk.journal, batch.key)
    if not counts.of(JobState.FAILED):
        raise UsageError(
            f"Batch {batch.batch_id} has no failed rows to retry; `batch-offboard show {batch.batch_id}` shows "
            "the state of its rows."
        )
    pending = counts.of(JobState.PENDING)
    command = f"run {batch.batch_id}" if batch.chosen else "resume"
    rest = f"{rows_text(pending)} of the batch stay pending; `{command}` sends them." if pending else ""
    return Proposal(view_plan(desk, batch, [rest] if rest else [], failed=True), "retry")


def selected(desk: Desk, batch: Batch, choice: Choice) -> Selection:
    """The pending rows of a batch that a person chose. Raises UsageError if part of the choice matches none of its
    rows."""
    empty = [pair for pair in choice.rows if not rows_between(desk.journal, batch.key, *pair)]
    if empty:
        raise UsageError(
            f"Batch {batch.batch_id} has no {without_rows(choice.rows, empty)} (--rows); nothing was sent. Count "
            "the rows as in the sheet, with the header."
        )
    rows = choice.of(row for row, _, _ in pending_devices(desk.journal, batch.key))
    if not rows:
        raise UsageError(
            f"None of the rows that {choice.words} names is pending; nothing was sent. `batch-offboard show "
            f"{batch.batch_id}` shows the state of the rows."
        )
    return Selection(rows, choice.words)


def _left_out(view: PlanView, selection: Selection) -> str:
    rest = view.counts.of(JobState.PENDING) - len(selection.rows)
    devices = "1 device" if len(selection.rows) == 1 else f"{len(selection.rows)} devices"
    stay = "stays" if rest == 1 else "stay"
    return f"This run sends {devices} ({selection.words}); {rows_text(rest)} {stay} pending."


def rows_text(number: int) -> str:
    return "1 row" if number == 1 else f"{number} rows"
