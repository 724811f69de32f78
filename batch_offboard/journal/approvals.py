"""The approvals and denials of plans within a transaction: the one that records them, or the one that starts a run."""

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, select, update

from batch_offboard.core.consent import (
    Approval,
    Approvals,
    Conditions,
    Demand,
    PlanHead,
    assess,
    plan_digest,
    require_allowed,
)
from batch_offboard.journal import trail
from batch_offboard.journal.schema import approvals, batches, rows, scopes

OFFBOARD = "offboard"  # the decision on a row that is not skipped

_COLUMNS = tuple(column for column in approvals.c if column.name not in {"id", "batch"})


def plan_sha256(connection: Connection, batch: int, conditions: Conditions) -> str:
    """The digest of the plan as it is in the journal, under these conditions."""
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


def found(connection: Connection, batch: int, demand: Demand, at: float) -> Approvals:
    """The approvals of a batch, assessed against its current plan; `at` in seconds since the epoch."""
    return assess(given(connection, batch), demand, plan_sha256(connection, batch, demand.conditions), at)


def require(connection: Connection, batch: int, demand: Demand, at: float) -> list[Approval]:
    """The approvals that allow a run to start or continue; they are stored with the batch. Raises ApprovalError if they
    do not suffice."""
    if not demand.needed:
        return []
    now = found(connection, batch, demand, at)
    require_allowed(trail.batch_name(connection, batch), now)
    kept = [{"who": each.who, "at": each.at, "how": each.how} for each in now.counted]
    note(connection, batch, {"approved": kept})
    return list(now.counted)


def note(connection: Connection, batch: int, kept: dict[str, Any]) -> None:
    """Store with the batch what its reports show about the approvals."""
    before = connection.execute(select(batches.c.findings).where(batches.c.id == batch)).scalar_one()
    findings = json.dumps(json.loads(before) | kept, ensure_ascii=False)
    connection.execute(update(batches).where(batches.c.id == batch).values(findings=findings))
