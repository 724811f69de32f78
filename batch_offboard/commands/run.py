"""The commands' own work: the one place where configuration, journal, sheet, tenant and report come together.

Nothing here prints or asks; what people see and answer comes in from the command line as functions.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from batch_offboard.base import logs
from batch_offboard.base.clock import stamp
from batch_offboard.base.errors import BusyError, ExitCode, UsageError
from batch_offboard.base.text import one_line
from batch_offboard.calls.gate import Gate
from batch_offboard.calls.tenancy import Tenancy
from batch_offboard.commands.clearing import cleared_to_go_on, cleared_to_send, note_overrides, refusals
from batch_offboard.commands.desk import Desk, lock_folder
from batch_offboard.commands.plans import Purpose, Reading, age_notes, read_sheet, save_plan, staleness
from batch_offboard.core.batches import Batch, Counts, Example
from batch_offboard.core.brakes import Halt
from batch_offboard.core.devices import shown
from batch_offboard.core.facts import Caution, CautionCount
from batch_offboard.core.fleet import Fleet
from batch_offboard.core.guards import Clearance, Refusal
from batch_offboard.core.jobs import JobState
from batch_offboard.core.plan import Reason
from batch_offboard.core.progress import Observer
from batch_offboard.core.quota import TYPICAL_LATENCY, QuotaLimits
from batch_offboard.core.selection import Choice, Selection, without_rows
from batch_offboard.core.slots import Standing
from batch_offboard.core.tenant import ApiName
from batch_offboard.defender.target import new_batch_id
from batch_offboard.journal.audited import last_anchor
from batch_offboard.journal.history import history_of
from batch_offboard.journal.lives import life_of, rows_of_device
from batch_offboard.journal.locks import is_held, only_process, run_locks
from batch_offboard.journal.reading import (
    Owner,
    call_history,
    cautions,
    count,
    examples,
    find_batch,
    newest_unfinished,
    pending_devices,
    rows_between,
    scopes_used,
    skipped_jobs,
)
from batch_offboard.journal.reported import report_head, report_rows
from batch_offboard.journal.settlements import open_count
from batch_offboard.reports.files import ensure_writable, write_report
from batch_offboard.reports.lives import Life
from batch_offboard.reports.rows import USUAL_FORMATS

REHEARSAL_URL = "the embedded tenant"
EXAMPLES = 3  # rows shown for each reason
EVERYTHING = Choice()


@dataclass(frozen=True, slots=True)
class PlanView:
    """What `plan` shows. `expected` is seconds from the first call to the end of the last; `refusals` are those of the
    guards, which hold `lifted_to` devices where --max-devices said so."""

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
    selection: Selection | None = None

    @property
    def to_send(self) -> int:
        """How many devices a run of it sends."""
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
    open_actions: int = 0  # machine actions that are not final as far as the journal knows
    left_out: int = 0  # pending rows that were not part of this run


@dataclass(frozen=True, slots=True)
class Talk:
    """How a run speaks with people: `confirm` raises GuardError unless they agree."""

    observer: Observer
    confirm: Callable[[PlanView], None]
    say: Callable[[str], None]


def plan(desk: Desk, sheet: Path, reading: Reading, replaced: Batch | None = None) -> PlanView:
    """Read and check a sheet, look its devices up, and save it as a batch; nothing is sent. `replaced` is the plan that
    is made again."""
    now = desk.clock.now()
    batch_id = new_batch_id(stamp(now.wall), simulated=desk.options.simulate)
    purpose = _purpose(desk, batch_id, replaced)
    protected = desk.protected()
    table = read_sheet(desk.options.cwd / sheet, reading)
    fleet, why_not = _fleet(desk, purpose, desk.options.cwd / sheet, reading)
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


def _fleet(desk: Desk, purpose: Purpose, sheet: Path, reading: Reading) -> tuple[Fleet | None, str]:
    """What the tenant says, or nothing and why. That it cannot be reached now is no reason not to plan: before
    anything is sent it is asked again."""
    if not desk.options.lookup:
        return None, "--no-lookup was given"
    from batch_offboard.calls.lookup import look_up
    from batch_offboard.calls.tenancy import HURRIED, PATIENT, CannotReadError, ReadError

    patience = PATIENT if desk.options.unattended else HURRIED

    async def look(tenancy: Tenancy) -> Fleet:
        return await look_up(tenancy, patience=patience)

    try:
        if not purpose.simulated:
            return desk.with_tenant(desk.target(), look, _nobody), ""
        from batch_offboard.commands.rehearsal import devices_in

        def devices() -> Sequence[tuple[str | None, str | None]]:
            return devices_in(read_sheet(sheet, reading))

        return desk.with_embedded_tenant(devices, purpose.scope, look, _nobody), ""
    except (CannotReadError, ReadError, BusyError) as error:
        return None, str(error)


def _nobody(_text: str) -> None:
    """Hears what is said and keeps it to itself."""


def view_plan(
    desk: Desk,
    batch: Batch,
    notes: Sequence[str] = (),
    selection: Selection | None = None,
    *,
    failed: bool = False,
) -> PlanView:
    """A saved plan as people see it: all that is pending is to be sent, or the `selection` of it, or the `failed` rows
    and nothing else."""
    counts = count(desk.journal, batch.key)
    state = JobState.FAILED if failed else JobState.PENDING
    if failed:
        counts = Counts({JobState.PENDING: counts.of(state)}, {})
    devices = counts.of(JobState.PENDING) if selection is None else len(selection.rows)
    limits = desk.limits()
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
        lifted_to=desk.options.max_devices,
    )


def gate_of(desk: Desk, scope: str, limits: QuotaLimits, api: ApiName = ApiName.OFFBOARD) -> Gate:
    """The quota as the journal remembers it, to look at."""
    now = desk.clock.now()
    return Gate(limits, desk.clock, call_history(desk.journal, scope, api, limits.hour.calls, now))


def run_sheet(
    desk: Desk, sheet: Path, reading: Reading, reports: Sequence[Path], talk: Talk, choice: Choice = EVERYTHING
) -> RunView:
    """The main job: plan, confirm, submit, report."""
    return _confirmed_run(desk, plan(desk, sheet, reading), reports, talk, choice)


def run_batch(desk: Desk, name: str, reports: Sequence[Path], talk: Talk, choice: Choice = EVERYTHING) -> RunView:
    """Run a saved plan; one that has become stale is made again from its sheet first."""
    return _confirmed_run(desk, fresh_plan(desk, name, talk.say), reports, talk, choice)


def fresh_plan(desk: Desk, name: str, say: Callable[[str], None]) -> PlanView:
    """A saved plan, made again if it was never run and has become stale."""
    batch = desk.batch(name)
    stale = staleness(batch, desk.clock.now().wall) if batch.state == "planned" else None
    if stale is None:
        return view_plan(desk, batch)
    say(f"{batch.source_name} is planned again: {stale}.")
    return plan(desk, Path(batch.source_path), Reading.from_json(batch.reading), batch)


def resume(desk: Desk, batch: Batch | None, reports: Sequence[Path], talk: Talk) -> RunView:
    """Continue a batch, by default the newest unfinished one of the configured tenant and application."""
    batch = batch or _to_resume(desk)
    if batch.state == "planned":
        raise UsageError(f"Batch {batch.batch_id} was never run; type `batch-offboard run {batch.batch_id}`.")
    part = _rest_of_part(desk, batch) if batch.chosen else None
    return _work(desk, batch, cleared_to_go_on(desk, batch), reports, talk, "resume", lambda: part)


def _rest_of_part(desk: Desk, batch: Batch) -> Selection:
    """The rows of the part that a person chose, and no others: these were never confirmed. UsageError if nothing of it
    is left to do."""
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
    """The newest unfinished batch of the tenant and application that this command works for, never of another."""
    any_owner = Owner(simulated=desk.options.simulate)
    others = newest_unfinished(desk.journal, any_owner)
    if others is None:
        apart = newest_unfinished(desk.journal, Owner(simulated=not desk.options.simulate))
        if apart is not None:
            desk.target_of(apart)  # says which option belongs to it
        raise UsageError("There is no interrupted batch to resume; `batch-offboard list` shows all batches.")
    owner = desk.owner()
    found = newest_unfinished(desk.journal, owner)
    if found is None:
        raise UsageError(
            f"There is no interrupted batch of {owner.words} to resume; {others.batch_id} belongs to {others.scope}, "
            "name its configuration with --config to resume it."
        )
    return found


def retry(desk: Desk, name: str, reports: Sequence[Path], talk: Talk) -> RunView:
    """Send the failed rows of a batch again, and nothing else; what is pending stays so."""
    batch = desk.batch(name, begun=True)
    counts = count(desk.journal, batch.key)
    if not counts.of(JobState.FAILED):
        raise UsageError(
            f"Batch {batch.batch_id} has no failed rows to retry; `batch-offboard show {batch.batch_id}` tells "
            "where its rows stand."
        )
    pending = counts.of(JobState.PENDING)
    command = f"run {batch.batch_id}" if batch.chosen else "resume"
    rest = f"{rows_text(pending)} of the batch stay pending; `{command}` sends them." if pending else ""
    clearance = _cleared(desk, view_plan(desk, batch, [rest] if rest else [], failed=True), talk)

    def choose() -> Selection:
        return Selection(desk.journal.retry_failed(batch.key, desk.clock.now().wall), "the failed rows")

    return _work(desk, batch, clearance, reports, talk, "retry", choose)


def write_reports(desk: Desk, batch: Batch, paths: Sequence[Path]) -> list[Path]:
    """Write the batch's report to each path; returns where each was written."""
    _spare_the_sheet(batch, paths)
    # A rehearsal's time runs ahead of ours.
    head = report_head(batch, max(desk.clock.now().wall, batch.ended_at or 0.0), last_anchor(desk.journal))
    if head.is_plan:
        view = view_plan(desk, batch)
        head = replace(head, expected=view.expected, refusals=tuple(each.why for each in view.refusals))
    written: dict[Path, Path] = {}
    for path in sorted(paths, key=_is_page):  # a page names the files beside it, whatever names these found free
        if _is_page(path):
            head = replace(
                head,
                history=history_of(desk.journal, batch),
                beside=_names(written.values(), path.parent),
                table=_typed(written.values(), desk.options.cwd),
            )
        written[path] = write_report(path, head, report_rows(desk.journal, batch.key))
    logs.info("reports written", batch=batch.batch_id, paths=list(written.values()), audit=head.audit)
    return [written[path] for path in paths]


