"""What is shown about approvals, and the question that an approver answers."""

import sys

from batch_offboard.base.errors import GuardError
from batch_offboard.cli.screens.texts import answer, approved_line, devices_text, plan_text, voice
from batch_offboard.commands.approving import ApprovalView
from batch_offboard.commands.views import PlanView
from batch_offboard.core.devices import shown


def confirm_approval(view: PlanView, *, yes: bool, quiet: bool) -> str:
    """Show the plan and ask the approver for the number of devices; returns how they confirmed, for the audit record.
    Raises GuardError if they do not."""
    voice(quiet=quiet)(plan_text(view, and_then=False))
    batch, devices = view.batch, view.to_send
    if yes:
        return "--yes"
    if sys.stdin is None or not sys.stdin.isatty():
        raise GuardError(
            f"There is no terminal to confirm the approval of {devices_text(devices)} on; nothing was approved. Add "
            "--yes."
        )
    question = f"You approve that {devices_text(devices)} of tenant {shown(batch.tenant)} leave Defender."
    if answer(f"{question} Type the number of devices to approve: ") != str(devices):
        raise GuardError(f"Not confirmed; nothing was approved. To look again: batch-offboard approve {batch.batch_id}")
    return "typed"


def approval_text(view: ApprovalView) -> str:
    """What was recorded, and the next step."""
    batch, said, now = view.batch.batch_id, view.recorded, view.approvals
    if not said.granted:
        return f"Batch {batch} is denied by {said.who}: {said.reason}\nIt cannot be run. Plan the corrected sheet."
    lines = [f"Batch {batch} is {approved_line(said)}."]
    counted = f"{len(now.counted)} of {now.needed} {'approval' if now.needed == 1 else 'approvals'}"
    if now.denied:
        lines.append(f"It is still denied by {', '.join(each.who for each in now.denied)}.")
    elif now.missing:
        lines.append(f"{counted}; another person types batch-offboard approve {batch}")
    else:
        command = {"planned": "run", "finished": "retry"}.get(view.batch.state, "resume")
        aside = view.batch.set_aside.words
        lines.append(f"{counted}. Next: batch-offboard {command} {batch}{f' {aside}' if aside else ''}")
    return "\n".join(lines)
