"""What one call writes: the intent before it, the outcome after it.

Both record the call; if it is for a job, they also move the job, naming the state that they expect.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, case, func, insert, or_, update

from batch_offboard.base.clock import Moment
from batch_offboard.base.errors import JournalError
from batch_offboard.core.jobs import CallOutcome, JobState, Verdict, move
from batch_offboard.core.tenant import ApiName
from batch_offboard.journal.leases import Lease
from batch_offboard.journal.plans import inserted_key
from batch_offboard.journal.repeated import Repeated
from batch_offboard.journal.schema import calls, jobs, throttles


@dataclass(frozen=True, slots=True)
class Start:
    """The intent to call for a job: durable before the first byte is sent."""

    batch: int
    scope: int
    row: int
    attempt: int
    at: Moment
    api: ApiName = ApiName.OFFBOARD


@dataclass(frozen=True, slots=True)
class End:
    """The outcome of a call; `slower` is set for a 429 and says whether it reduces the pace."""

    batch: int
    scope: int
    row: int
    attempt: int
    at: Moment
    outcome: CallOutcome
    slower: bool | None = None
    api: ApiName = ApiName.OFFBOARD


@dataclass(frozen=True, slots=True)
class ReadEnd:
    """The outcome of a read; `call` is the key that `begin_read` returned."""

    call: int
    scope: int
    at: Moment
    outcome: CallOutcome
    slower: bool | None = None
    api: ApiName = ApiName.READ


_START_JOB = Repeated(
    update(jobs)
    .where(
        jobs.c.batch == bindparam("b"),
        jobs.c.row == bindparam("r"),
        jobs.c.state == JobState.PENDING,
        jobs.c.attempts == bindparam("before"),
    )
    .values(state=JobState.SENDING, attempts=bindparam("number"))
)


_END_JOB = Repeated(
    update(jobs)
    .where(
        jobs.c.batch == bindparam("b"),
        jobs.c.row == bindparam("r"),
        jobs.c.state == JobState.SENDING,
        jobs.c.attempts == bindparam("number"),
    )
    .values(
        state=bindparam("new_state"),
        action_id=bindparam("action"),
        action_status=bindparam("status"),
        error_code=bindparam("error"),
        error_message=bindparam("words"),
        http_status=bindparam("http"),
        submitted_at=bindparam("submitted"),
        finished_at=bindparam("finished"),
        own_action=bindparam("own"),
        settled="",
    )
)

# A cancellation moves the job only once the action is cancelled: until then the action is in effect.
_START_CANCEL = Repeated(
    update(jobs)
    .where(
        jobs.c.batch == bindparam("b"),
        jobs.c.row == bindparam("r"),
        jobs.c.state == JobState.SUBMITTED,
        jobs.c.own_action,
        jobs.c.cancels == bindparam("before"),
    )
    .values(cancels=bindparam("number"))
)

# `track` may have seen the action cancelled before the answer to the cancellation arrived.
_END_CANCEL = Repeated(
    update(jobs)
    .where(
        jobs.c.batch == bindparam("b"),
        jobs.c.row == bindparam("r"),
        or_(jobs.c.state == JobState.SUBMITTED, jobs.c.state == JobState.CANCELLED),
        jobs.c.cancels == bindparam("number"),
    )
    .values(
        {
            column: case((jobs.c.state == JobState.CANCELLED, column), else_=value)
            for column, value in (
                (jobs.c.state, bindparam("new_state")),
                (jobs.c.action_status, func.coalesce(bindparam("status"), jobs.c.action_status)),
                (jobs.c.finished_at, func.coalesce(bindparam("finished"), jobs.c.finished_at)),
            )
        }
    )
)

_ENDED: dict[str, BindParameter[Any]] = {
    "ended_at": bindparam("ended"),
    "ended_ticks": bindparam("ticks"),
    "boot": bindparam("on_boot"),
    "verdict": bindparam("came_to"),
    "http_status": bindparam("http"),
    "code": bindparam("error"),
    "message": bindparam("words"),
    "target": bindparam("tracking"),
}

_END_CALL = Repeated(
    update(calls)
    .where(
        calls.c.batch == bindparam("b"),
        calls.c.row == bindparam("r"),
        calls.c.api == bindparam("of_api"),
        calls.c.attempt == bindparam("number"),
        calls.c.ended_at.is_(None),
    )
    .values(_ENDED)
)

_BEGIN_CALL = Repeated(
    insert(calls), ["scope", "api", "batch", "row", "attempt", "epoch", "owner", "started_at", "boot"]
)

_END_READ = update(calls).where(calls.c.id == bindparam("call"), calls.c.ended_at.is_(None)).values(_ENDED)


def write_starts(connection: Connection, starts: Sequence[Start], lease: Lease | None) -> None:
    """Write intents, each with the epoch and the owner of the lease that it was written under."""
    for api, move_job in ((ApiName.OFFBOARD, _START_JOB), (ApiName.CANCEL, _START_CANCEL)):
        chosen = [start for start in starts if start.api is api]
        if chosen:
            moves = [{"b": s.batch, "r": s.row, "before": s.attempt - 1, "number": s.attempt} for s in chosen]
            _expect(move_job.many(connection, moves), len(chosen))
            _BEGIN_CALL.many(connection, [_call_values(start, lease) for start in chosen])


def write_ends(connection: Connection, ends: Sequence[End]) -> None:
    for api, move_job, values in _ENDS:
        chosen = [end for end in ends if end.api is api]
        if chosen:
            _expect(move_job.many(connection, [values(end) for end in chosen]), len(chosen))
            _expect(_END_CALL.many(connection, [_call_end(end) for end in chosen]), len(chosen))
    _write_throttles(connection, ends)


def begin_read(connection: Connection, scope: int, at: Moment) -> int:
    """Write the intent of a read; returns the call's key."""
    line = {"scope": scope, "api": ApiName.READ.value, "started_at": at.wall, "boot": at.boot}
    return inserted_key(connection.execute(insert(calls), line))


