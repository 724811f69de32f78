"""Writes the audit record: always in the transaction of what it records, so that neither exists without the other."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, insert, select

from batch_offboard.base.clock import Moment
from batch_offboard.base.errors import JournalError
from batch_offboard.core.actor import Actor
from batch_offboard.core.audit import START, Anchor, Event, Kind, chained
from batch_offboard.core.jobs import JobState, Verdict
from batch_offboard.core.tenant import ApiName
from batch_offboard.journal.attempts import End, Start
from batch_offboard.journal.plans import NewBatch
from batch_offboard.journal.repeated import Repeated
from batch_offboard.journal.schema import audit, batches, calls, jobs, rows

_LAST = Repeated(select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1))

_APPEND = Repeated(insert(audit), audit.c.keys())

_JOB = Repeated(
    select(batches.c.name, jobs.c.device_id, jobs.c.state)
    .join(batches, batches.c.id == jobs.c.batch)
    .where(jobs.c.batch == bindparam("b"), jobs.c.row == bindparam("r"))
)


def last_of(connection: Connection) -> Anchor:
    """The last record of the chain; inside a writing transaction, no other process can append to it."""
    line = _LAST.first(connection, {})
    return START if line is None else Anchor(*line)


def append(connection: Connection, events: Sequence[Event]) -> None:
    """Append these events to the record, whichever process wrote its end, each with the transaction's `actor`."""
    if events:
        actor: Actor = connection.get_execution_options()["actor"]
        acting = {"who": actor.who, "face": actor.face}
        signed = [Event(each.kind, each.at, {**each.content, **acting}) for each in events]
        _APPEND.many(connection, [record.as_dict() for record in chained(signed, last_of(connection))])


def planned(connection: Connection, batch: int, new: NewBatch, plan_sha256: str) -> Event:
    """The event of a planned sheet, with the number of rows for each decision."""
    by_reason = select(rows.c.reason, func.count()).where(rows.c.batch == batch).group_by(rows.c.reason)
    skipped = {line[0]: line[1] for line in connection.execute(by_reason)}
    offboard = skipped.pop(None, 0)  # a row without a reason to skip it
    content = {
        "batch": new.batch_id,
        "source_name": new.source.name,
        "source_sha256": new.source.sha256,
        "rows": offboard + sum(skipped.values()),
        "offboard": offboard,
        "skipped": skipped,
        "comment": new.comment,
        "scope": new.scope,
        "api_url": new.api_url,
        "simulated": new.simulated,
        "tool_version": new.tool_version,
        "plan_sha256": plan_sha256,
    }
    return Event(Kind.PLANNED, new.planned_at, content)


def called(connection: Connection, starts: Sequence[Start], ends: Sequence[End]) -> list[Event]:
    """The events of intents and outcomes that are in the journal."""
    return [
        *(Event(Kind.OUTCOME, end.at.wall, {**_call(connection, end), **_outcome(end)}) for end in ends),
        *(Event(Kind.INTENT, start.at.wall, _call(connection, start)) for start in starts),
    ]


def interrupted(connection: Connection, which: Iterable[ColumnElement[bool]], now: Moment, code: str) -> list[Event]:
    """The events of open calls whose process has died."""
    statement = (
        select(calls.c.api, calls.c.attempt, calls.c.row, batches.c.name, jobs.c.device_id)
        .join(jobs, (jobs.c.batch == calls.c.batch) & (jobs.c.row == calls.c.row))
        .join(batches, batches.c.id == calls.c.batch)
        .where(*which)
        .order_by(calls.c.id)
    )
    end = {"action_id": "", "code": code, "http_status": None, "verdict": Verdict.IN_DOUBT}
    return [
        Event(Kind.OUTCOME, now.wall, {**_call_facts(api, attempt, name, device, row), **end})
        for api, attempt, row, name, device in connection.execute(statement)
    ]


def skipped(connection: Connection, batch: int, why: Mapping[int, tuple[str, str]], at: float) -> list[Event]:
    """The events of pending jobs that are about to be skipped: for each row the reason and its sentence."""
    found = ((row, _JOB.first(connection, {"b": batch, "r": row})) for row in why)
    return [
        Event(
            Kind.SKIPPED,
            at,
            {"batch": job[0], "device_id": job[1], "row": row, "reason": why[row][0], "detail": why[row][1]},
        )
        for row, job in found
        if job is not None and job[2] == JobState.PENDING
    ]


def settled(line: Mapping[str, Any]) -> Event:
    """The event of a settled doubt, from the values that `settlements` writes."""
    content = {
        **_call_facts(ApiName.OFFBOARD, line["number"], line["batch_id"], line["device"], line["r"]),
        "by": line["by"],
        "accepted": line["accepted"],
        "action_id": line["action"],
        "note": line["note"],
    }
    return Event(Kind.SETTLED, line["at"], content)


def cancelled(job: Row[Any], at: float) -> Event:
    """The event of a cancellation of ours that succeeded according to the tenant's list."""
    content = {
        **_call_facts(ApiName.CANCEL, job.cancels, job.name, job.device_id, job.row),
        "by": "list",
        "accepted": True,
        "action_id": job.action_id,
        "note": "",
    }
    return Event(Kind.SETTLED, at, content)


def batch_name(connection: Connection, batch: int) -> str:
    return str(connection.execute(select(batches.c.name).where(batches.c.id == batch)).scalar_one())


def _call(connection: Connection, call: Start | End) -> dict[str, Any]:
    found = _JOB.first(connection, {"b": call.batch, "r": call.row})
    if found is None:
        raise JournalError(f"The journal has no job for row {call.row} of a call; this is a bug in the program.")
    return _call_facts(call.api, call.attempt, found[0], found[1], call.row)


def _call_facts(api: str, attempt: int, batch: str, device: str, row: int) -> dict[str, Any]:
    return {"api": api, "attempt": attempt, "batch": batch, "device_id": device, "row": row}


def _outcome(end: End) -> dict[str, Any]:
    outcome = end.outcome
    return {
        "action_id": outcome.action_id,
        "code": outcome.code,
        "http_status": outcome.http_status,
        "verdict": outcome.verdict,
    }
