"""What the commands print: tables and sentences for people, JSON for programs, and the one question.

Data goes to stdout, messages to stderr. No control character from a sheet reaches a terminal.
"""

import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from batch_offboard.base.clock import local_time
from batch_offboard.base.durations import spoken_duration
from batch_offboard.base.errors import GuardError
from batch_offboard.cli.folding import display_width
from batch_offboard.cli.terminal import fitted, typed_line
from batch_offboard.commands.views import PlanView, QuotaView, RunView, all_skipped
from batch_offboard.core.batches import Batch, Counts
from batch_offboard.core.consent import Approval, Approvals, listed
from batch_offboard.core.devices import shown
from batch_offboard.core.facts import Caution, caution_words
from batch_offboard.core.guards import WHOLE_TENANT_GUARD
from batch_offboard.core.jobs import JobState
from batch_offboard.core.plan import Reason
from batch_offboard.core.slots import Standing
from batch_offboard.core.tenant import ApiName
from batch_offboard.reports.rows import Outcome, next_steps

WORDS = {
    JobState.SUBMITTED: "submitted",
    JobState.FAILED: "failed",
    JobState.IN_DOUBT: "in doubt",
    JobState.SENDING: "being sent",
    JobState.PENDING: "pending",
    JobState.SKIPPED: "skipped",
    JobState.CANCELLED: "cancelled",
}


def show(text: str, *, quiet: bool = False, prose: bool = False) -> None:
    """Print data; a reader that exits does not change the result. `prose` is for people and is wrapped on a terminal; a
    path or JSON is for programs and stays unchanged."""
    if not quiet and sys.stdout is not None:
        with suppress(OSError):
            sys.stdout.write(f"{fitted(text, sys.stdout) if prose else text}\n")
            sys.stdout.flush()


def voice(*, quiet: bool) -> Callable[[str], None]:
    """A function that prints messages to the operator."""

    def say(text: str) -> None:
        if not quiet and sys.stderr is not None:
            with suppress(OSError):
                sys.stderr.write(f"{fitted(text, sys.stderr)}\n")
                sys.stderr.flush()

    return say


def confirm(view: PlanView, *, yes: bool, quiet: bool) -> str:
    """Show the plan and ask the operator for the number of devices; returns how they confirmed, for the audit record.
    Raises GuardError if they do not."""
    say = voice(quiet=quiet)
    say(plan_text(view, and_then=False))
    devices = view.to_send
    if yes or devices == 0:
        return "--yes" if yes else "nothing to send"
    if sys.stdin is None or not sys.stdin.isatty():
        if view.batch.simulated:
            return "rehearsal"
        raise GuardError(
            f"There is no terminal to confirm the offboarding of {devices_text(devices)} on; nothing was sent. Add "
            "--yes."
        )
    question = f"This takes {devices_text(devices)} of tenant {shown(view.batch.tenant)} out of Defender."
    if answer(f"{question} Type {devices} to go ahead: ") != str(devices):
        part = f" {view.selection.words}" if view.selection is not None else ""
        again = f"batch-offboard run {view.batch.batch_id}{part}"
        raise GuardError(f"Not confirmed; nothing was sent. The plan is kept: {again}")
    return "typed"


def answer(question: str) -> str:
    """Ask and return what the operator typed; empty on Ctrl-C or end of input."""
    try:
        sys.stderr.write(question)
        sys.stderr.flush()
        line = typed_line(sys.stdin)
    except KeyboardInterrupt:
        line = ""
    if not line.endswith("\n"):
        sys.stderr.write("\n")
    return line.strip()


def tenant_is_up(url: str, machines: int, speed: float) -> None:
    """Print where the embedded tenant listens, on stdout for programs, and how to use it."""
    show(url)
    faster = f" Its time passes {speed:g} times faster than yours." if speed != 1 else ""
    voice(quiet=False)(
        f"An embedded tenant with {devices_text(machines)} listens; nothing there is real.{faster} Ctrl-C ends it.\n"
        f"Use it with api_url: {url} and credential: {{type: access_token, token_env: NAME}} in config.yaml."
    )