def _is_page(path: Path) -> bool:
    return path.suffix.lower() == ".html"


def _names(paths: Iterable[Path], folder: Path) -> tuple[str, ...]:
    """The files as somebody in this folder calls them."""
    return tuple(path.name if path.parent == folder else str(path) for path in paths if not _is_page(path))


def _typed(paths: Iterable[Path], cwd: Path) -> str:
    """The last of the tables, as it is typed in this folder."""
    tables = [path for path in paths if path.suffix.lower() in {".csv", ".xlsx"}]
    if not tables:
        return ""
    path = tables[-1]
    typed = str(path.relative_to(cwd) if path.is_relative_to(cwd) else path)
    return f'"{typed}"' if " " in typed else typed  # understood by every shell


def usual_reports(desk: Desk, batch: Batch) -> list[Path]:
    """Where the batch's report belongs: where it was asked for once, else beside the others."""
    return [Path(path) for path in batch.reports] or default_reports(desk.options.cwd, batch)


def _spare_the_sheet(batch: Batch, reports: Sequence[Path]) -> None:
    """A report that takes the name of its own sheet would destroy what was asked for."""
    for path in reports:
        with suppress(OSError):  # one of the two is not there
            if path.samefile(batch.source_path):
                raise UsageError(
                    f"The report {one_line(str(path))} would replace the sheet itself; name another with --report."
                )


