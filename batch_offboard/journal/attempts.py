"""What one call writes: the intent before it, the outcome after it.

Both move the job and keep the call, and both name the state that they expect.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, CursorResult, bindparam, insert, update

from batch_offboard.clock import Moment
from batch_offboard.errors import JournalError
from batch_offboard.jobs import CallOutcome, JobState, move
from batch_offboard.journal.schema import calls, jobs, throttles
from batch_offboard.protocol import ApiName


@dataclass(frozen=True, slots=True)
class Start:
    """The intent to call: durable before the first byte leaves."""

    batch: int
    scope: int
    row: int
    attempt: int
    at: Moment


@dataclass(frozen=True, slots=True)
class End:
    """What the call came to; `slower` is set for a 429 and says whether it takes the pace down."""

    batch: int
    scope: int
    row: int
    attempt: int
    at: Moment
    outcome: CallOutcome
    slower: bool | None = None


_START_JOB = (
    update(jobs)
    .where(
        jobs.c.batch == bindparam("b"),
        jobs.c.row == bindparam("r"),
        jobs.c.state == JobState.PENDING,
        jobs.c.attempts == bindparam("before"),
    )
    .values(state=JobState.SENDING, attempts=bindparam("number"))
)


_END_JOB = (
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
    )
)


_END_CALL = (
    update(calls)
    .where(
        calls.c.batch == bindparam("b"),
        calls.c.row == bindparam("r"),
        calls.c.attempt == bindparam("number"),
        calls.c.ended_at.is_(None),
    )
    .values(
        ended_at=bindparam("ended"),
        ended_ticks=bindparam("ticks"),
        boot=bindparam("on_boot"),
        verdict=bindparam("came_to"),
        http_status=bindparam("http"),
        code=bindparam("error"),
        message=bindparam("words"),
        target=bindparam("tracking"),
    )
)


def write_starts(connection: Connection, starts: Sequence[Start]) -> None:
    moves = [{"b": s.batch, "r": s.row, "before": s.attempt - 1, "number": s.attempt} for s in starts]
    _expect(connection.execute(_START_JOB, moves), len(starts))
    lines = [
        {
            "scope": s.scope,
            "api": ApiName.OFFBOARD.value,
            "batch": s.batch,
            "row": s.row,
            "attempt": s.attempt,
            "started_at": s.at.wall,
            "boot": s.at.boot,
        }
        for s in starts
    ]
    connection.execute(insert(calls), lines)


def write_ends(connection: Connection, ends: Sequence[End]) -> None:
    lines = [_end_values(end) for end in ends]
    _expect(connection.execute(_END_JOB, lines), len(ends))
    _expect(connection.execute(_END_CALL, lines), len(ends))
    asked = [_throttle_values(end) for end in ends if end.outcome.retry_after is not None]
    if asked:
        connection.execute(insert(throttles), asked)


def _end_values(end: End) -> dict[str, Any]:
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
        "ended": end.at.wall,
        "ticks": end.at.ticks,
        "on_boot": end.at.boot,
        "came_to": outcome.verdict.value,
        "tracking": outcome.target,
    }


def _throttle_values(end: End) -> dict[str, Any]:
    return {
        "scope": end.scope,
        "api": ApiName.OFFBOARD.value,
        "at": end.at.wall,
        "ticks": end.at.ticks,
        "boot": end.at.boot,
        "wait": end.outcome.retry_after,
        "slower": bool(end.slower),
    }


def _expect(result: CursorResult[Any], count: int) -> None:
    if result.rowcount != count:
        raise JournalError(
            f"The journal holds {result.rowcount} of {count} jobs in the state that was expected; "
            "did another program change it? Nothing more is sent."
        )