def plan_text(view: PlanView, *, and_then: bool = True) -> str:
    """Counts, reasons with example rows, the expected duration, and the command that runs the plan."""
    batch, devices = view.batch, view.counts.of(JobState.PENDING)
    lines = [_title("Plan", batch), f"  source    {shown(batch.source_name)} ({batch.source_kind})"]
    lines += [f"  note      {note}" for note in view.notes]
    lines += _tenant_lines(batch)
    lines += [
        f"  comment   {shown(batch.comment)}",
        *(f"  overrides {shown(each, 300)}" for each in view.overrides),
        "",
        f"  {view.counts.rows:>7}  {_row_word(view.counts.rows)}",
        f"  {devices:>7}  to offboard",
    ]
    for reason, number in sorted(view.counts.skipped.items(), key=lambda each: -each[1]):
        lines.append(f"  {number:>7}  skipped: {reason}")
        lines += [
            f"             row {each.row}: {label(each.device_id, each.device_name)}: {each.detail}"
            for each in view.examples.get(reason, ())
        ]
        unnamed = number - len(view.examples.get(reason, ()))
        lines += [f"             and {unnamed} more"] if unnamed > 0 else []
    lines += _caution_lines(view)
    lines += ["", f"  expected duration: {_duration(view.expected)}"]
    if view.refusals:
        lines += ["", "  `run` will refuse this plan:", *(f"    {each.why}" for each in view.refusals)]
        lines.append(f"  next: {_after_refusal(view)}")
        return "\n".join(lines)
    if view.approvals is not None:
        lines += _approval_lines(view.approvals)
    if and_then and view.approvals is not None and not view.approvals.allows:
        lines.append(f"  next: {_after_waiting(view.approvals, batch.batch_id)}")
    elif and_then and devices:
        lifted = "" if view.lifted_to is None else f" --max-devices {view.lifted_to}"
        lines.append(f"  next: batch-offboard run {batch.batch_id}{lifted}")
    return "\n".join(lines)


def _after_waiting(found: Approvals, batch_id: str) -> str:
    return "correct the sheet, then plan it again" if found.denied else f"they type batch-offboard approve {batch_id}"


def _approval_lines(found: Approvals) -> list[str]:
    """Who approved or denied a plan, and which approvals are missing."""
    lines = [f"  {approved_line(each)}" for each in found.counted]
    lines += [f"  void: the approval of {each.who}; {why}" for each, why in found.void]
    lines += [f"  {denied_line(each)}" for each in found.denied]
    if found.missing and not found.denied:
        number = "1 approval" if found.missing == 1 else f"{found.missing} approvals"
        lines.append(f"  waits for {number} by somebody other than {listed(found.submitters)}")
    return lines


def approved_line(said: Approval) -> str:
    return f"approved by {shown(said.who)} at {local_time(said.at)} ({said.how})"


def denied_line(said: Approval) -> str:
    return f"denied by {shown(said.who)} at {local_time(said.at)}: {shown(said.reason, 300)}"


def _after_refusal(view: PlanView) -> str:
    """The next step for a plan that the guards refuse. It does not say how to lift them: `run` does, after its
    reasons."""
    whole = next((each.remedy for each in view.refusals if each.guard == WHOLE_TENANT_GUARD), None)
    return whole or "compare the sheet with what was ordered; `run` says what each guard would need."


def _tenant_lines(batch: Batch) -> list[str]:
    """The tenant, and the result of the look-up or that there was none."""
    why_not, tenant = batch.findings.get("not_looked_up"), batch.findings.get("tenant")
    named = f"  tenant    {shown(batch.tenant)}"
    if why_not:
        return [named, f"  look-up   NOT LOOKED UP: {shown(why_not, 300)}"]
    if tenant and batch.looked_up_at is not None:
        at = local_time(batch.looked_up_at)
        lines = [named, f"  look-up   {devices_text(tenant['devices'])}, {tenant['onboarded']} onboarded, {at}"]
        no_actions = batch.findings.get("actions_not_read")
        if no_actions:
            lines.append(f"  look-up   MACHINE ACTIONS NOT READ: {shown(no_actions, 300)}; open ones are not seen")
        return lines
    return [named]


def _caution_lines(view: PlanView) -> list[str]:
    """The cautions about the devices to be offboarded."""
    lines = []
    for caution, found in view.cautions.items():
        rows = f"{'row' if found.devices == 1 else 'rows'} {', '.join(map(str, found.rows))}"
        more = ", …" if found.devices > len(found.rows) else ""
        lines.append(f"  {found.devices:>7}  of these {caution_words(caution, found.devices)} ({rows}{more})")
        again = view.sent_again if caution is Caution.SENT_AGAIN else ()
        lines += [f"             row {each.row}: {each.detail}" for each in again]
    return lines


