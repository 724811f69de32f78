"""What the commands before and after the calls print: check, track, cancel, resolve."""

import sys

from batch_offboard.base.errors import ExitCode, GuardError
from batch_offboard.cli.screens.texts import answer, devices_text, voice, what_next
from batch_offboard.commands.cancelling import CancelView
from batch_offboard.commands.checkup import CheckView
from batch_offboard.commands.tracking import TrackView, statuses_text
from batch_offboard.commands.views import ResolvedView
from batch_offboard.core.batches import Batch
from batch_offboard.core.devices import shown

REFUSALS_SHOWN = 10


def confirm_cancel(batch: Batch, actions: int, *, yes: bool, quiet: bool) -> str:
    """Ask the operator for the number of actions; returns how they confirmed, for the audit record. Raises GuardError
    if they do not."""
    voice(quiet=quiet)(f"{_actions(actions)} of batch {batch.batch_id} can still be cancelled.")
    if yes:
        return "--yes"
    if sys.stdin is None or not sys.stdin.isatty():
        if batch.simulated:
            return "rehearsal"
        raise GuardError(
            f"There is no terminal to confirm the cancellation of {_actions(actions)} on; nothing was sent. Add --yes."
        )
    question = f"This keeps up to {devices_text(actions)} of tenant {shown(batch.tenant)} in Defender."
    if answer(f"{question} Type {actions} to go ahead: ") != str(actions):
        raise GuardError(f"Not confirmed; nothing was sent. To ask again: batch-offboard cancel {batch.batch_id}")
    return "typed"


def track_text(view: TrackView) -> str:
    """The statuses of the machine actions, and the next command."""
    lines = [f"Batch {view.batch.batch_id}: {statuses_text(view.statuses)}."]
    if view.halt is not None:
        lines.append(f"Stopped: {view.halt.reason}")
    elif view.open:
        lines.append(f"{_actions(view.open)} are not final yet. Next: batch-offboard track {view.batch.batch_id}")
    lines += [f"Next: {step}" for step in what_next(view.batch, view.counts, 0, at_work=view.at_work)]
    lines.append(f"Exit code {view.exit_code.value}: {view.exit_code.meaning}.")
    return "\n".join(lines)


def cancel_text(view: CancelView) -> str:
    """Which actions were cancelled and which were not."""
    lines = [f"Batch {view.batch.batch_id}: {view.cancelled} of {_actions(view.asked)} cancelled."]
    for row, words in list(view.refused.items())[:REFUSALS_SHOWN]:
        lines.append(f"  row {row}: {words or 'not reached'}")
    if len(view.refused) > REFUSALS_SHOWN:
        lines.append(f"  and {len(view.refused) - REFUSALS_SHOWN} more; the report has them all")
    if view.halt is not None:
        lines.append(f"Stopped: {view.halt.reason}")
    if view.refused and view.still_open:
        again = f"batch-offboard cancel {view.batch.batch_id}"
        lines.append(f"Next: {again} (asks for the {_actions(view.still_open)} still open)")
    # The advice for an unfinished run would send the rows that are still pending.
    meaning = "not finished" if view.exit_code is ExitCode.UNFINISHED else view.exit_code.meaning
    lines.append(f"Exit code {view.exit_code.value}: {meaning}.")
    return "\n".join(lines)


def resolve_text(view: ResolvedView) -> str:
    word = "accepted" if view.accepted else "not accepted, and pending again"
    name, next_step = view.batch.batch_id, "report" if view.accepted else "resume"
    return f"Row {view.row} of batch {name} is settled: {word}. Next: batch-offboard {next_step} {name}"


def check_text(view: CheckView) -> str:
    """One line for each finding, with what to do."""
    width = max(len(each.check) for each in view.findings)
    lines = []
    for each in view.findings:
        remedy = f"; {each.remedy}" if each.remedy else ""
        text = f"{each.text.rstrip('.')}{remedy}"
        lines.append(f"{each.grade:<7}  {each.check:<{width}}  {shown(text, 1000)}")
    code = view.exit_code
    lines.append(f"Exit code {code.value}: {code.meaning}." if code else view.verdict)
    return "\n".join(lines)


def _actions(number: int) -> str:
    return f"{number} machine action" if number == 1 else f"{number} machine actions"