def default_reports(cwd: Path, batch: Batch, formats: Sequence[str] = USUAL_FORMATS) -> list[Path]:
    return [cwd / "reports" / f"{batch.batch_id}.{suffix}" for suffix in formats]


def _purpose(desk: Desk, batch_id: str, replaced: Batch | None) -> Purpose:
    """For whom a new batch is: the configured tenant, or an embedded one of its own."""
    options = desk.options
    comment = options.comment or (replaced.comment if replaced else None)
    again = options.offboard_again or (replaced is not None and replaced.findings.get("offboard_again", False))
    if options.simulate:
        comment = comment or (desk.config.comment if desk.config else None)
        scope, api_url = f"simulated {batch_id}/rehearsal", REHEARSAL_URL
    else:
        target = desk.target()
        comment, scope, api_url = comment or target.comment, target.scope, target.api_url
    return Purpose(
        batch_id,
        scope,
        api_url,
        comment,
        simulated=options.simulate,
        lookup=options.lookup,
        offboard_again=again,
    )


def _confirmed_run(desk: Desk, view: PlanView, reports: Sequence[Path], talk: Talk, choice: Choice) -> RunView:
    batch = view.batch
    selection = selected(desk, batch, choice) if choice else None
    if selection is not None:
        view = view_plan(desk, batch, [*view.notes, _left_out(view, selection)], selection=selection)
    clearance = _cleared(desk, view, talk)

    def choose() -> Selection | None:
        if choice or batch.chosen:
            rows = choice.within(selection.rows) if selection is not None else ()
            desk.journal.note_findings(batch.key, {"selection": choice.words, "selected": rows})
        return selection

    return _work(desk, batch, clearance, reports, talk, "run", choose)