def run_text(view: RunView) -> str:
    """How a run ended, and the next command."""
    lines = [f"Batch {view.batch.batch_id}: {', '.join(_parts(view.counts))}."]
    if view.halt is not None:
        lines.append(f"Stopped: {view.halt.reason}")
    if view.left_out:
        left = "1 pending row was" if view.left_out == 1 else f"{view.left_out} pending rows were"
        lines.append(f"{left} not part of this run and may still be sent.")
    lines += [f"Next: {step}" for step in what_next(view.batch, view.counts, view.open_actions)]
    lines.append(f"Exit code {view.exit_code.value}: {view.exit_code.meaning}.")
    return "\n".join(lines)


def batch_text(
    batch: Batch,
    counts: Counts,
    skipped: Mapping[Reason, int],
    open_actions: int,
    given: Sequence[Approval] = (),
    *,
    at_work: bool = False,
) -> str:
    """One batch: request, result, next step."""
    facts = {
        "state": batch.state.word,
        "source": f"{shown(batch.source_name)} ({batch.source_kind})",
        "SHA-256": batch.source_sha256,
        "tenant": batch.scope,
        "API": batch.api_url,
        "comment": shown(batch.comment),
        "planned": local_time(batch.planned_at),
        "started": local_time(batch.started_at) if batch.started_at else "-",
        "ended": local_time(batch.ended_at) if batch.ended_at else "-",
    }
    lines = [_title("Batch", batch), *(f"  {name:<9} {value}" for name, value in facts.items())]
    lines += [f"  overrides {shown(each, 300)}" for each in batch.findings.get("overrides", ())]
    lines += [*(f"  {approved_line(each) if each.granted else denied_line(each)}" for each in given), ""]
    lines += [
        f"  {counts.rows:>7}  {_row_word(counts.rows)}",
        *(f"  {number:>7}  {WORDS[state]}" for state, number in _by_state(counts)),
    ]
    lines += [f"  {number:>7}  skipped: {reason}" for reason, number in all_skipped(counts, skipped).items()]
    if batch.halted_because:
        lines += ["", f"  stopped: {batch.halted_because}"]
    lines += ["", *(f"  next: {step}" for step in what_next(batch, counts, open_actions, at_work=at_work))]
    return "\n".join(lines).rstrip()


def list_text(
    batches: Sequence[tuple[Batch, Counts]],
    width: int | None = None,
    *,
    chosen: bool = False,
    interrupted: Collection[int] = (),
) -> str:
    """The batches as a table, or as two lines each if the table is wider than `width` columns. `chosen`: only some
    batches were asked for; `interrupted`: the keys of batches whose process has died."""
    if not batches:
        if chosen:
            return "No such batch."
        return "No batches yet; begin with `batch-offboard plan FILE`. Rehearsals are listed with --simulate."
    table = _batch_table(batches, interrupted)
    if width is None or max(map(display_width, table.split("\n"))) <= width:
        return table
    return "\n".join(
        f"{_briefly(batch, interrupted)}\n    {shown(batch.source_name)}, {_counted(counts)}"
        for batch, counts in batches
    )


def put_away_text(number: int) -> str:
    plans = "1 plan that was never run is" if number == 1 else f"{number} plans that were never run are"
    return f"{plans} not shown: older than a day, or planned again. `batch-offboard list --state planned` shows all."


def _batch_table(batches: Sequence[tuple[Batch, Counts]], interrupted: Collection[int]) -> str:
    head = [
        "batch",
        "state",
        "planned",
        "rows",
        "submitted",
        "failed",
        "in doubt",
        "pending",
        "cancelled",
        "skipped",
        "tenant",
        "source",
    ]
    lines = [
        [
            batch.batch_id,
            "interrupted" if batch.key in interrupted else batch.state.word,
            local_time(batch.planned_at),
            str(counts.rows),
            str(counts.of(JobState.SUBMITTED)),
            str(counts.of(JobState.FAILED)),
            str(counts.of(JobState.IN_DOUBT, JobState.SENDING)),
            str(counts.of(JobState.PENDING)),
            str(counts.of(JobState.CANCELLED)),
            str(sum(counts.skipped.values()) + counts.of(JobState.SKIPPED)),
            shown(batch.tenant),
            shown(batch.source_name),
        ]
        for batch, counts in batches
    ]
    return _columns([head, *lines], right=range(3, 10))


