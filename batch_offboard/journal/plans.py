"""What a plan writes: the batch, its rows, and a job for each row to offboard."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, CursorResult, ScalarSelect, bindparam, delete, false, insert, literal, select, update

from batch_offboard.base.errors import JournalError
from batch_offboard.core.batches import BatchState, tenant_of
from batch_offboard.core.consent import Conditions
from batch_offboard.core.jobs import JobState
from batch_offboard.core.plan import Amendment, PlannedRow
from batch_offboard.core.rows import Source
from batch_offboard.journal.schema import approvals, batches, jobs, rows, scopes, tenants

PLANS_KEPT = 30 * 86_400.0  # seconds after which a plan that was never run is deleted


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A batch before its rows are added. `reading` are the options that the sheet was read with, `conditions` those
    that its digest covers."""

    batch_id: str
    scope: str
    planned_at: float
    source: Source
    columns: tuple[str, ...]
    reading: Mapping[str, Any]
    api_url: str
    comment: str
    simulated: bool
    tool_version: str
    lookup_wanted: bool = True
    looked_up_at: float | None = None
    last_call_known: int = 0  # what later calls have sent is not sent again
    conditions: Conditions = Conditions()  # noqa: RUF009  # frozen


def scope_key(connection: Connection, name: str) -> int:
    known = connection.execute(select(scopes.c.id).where(scopes.c.name == name)).scalar()
    if known is not None:
        return int(known)
    tenant = tenant_of(name)
    key = connection.execute(select(tenants.c.id).where(tenants.c.name == tenant)).scalar()
    if key is None:
        key = inserted_key(connection.execute(insert(tenants), {"name": tenant}))
    return inserted_key(connection.execute(insert(scopes), {"name": name, "tenant": key}))


def tenant_key(scope: int) -> ScalarSelect[Any]:
    return select(scopes.c.tenant).where(scopes.c.id == scope).scalar_subquery()


def forget_broken_plans(connection: Connection, now: float) -> None:
    """Delete plans that a crash left incomplete; one that is a day old is no longer being written."""
    broken = select(batches.c.id).where(batches.c.state == BatchState.PLANNING, batches.c.planned_at < now - 86_400)
    for batch in connection.execute(broken).scalars().all():
        forget(connection, batch)


def old_plans(connection: Connection, now: float) -> list[tuple[int, str]]:
    """Key and ID of every plan that was never run and has expired; `now` in seconds since the epoch."""
    statement = select(batches.c.id, batches.c.name).where(
        batches.c.state == BatchState.PLANNED, batches.c.planned_at < now - PLANS_KEPT
    )
    return [(key, name) for key, name in connection.execute(statement)]


def forget(connection: Connection, batch: int) -> None:
    parts = ((approvals, approvals.c.batch), (jobs, jobs.c.batch), (rows, rows.c.batch), (batches, batches.c.id))
    for table, key in parts:
        connection.execute(delete(table).where(key == batch))


def inserted_key(result: CursorResult[Any]) -> int:
    key = result.inserted_primary_key
    if key is None:
        raise JournalError("The journal returned no key for a new row; this is a bug in the program.")
    return int(key[0])


def batch_values(new: NewBatch, scope: int) -> dict[str, Any]:
    return {
        "name": new.batch_id,
        "scope": scope,
        "state": BatchState.PLANNING,
        "planned_at": new.planned_at,
        "source_path": new.source.path,
        "source_name": new.source.name,
        "source_sha256": new.source.sha256,
        "source_kind": new.source.kind,
        "columns": json.dumps(new.columns, ensure_ascii=False),
        "reading": json.dumps(dict(new.reading), ensure_ascii=False),
        "api_url": new.api_url,
        "comment": new.comment,
        "simulated": new.simulated,
        "tool_version": new.tool_version,
        "lookup_wanted": new.lookup_wanted,
        "looked_up_at": new.looked_up_at,
        "last_call_known": new.last_call_known,
    }


def row_values(batch: int, row: PlannedRow) -> dict[str, Any]:
    return {
        "batch": batch,
        "row": row.row,
        "device_id": row.device_id,
        "device_name": row.device_name,
        "reason": row.reason,
        "detail": row.detail,
        "first_row": row.first_row,
        "cells": json.dumps(row.cells),
        "facts": None if row.facts is None else json.dumps(row.facts.as_json(), ensure_ascii=False),
    }


def amend(connection: Connection, batch: int, amendments: Sequence[Amendment]) -> None:
    """Change decisions: the row is skipped after all, and its job is deleted."""
    if amendments:
        changed = [{"at": each.row, "why": each.reason, "words": each.detail} for each in amendments]
        chosen = (rows.c.batch == batch, rows.c.row == bindparam("at"), rows.c.reason.is_(None))
        connection.execute(
            update(rows).where(*chosen).values(reason=bindparam("why"), detail=bindparam("words")), changed
        )
        connection.execute(delete(jobs).where(jobs.c.batch == batch, jobs.c.row == bindparam("at")), changed)


def make_jobs(connection: Connection, batch: int, scope: int, first: int, last: int) -> None:
    """Create a job for each of these rows that is not skipped."""
    values = {
        jobs.c.batch: rows.c.batch,
        jobs.c.row: rows.c.row,
        jobs.c.tenant: tenant_key(scope),
        jobs.c.device_id: rows.c.device_id,
        jobs.c.state: literal(JobState.PENDING.value),
        jobs.c.attempts: literal(0),
        jobs.c.action_id: literal(""),
        jobs.c.action_status: literal(""),
        jobs.c.error_code: literal(""),
        jobs.c.error_message: literal(""),
        jobs.c.own_action: false(),
        jobs.c.resent: false(),
    }
    chosen = select(*values.values()).where(
        rows.c.batch == batch, rows.c.row.between(first, last), rows.c.reason.is_(None)
    )
    connection.execute(insert(jobs).from_select(list(values), chosen))