def to_see(
    desk: Desk, sheet: Path | None, name: str, reading: Reading, choice: Choice, say: Callable[[str], None]
) -> PlanView:
    """What a run of this sheet, or else of the batch of this name, would send; nothing is sent."""
    view = plan(desk, sheet, reading) if sheet is not None else fresh_plan(desk, name, say)
    if not choice:
        return view
    selection = selected(desk, view.batch, choice)
    return view_plan(desk, view.batch, [*view.notes, _left_out(view, selection)], selection=selection)


def selected(desk: Desk, batch: Batch, choice: Choice) -> Selection:
    """The pending rows of a batch that a person chose. UsageError if some part of the choice names none of its rows."""
    empty = [pair for pair in choice.rows if not rows_between(desk.journal, batch.key, *pair)]
    if empty:
        raise UsageError(
            f"Batch {batch.batch_id} has no {without_rows(choice.rows, empty)} (--rows); nothing was sent. Count "
            "the rows as in the sheet, with the header."
        )
    rows = choice.of(row for row, _, _ in pending_devices(desk.journal, batch.key))
    if not rows:
        raise UsageError(
            f"None of the rows that {choice.words} names is to be sent; nothing was sent. `batch-offboard show "
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


def _cleared(desk: Desk, view: PlanView, talk: Talk) -> Clearance:
    """The guards' clearance and then the people's consent."""
    return cleared_to_send(desk, view.batch, view.to_send, lambda: talk.confirm(view))


def _work(
    desk: Desk,
    batch: Batch,
    clearance: Clearance,
    reports: Sequence[Path],
    talk: Talk,
    command: str,
    choose: Callable[[], Selection | None] = lambda: None,
) -> RunView:
    """Hold the locks, submit, and report whatever happened. `command` is recorded as what began it; `choose` says which
    rows are sent, if not every pending one, once nobody else can change them."""
    target = desk.target_of(batch)
    asked = reports or usual_reports(desk, batch)
    _spare_the_sheet(batch, asked)
    for path in asked:
        ensure_writable(path)
    if target is not None:
        target.token.sign_in()  # before the lock: a person may take minutes
    with working_alone(desk, batch):
        _refuse_forgotten(desk, batch)
        selection = choose()
        note_overrides(desk, batch)
        desk.journal.remember_reports(batch.key, [str(path) for path in reports])
        halt = desk.with_tenant_of(batch, _submitting(desk, batch, clearance, talk, command, selection), talk.say)
        batch = desk.batch(batch.batch_id)
        written = write_reports(desk, batch, asked)
    counts = count(desk.journal, batch.key)
    skipped = skipped_jobs(desk.journal, batch.key)
    left = open_count(desk.journal, batch.key)
    left_out = counts.of(JobState.PENDING) if selection is not None and halt is None else 0
    return RunView(batch, counts, skipped, halt, written, exit_code(counts, skipped, halt), left, left_out)


def is_at_work(desk: Desk, batch: Batch) -> bool:
    """Whether another process works on this batch now, as far as it says so."""
    lock = desk.journal.path.with_name(f"{desk.journal.path.name}.lock")
    return batch.state == "running" and is_held(lock, f"batch {batch.batch_id}")


def _refuse_forgotten(desk: Desk, batch: Batch) -> None:
    """A plan may be forgotten while its number is being typed."""
    if find_batch(desk.journal, batch.batch_id) is None:
        raise UsageError(f"Batch {batch.batch_id} was forgotten meanwhile; nothing was sent. Plan its sheet again.")


def forget(desk: Desk, name: str) -> Batch:
    """Delete a plan that was never run; UsageError if it was begun: what may have been sent is never forgotten."""
    batch = desk.batch(name)
    with working_alone(desk, batch):
        if not desk.journal.forget_plan(batch.key, batch.batch_id, desk.clock.now().wall):
            raise UsageError(
                f"Batch {batch.batch_id} was started, so it is kept: only plans that were never run can be forgotten."
            )
    return batch


def working_alone(desk: Desk, batch: Batch) -> AbstractContextManager[None]:
    """The locks of whoever changes a batch; BusyError if somebody else works on its tenant or in this journal."""
    locks = run_locks(lock_folder(), desk.journal.path, batch.scope, simulated=batch.simulated)
    return only_process(locks, f"batch {batch.batch_id}", desk.clock.now().wall)


def _submitting(
    desk: Desk, batch: Batch, clearance: Clearance, talk: Talk, command: str, selection: Selection | None
) -> Callable[[Tenancy], Awaitable[Halt | None]]:
    from batch_offboard.calls.shift import Terms, work_off

    async def submit(tenancy: Tenancy) -> Halt | None:
        options = desk.options
        terms = Terms(
            options.speed,
            options.lookup,
            command,
            desk.objection,
            not options.unattended,
            selection,
            desk.continues_after_failures,
        )
        return await work_off(tenancy, batch, clearance, talk.observer, terms)

    return submit


def exit_code(counts: Counts, skipped: Mapping[Reason, int], halt: Halt | None) -> ExitCode:
    """What a run's end means for whoever started it."""
    if halt is not None and (counts.of(JobState.PENDING) or halt.exit_code is ExitCode.SIGN_IN):
        return halt.exit_code
    if counts.of(JobState.PENDING, JobState.SENDING, JobState.IN_DOUBT):
        return ExitCode.UNFINISHED
    unwell = sum(number for reason, number in [*counts.skipped.items(), *skipped.items()] if not reason.is_well)
    return ExitCode.ROWS_FAILED if unwell or counts.of(JobState.FAILED, JobState.CANCELLED) else ExitCode.OK


def exit_code_of_plan(view: PlanView) -> ExitCode:
    """A plan ends well if no row needs anybody's attention."""
    return exit_code(Counts({}, view.counts.skipped), {}, None)


def lives_of(desk: Desk, batch: Batch, row_or_device: str) -> list[Life]:
    """The lives of the row with this number, or of every row that names this device."""
    numbers = rows_of_device(desk.journal, batch.key, row_or_device)
    if not numbers and row_or_device.isascii() and row_or_device.isdigit():
        numbers = [int(row_or_device)] if len(row_or_device) < 9 else []
    lives = [life for number in numbers if (life := life_of(desk.journal, batch.key, number)) is not None]
    if not lives:
        raise UsageError(
            f"Batch {batch.batch_id} has no row and no device {shown(row_or_device)}; give a row number of the sheet, "
            "a device ID or a computer name."
        )
    return lives


@dataclass(frozen=True, slots=True)
class QuotaView:
    """The quota of offboard calls as it stands; `next_call` is in seconds since the epoch, None if a call under way
    decides it. `others` are the quotas of reads and cancellations, as far as they were used."""

    scope: str
    standing: Standing
    next_call: float | None
    now: float
    others: Mapping[ApiName, Standing]


def quotas(desk: Desk) -> list[QuotaView]:
    """Every quota that the journal has used; of rehearsals, which have one each, those used in the last hour."""
    views = []
    for scope in scopes_used(desk.journal):
        standing = gate_of(desk, scope, desk.limits()).standing()
        now = desk.clock.now()
        until = standing.waiting_until
        next_call = (
            now.wall if standing.waiting_for is None else None if until is None else now.wall + until - now.ticks
        )
        others = {api: gate_of(desk, scope, desk.limits(), api).standing() for api in (ApiName.READ, ApiName.CANCEL)}
        used = {api: other for api, other in others.items() if other.hour[0]}
        if used or standing.hour[0] or not desk.options.simulate:
            views.append(QuotaView(scope, standing, next_call, now.wall, used))
    return views