def _briefly(batch: Batch, interrupted: Collection[int]) -> str:
    state = "interrupted" if batch.key in interrupted else batch.state.word
    return f"{batch.batch_id}  {state:<9} {shown(batch.tenant)}"


def _parts(counts: Counts) -> list[str]:
    unmade = sum(counts.skipped.values())
    parts = [f"{number} {WORDS[state]}" for state, number in _by_state(counts)]
    return [*parts, f"{unmade} skipped by the plan"] if unmade else parts


def _row_word(number: int) -> str:
    return "row" if number == 1 else "rows"


def _counted(counts: Counts) -> str:
    parts = _parts(counts)
    return f"{counts.rows} {_row_word(counts.rows)}" + (f": {', '.join(parts)}" if parts else "")


def quotas_text(views: Sequence[QuotaView]) -> str:
    """What is left of both windows, and when the next call can start."""
    if not views:
        return "No call was made in the last hour: the whole quota is left, and the next call can start now."
    return "\n\n".join(_quota_text(view) for view in views)


def paths_text(paths: Iterable[Path]) -> str:
    return "\n".join(str(path) for path in paths)


def _quota_text(view: QuotaView) -> str:
    standing = view.standing
    lines = [f"Quota of {view.scope}", *_window_lines(standing)]
    if standing.waiting_for is None:
        lines.append("  the next call can start now")
    elif view.next_call is None:
        lines.append(f"  the next call waits for {standing.waiting_for}: one of those under way must end first")
    else:
        wait = spoken_duration(view.next_call - view.now)
        lines.append(f"  the next call waits for {standing.waiting_for} until {local_time(view.next_call)} ({wait})")
    for api, other in view.others.items():
        lines += [f"  {_OTHER_QUOTAS[api]}, which has a quota of its own:", *_window_lines(other, "    ")]
    return "\n".join(lines)


def _window_lines(standing: Standing, indent: str = "  ") -> list[str]:
    return [
        f"{indent}{name:<7} {used:>5} of {limit} used, {max(0, limit - used)} left"
        for name, (used, limit) in (("minute", standing.minute), ("hour", standing.hour))
    ]


_OTHER_QUOTAS = {ApiName.READ: "reading the tenant", ApiName.CANCEL: "cancelling"}


def what_next(batch: Batch, counts: Counts, open_actions: int, *, at_work: bool = False) -> list[str]:
    """The next commands, each with its reason; `at_work`: another process works on the batch now."""
    left = {Outcome(state): counts.of(state) for state in WORDS if state is not JobState.SENDING}
    steps = next_steps(
        batch.batch_id,
        batch.state.word,
        left,
        open_actions=open_actions,
        at_work=at_work,
        part_sent=batch.is_part_sent,
    )
    return [f"{step.command} ({step.why})" if step.why else step.command for step in steps]


def _by_state(counts: Counts) -> list[tuple[JobState, int]]:
    return [(state, counts.of(state)) for state in WORDS if counts.of(state)]


def _title(word: str, batch: Batch) -> str:
    return f"{word} {batch.batch_id}" + (" (SIMULATED: no real device is touched)" if batch.simulated else "")


def label(device_id: str, device_name: str) -> str:
    """A device as its row names it."""
    return " ".join(shown(text) for text in (device_id, device_name) if text) or "(empty)"


def _duration(seconds: float) -> str:
    """In large units for people; from a minute on also in seconds, which is exact."""
    return spoken_duration(seconds) + (f" ({seconds:.0f} s)" if seconds >= 60 else "")


def devices_text(number: int) -> str:
    """A number of devices in words."""
    return f"{number} device" if number == 1 else f"{number} devices"


def _columns(lines: Sequence[Sequence[str]], right: Iterable[int]) -> str:
    """Lines of cells as aligned columns, two spaces apart."""
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    flush = set(right)
    return "\n".join(
        "  ".join(
            cell.rjust(width) if at in flush else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