def end_read(connection: Connection, end: ReadEnd) -> None:
    _expect(connection.execute(_END_READ, {"call": end.call, **_ended_values(end)}).rowcount, 1)
    _write_throttles(connection, [end])


def _write_throttles(connection: Connection, ends: Sequence[End | ReadEnd]) -> None:
    asked = [_throttle_values(end) for end in ends if end.outcome.retry_after is not None]
    if asked:
        connection.execute(insert(throttles), asked)


def _call_values(start: Start, lease: Lease | None) -> dict[str, Any]:
    return {
        "epoch": 0 if lease is None else lease.epoch,
        "owner": "" if lease is None else lease.holder,
        "scope": start.scope,
        "api": start.api.value,
        "batch": start.batch,
        "row": start.row,
        "attempt": start.attempt,
        "started_at": start.at.wall,
        "boot": start.at.boot,
    }


def _offboard_end(end: End) -> dict[str, Any]:
    outcome = end.outcome
    state = move(JobState.SENDING, outcome.state)
    submitted = state is JobState.SUBMITTED
    return {
        "b": end.batch,
        "r": end.row,
        "number": end.attempt,
        "new_state": state.value,
        "action": outcome.action_id,
        "status": outcome.action_status,
        "error": outcome.code,
        "words": outcome.message,
        "http": outcome.http_status,
        "submitted": end.at.wall if submitted else None,
        "finished": end.at.wall if submitted or state is JobState.FAILED else None,
        "own": submitted and outcome.own_action,
    }


def _cancel_end(end: End) -> dict[str, Any]:
    cancelled = end.outcome.verdict is Verdict.CANCELLED
    state = move(JobState.SUBMITTED, JobState.CANCELLED) if cancelled else JobState.SUBMITTED
    return {
        "b": end.batch,
        "r": end.row,
        "number": end.attempt,
        "new_state": state.value,
        "status": end.outcome.action_status or None,
        "finished": end.at.wall if cancelled else None,
    }


_ENDS: Sequence[tuple[ApiName, Repeated, Callable[[End], dict[str, Any]]]] = (
    (ApiName.OFFBOARD, _END_JOB, _offboard_end),
    (ApiName.CANCEL, _END_CANCEL, _cancel_end),
)


def _call_end(end: End) -> dict[str, Any]:
    return {"b": end.batch, "r": end.row, "of_api": end.api.value, "number": end.attempt, **_ended_values(end)}


def _ended_values(end: End | ReadEnd) -> dict[str, Any]:
    outcome = end.outcome
    return {
        "ended": end.at.wall,
        "ticks": end.at.ticks,
        "on_boot": end.at.boot,
        "came_to": outcome.verdict.value,
        "http": outcome.http_status,
        "error": outcome.code,
        "words": outcome.message,
        "tracking": outcome.target,
    }


def _throttle_values(end: End | ReadEnd) -> dict[str, Any]:
    return {
        "scope": end.scope,
        "api": end.api.value,
        "at": end.at.wall,
        "ticks": end.at.ticks,
        "boot": end.at.boot,
        "wait": end.outcome.retry_after,
        "slower": bool(end.slower),
    }


def _expect(met: int, count: int) -> None:
    if met != count:
        raise JournalError(
            f"The journal holds {met} of {count} jobs in the state that was expected; "
            "did another program change it? Nothing more is sent; check with `batch-offboard audit verify`."
        )
