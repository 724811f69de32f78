"""Approves or denies a plan that somebody else submitted."""

from dataclasses import dataclass

from batch_offboard.base.errors import GuardError, UsageError
from batch_offboard.base.text import one_line
from batch_offboard.commands.clearing import approvals_needed, conditions_now, demand, refusals_recorded
from batch_offboard.commands.desk import Desk
from batch_offboard.commands.proposing import view_plan, why_stale
from batch_offboard.commands.views import PlanView
from batch_offboard.core.batches import Batch
from batch_offboard.core.consent import APPROVAL_LIFE, Approval, Approvals, Consent, listed, same_person
from batch_offboard.core.jobs import JobState
from batch_offboard.journal.approving import approvals_of, decide
from batch_offboard.journal.reading import count


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """What was recorded, and the approvals of the batch including it."""

    batch: Batch
    recorded: Approval
    approvals: Approvals


def to_approve(desk: Desk, name: str) -> PlanView:
    """The plan to approve, as a run would send it. Raises UsageError if there is nothing to approve, and GuardError,
    which is recorded, if the actor submitted it."""
    batch = _waiting(desk, name)
    stale = why_stale(desk, batch)
    if stale is not None:
        raise UsageError(
            f"Batch {batch.batch_id} cannot be approved: {stale}. Plan its sheet again with `batch-offboard plan`."
        )
    person = desk.options.actor.person
    if any(same_person(person, each) for each in batch.submitters):
        with refusals_recorded(desk, batch):
            raise GuardError(
                f"Batch {batch.batch_id} was submitted by {listed(batch.submitters)}, and nobody approves what they "
                f"submit themselves. Somebody else types `batch-offboard approve {batch.batch_id}`."
            )
    failed = batch.state == "finished"
    return view_plan(desk, batch, failed=failed)


async def approve(desk: Desk, view: PlanView, consent: Consent) -> ApprovalView:
    """Record an approval of the plan as it is now. Raises GuardError if it has changed since it was shown."""
    batch = view.batch
    view_sha256 = view.approvals.plan_sha256 if view.approvals is not None else ""
    approval = _word(desk, consent)
    with refusals_recorded(desk, batch):
        recorded = decide(desk.journal, batch.key, conditions_now(desk, batch), approval, view_sha256)
    return _view(desk, batch, recorded)


async def deny(desk: Desk, name: str, reason: str, consent: Consent) -> ApprovalView:
    """Record a denial of the plan with its reason: it cannot be run. Raises UsageError if there is nothing to deny."""
    batch = _waiting(desk, name)
    if not one_line(reason).strip():
        raise UsageError("A denial needs a reason; type it after the batch.")
    denial = _word(desk, consent, one_line(reason).strip())
    return _view(desk, batch, decide(desk.journal, batch.key, conditions_now(desk, batch), denial))


def _waiting(desk: Desk, name: str) -> Batch:
    """A batch that may need an approval. Raises UsageError if it needs none."""
    batch = desk.batch(name)
    if not approvals_needed(desk, batch):
        raise UsageError(
            f"Batch {batch.batch_id} needs no approval: guards.approvals is 0, or the batch has no devices to offboard."
        )
    if batch.state == "finished" and not count(desk.journal, batch.key).of(JobState.FAILED):
        raise UsageError(
            f"Batch {batch.batch_id} is finished and has no failed rows to send again; `batch-offboard show "
            f"{batch.batch_id}` shows how it ended."
        )
    return batch


def _word(desk: Desk, consent: Consent, reason: str = "") -> Approval:
    now, actor = desk.clock.now().wall, consent.actor
    until = now + APPROVAL_LIFE
    return Approval(actor.person, actor.machine, actor.face, now, consent.how, "", until, not reason, reason)


def _view(desk: Desk, batch: Batch, recorded: Approval) -> ApprovalView:
    now = approvals_of(desk.journal, batch.key, demand(desk, batch), desk.clock.now().wall)
    return ApprovalView(batch, recorded, now)
