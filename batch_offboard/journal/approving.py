"""Reads approvals and denials, and writes them with their audit record, each in its own transaction."""

from dataclasses import asdict

from sqlalchemy import insert

from batch_offboard.base.errors import GuardError
from batch_offboard.core.audit import Event, Kind
from batch_offboard.core.consent import (
    Approval,
    Approvals,
    Conditions,
    Demand,
    denials,
)
from batch_offboard.journal import trail
from batch_offboard.journal.approvals import found, given, note, plan_sha256
from batch_offboard.journal.schema import approvals
from batch_offboard.journal.store import Journal


def approvals_of(journal: Journal, batch: int, demand: Demand, at: float) -> Approvals:
    """Like `found`, in its own transaction."""
    with journal.reading() as connection:
        return found(connection, batch, demand, at)


def given_approvals(journal: Journal, batch: int) -> list[Approval]:
    """Like `given`, in its own transaction."""
    with journal.reading() as connection:
        return given(connection, batch)


def decide(
    journal: Journal, batch: int, conditions: Conditions, approval: Approval, shown_sha256: str = ""
) -> Approval:
    """Record an approval or a denial with the digest of the plan as it is now; returns it as recorded. Raises
    GuardError if the plan that was shown to the person has another digest."""
    with journal.writing() as connection:
        digest = plan_sha256(connection, batch, conditions)
        name = trail.batch_name(connection, batch)
        if shown_sha256 not in {"", digest}:
            raise GuardError(f"Batch {name} has changed since it was shown; nothing was approved. Look at it again.")
        bound = {**asdict(approval), "plan_sha256": digest}
        connection.execute(insert(approvals), {"batch": batch, **bound})
        standing = [f"{each.who}: {each.reason}" for each in denials(given(connection, batch))]
        note(connection, batch, {"denied": standing})
        content = {
            "batch": name,
            "plan_sha256": digest,
            "how": approval.how,
            **({} if approval.granted else {"reason": approval.reason}),
        }
        kind = Kind.APPROVED if approval.granted else Kind.DENIED
        trail.append(connection, [Event(kind, approval.at, content)])
    return Approval(**bound)
