"""The approvals and denials of plans: written in one transaction with their audit record, and checked in the one that
begins a run."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, select, update

from batch_offboard.base.errors import GuardError
from batch_offboard.core.audit import Event, Kind
from batch_offboard.core.consent import Approval, Conditions, Demand, PlanHead, Standing, plan_digest, standing
from batch_offboard.core.consent import standing_text as text_of
from batch_offboard.journal import trail
from batch_offboard.journal.schema import approvals, batches, rows, scopes

if TYPE_CHECKING:
    from batch_offboard.journal.store import Journal

OFFBOARD = "offboard"  # the decision on a row that is not skipped

_COLUMNS = tuple(column for column in approvals.c if column.name not in {"id", "batch"})


def plan_sha256(connection: Connection, batch: int, conditions: Conditions) -> str:
    """The digest of the plan as it stands in the journal, under these conditions."""
    head = (
        select(scopes.c.name, batches.c.api_url, batches.c.source_sha256, batches.c.reading, batches.c.comment)
        .join(scopes, scopes.c.id == batches.c.scope)
        .where(batches.c.id == batch)
    )
    scope, api_url, source, reading, comment = connection.execute(head).one()
    whole = PlanHead(scope, api_url, source, json.loads(reading), comment)
    return plan_digest(whole, conditions, _decisions(connection, batch))


def _decisions(connection: Connection, batch: int) -> Iterator[tuple[int, str, str]]:
    statement = select(rows.c.row, rows.c.device_id, rows.c.reason).where(rows.c.batch == batch).order_by(rows.c.row)
    for row, device, reason in connection.execute(statement):
        yield row, device, reason or OFFBOARD


def given(connection: Connection, batch: int) -> list[Approval]:
    """The approvals and denials of a batch in the order in which they were given."""
    statement = select(*_COLUMNS).where(approvals.c.batch == batch).order_by(approvals.c.id)
    return [Approval(**line._mapping) for line in connection.execute(statement)]  # noqa: SLF001  # SQLAlchemy's public name


def found(connection: Connection, batch: int, demand: Demand, at: float) -> Standing:
    """The approvals of a batch, compared with what it is now; `at` in seconds since the epoch."""
    return standing(given(connection, batch), demand, plan_sha256(connection, batch, demand.conditions), at)


def require(connection: Connection, batch: int, demand: Demand, at: float) -> list[Approval]:
    """The approvals that allow a run to begin or to go on, which are kept with the batch. GuardError if they do not."""
    if not demand.needed:
        return []
    now = found(connection, batch, demand, at)
    if not now.allows:
        raise GuardError(text_of(trail.batch_name(connection, batch), now))
    before = connection.execute(select(batches.c.findings).where(batches.c.id == batch)).scalar_one()
    kept = {"approved": [{"who": each.who, "at": each.at, "how": each.how} for each in now.counted]}
    findings = json.dumps(json.loads(before) | kept, ensure_ascii=False)
    connection.execute(update(batches).where(batches.c.id == batch).values(findings=findings))
    return list(now.counted)


def approvals_of(journal: "Journal", batch: int, demand: Demand, at: float) -> Standing:
    """As `found`, in a transaction of its own."""
    with journal.reading() as connection:
        return found(connection, batch, demand, at)


def decide(journal: "Journal", batch: int, conditions: Conditions, approval: Approval) -> Approval:
    """Record an approval or a denial of the plan as it stands now, whose digest it gets; returns it as recorded."""
    with journal.writing() as connection:
        bound = {**asdict(approval), "plan_sha256": plan_sha256(connection, batch, conditions)}
        connection.execute(insert(approvals), {"batch": batch, **bound})
        content = {
            "batch": trail.batch_name(connection, batch),
            "plan_sha256": bound["plan_sha256"],
            "how": approval.how,
            **({} if approval.granted else {"reason": approval.reason}),
        }
        kind = Kind.APPROVED if approval.granted else Kind.DENIED
        trail.append(connection, [Event(kind, approval.at, content)])
    return Approval(**bound)
