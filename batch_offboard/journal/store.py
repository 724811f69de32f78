"""What is written to the journal: plans, the moves of jobs, and the calls.

Each method is one transaction; when it returns, what it wrote survives a power cut. Every update names the state
that it expects, and finding another is an error that changes nothing.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    CursorResult,
    ScalarSelect,
    bindparam,
    case,
    delete,
    insert,
    literal,
    select,
    text,
    update,
)

from batch_offboard.clock import Moment
from batch_offboard.errors import JournalError
from batch_offboard.jobs import CallOutcome, Job, JobState, Verdict, move
from batch_offboard.journal.opening import open_engine, told
from batch_offboard.journal.schema import batches, calls, jobs, rows, scopes, tenants, throttles
from batch_offboard.plan import Amendment, PlannedRow, Reason
from batch_offboard.protocol import ApiName
from batch_offboard.rows import Source

ROWS_AT_A_TIME = 5000

# Kept beside the journal and given up when the disk is full, so that the outcomes of the calls that are still in
# flight can be written.
RESERVE = 1 << 20  # bytes

# The action came to nothing, so the device is free to be sent again.
ACTION_FAILED = ("Failed", "TimeOut", "Cancelled")


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A plan before its rows. `reading` are the options that the sheet was read with."""

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


class Journal:
    """One journal file. Safe to use from several threads, one transaction at a time."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        self.engine = open_engine(path, create=create)

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is durable when the block ends, or has not happened."""
        with (
            told(self.path),
            self.engine.connect().execution_options(begin="BEGIN IMMEDIATE") as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with told(self.path), self.engine.connect() as connection:
            yield connection

    def add_batch(
        self, new: NewBatch, planned: Iterable[PlannedRow], amendments: Callable[[], Iterable[Amendment]]
    ) -> int:
        """Save a whole plan or nothing; `amendments` is asked when the rows are through. Returns the batch's key.

        A large sheet takes minutes to read, and a run at work must get its outcomes in meanwhile: so the rows come
        in short transactions, and only the last one makes them a batch that anybody can see.
        """
        with self.writing() as connection:
            _forget_broken_plans(connection, new.planned_at)
            scope = _scope_key(connection, new.scope)
            batch = _inserted_key(connection.execute(insert(batches), _batch_values(new, scope)))
        lines = (_row_values(batch, row) for row in planned)
        try:
            while chunk := list(islice(lines, ROWS_AT_A_TIME)):
                with self.writing() as connection:
                    connection.execute(insert(rows), chunk)
                    _make_jobs(connection, batch, scope, chunk[0]["row"], chunk[-1]["row"])
            with self.writing() as connection:
                _amend(connection, batch, list(amendments()))
                connection.execute(update(batches).where(batches.c.id == batch).values(state="planned"))
        except BaseException:
            with self.writing() as connection:
                _forget(connection, batch)
            raise
        return batch

    def prepare(self, batch: int, scope: int, now: Moment) -> None:
        """Make a batch ready to be worked: settle what an earlier process left, and what other batches did."""
        with self.writing() as connection:
            _rescue(connection, scope, now)
            _skip_known(connection, batch, now)
            connection.execute(
                update(batches)
                .where(batches.c.id == batch)
                .values(
                    state="running",
                    halted_because="",
                    ended_at=None,
                    started_at=case((batches.c.started_at.is_(None), now.wall), else_=batches.c.started_at),
                )
            )

    def rescue(self, scope: int, now: Moment) -> None:
        """Jobs that nobody works on any more but that may have been sent are in doubt. The caller holds the lock."""
        with self.writing() as connection:
            _rescue(connection, scope, now)

    def commit(self, starts: Sequence[Start], ends: Sequence[End]) -> None:
        """Write the intents and outcomes of many jobs in one transaction."""
        with self.writing() as connection:
            if ends:
                _write_ends(connection, ends)
            if starts:
                _write_starts(connection, starts)

    def commit_at_last(self, end: End) -> None:
        """A commit has failed: try an outcome by itself, in the space that was kept for this."""
        self.give_up_reserve()
        self.commit((), [end])

    def end_batch(self, batch: int, now: Moment, halted_because: str) -> None:
        """The work on a batch ends, finished or not."""
        unfinished = (JobState.PENDING, JobState.SENDING, JobState.IN_DOUBT)
        with self.writing() as connection:
            left = connection.execute(
                select(jobs.c.row).where(jobs.c.batch == batch, jobs.c.state.in_(unfinished)).limit(1)
            ).first()
            connection.execute(
                update(batches)
                .where(batches.c.id == batch)
                .values(state="stopped" if left else "finished", ended_at=now.wall, halted_because=halted_because)
            )

    def remember_reports(self, batch: int, paths: Sequence[str]) -> None:
        """Where this run and those that resume it write the report; none asked for leaves what was asked before."""
        if paths:
            with self.writing() as connection:
                statement = update(batches).where(batches.c.id == batch)
                connection.execute(statement.values(reports=json.dumps(list(paths), ensure_ascii=False)))

    def retry_failed(self, batch: int) -> int:
        """Make the failed jobs pending again; returns how many."""
        move(JobState.FAILED, JobState.PENDING)
        statement = (
            update(jobs)
            .where(jobs.c.batch == batch, jobs.c.state == JobState.FAILED)
            .values(state=JobState.PENDING, finished_at=None)
        )
        with self.writing() as connection:
            failed = connection.execute(statement).rowcount
            # In the same breath, for `resume` to find the batch whatever happens next.
            connection.execute(update(batches).where(batches.c.id == batch).values(state="stopped"))
            return failed

    def pending(self, batch: int, after_row: int, limit: int) -> list[Job]:
        """The next jobs to send, in the sheet's order, behind a row."""
        statement = (
            select(jobs.c.row, jobs.c.device_id, jobs.c.attempts)
            .where(jobs.c.batch == batch, jobs.c.row > after_row, jobs.c.state == JobState.PENDING)
            .order_by(jobs.c.row)
            .limit(limit)
        )
        with self.reading() as connection:
            return [Job(*line) for line in connection.execute(statement)]

    def hold_reserve(self) -> None:
        """Set space aside for the outcomes of calls in flight; without space for it, the disk is full already."""
        try:
            with self._reserve.open("wb") as file:
                file.write(os.urandom(RESERVE))  # nothing that a file system could compress away
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise JournalError(
                f"The folder of the journal {self.path} has no space left ({error.strerror}); nothing was sent."
            ) from error

    def give_up_reserve(self) -> None:
        """Free the space again; where that fails, there was none to give."""
        with suppress(OSError):
            self._reserve.unlink(missing_ok=True)

    @property
    def _reserve(self) -> Path:
        return self.path.with_name(f"{self.path.name}.reserve")


def _scope_key(connection: Connection, name: str) -> int:
    known = connection.execute(select(scopes.c.id).where(scopes.c.name == name)).scalar()
    if known is not None:
        return int(known)
    tenant = tenant_of(name)
    key = connection.execute(select(tenants.c.id).where(tenants.c.name == tenant)).scalar()
    if key is None:
        key = _inserted_key(connection.execute(insert(tenants), {"name": tenant}))
    return _inserted_key(connection.execute(insert(scopes), {"name": name, "tenant": key}))


def tenant_of(scope: str) -> str:
    """The tenant in a scope's name, which is TENANT/APPLICATION."""
    return scope.rpartition("/")[0]


def _tenant(scope: int) -> ScalarSelect[Any]:
    return select(scopes.c.tenant).where(scopes.c.id == scope).scalar_subquery()


def _forget_broken_plans(connection: Connection, now: float) -> None:
    """Plans that a crash broke off; one that is a day old is not being made any more."""
    broken = select(batches.c.id).where(batches.c.state == "planning", batches.c.planned_at < now - 86_400)
    for batch in connection.execute(broken).scalars().all():
        _forget(connection, batch)


def _forget(connection: Connection, batch: int) -> None:
    for table, key in ((jobs, jobs.c.batch), (rows, rows.c.batch), (batches, batches.c.id)):
        connection.execute(delete(table).where(key == batch))


def _inserted_key(result: CursorResult[Any]) -> int:
    key = result.inserted_primary_key
    if key is None:
        raise JournalError("The journal gave no key for a new line; this is a mistake in the program.")
    return int(key[0])


def _batch_values(new: NewBatch, scope: int) -> dict[str, Any]:
    return {
        "name": new.batch_id,
        "scope": scope,
        "state": "planning",
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
    }


def _row_values(batch: int, row: PlannedRow) -> dict[str, Any]:
    return {
        "batch": batch,
        "row": row.row,
        "device_id": row.device_id,
        "device_name": row.device_name,
        "reason": row.reason,
        "detail": row.detail,
        "first_row": row.first_row,
        "cells": json.dumps(row.cells),
    }


def _amend(connection: Connection, batch: int, amendments: Sequence[Amendment]) -> None:
    """Take back decisions: the row is skipped after all, and its job has never been."""
    if amendments:
        changed = [{"at": each.row, "why": each.reason, "words": each.detail} for each in amendments]
        chosen = (rows.c.batch == batch, rows.c.row == bindparam("at"), rows.c.reason.is_(None))
        connection.execute(
            update(rows).where(*chosen).values(reason=bindparam("why"), detail=bindparam("words")), changed
        )
        connection.execute(delete(jobs).where(jobs.c.batch == batch, jobs.c.row == bindparam("at")), changed)


def _make_jobs(connection: Connection, batch: int, scope: int, first: int, last: int) -> None:
    """Every row of these without a reason to skip it becomes a job."""
    values = {
        jobs.c.batch: rows.c.batch,
        jobs.c.row: rows.c.row,
        jobs.c.tenant: _tenant(scope),
        jobs.c.device_id: rows.c.device_id,
        jobs.c.state: literal(JobState.PENDING.value),
        jobs.c.attempts: literal(0),
        jobs.c.action_id: literal(""),
        jobs.c.action_status: literal(""),
        jobs.c.error_code: literal(""),
        jobs.c.error_message: literal(""),
    }
    chosen = select(*values.values()).where(
        rows.c.batch == batch, rows.c.row.between(first, last), rows.c.reason.is_(None)
    )
    connection.execute(insert(jobs).from_select(list(values), chosen))


# Spelled out, for SQLite to see that the small index of open calls serves.
_OPEN = text("jobs.state IN ('sending', 'in_doubt')")


def _rescue(connection: Connection, scope: int, now: Moment) -> None:
    """Every call that an earlier process left open may have been accepted; its slot is held as if it ended now.

    Whichever application made it: only one process at a time has this journal.
    """
    move(JobState.SENDING, JobState.IN_DOUBT)
    message = "The program ended while the call was under way; the device may have been accepted."
    connection.execute(
        update(jobs)
        .where(jobs.c.tenant == _tenant(scope), jobs.c.state == JobState.SENDING, _OPEN)
        .values(state=JobState.IN_DOUBT, error_code="Interrupted", error_message=message)
    )
    connection.execute(
        update(calls)
        .where(
            calls.c.scope.in_(select(scopes.c.id).where(scopes.c.tenant == _tenant(scope))),
            calls.c.ended_at.is_(None),
        )
        .values(
            ended_at=now.wall,
            ended_ticks=now.ticks,
            boot=now.boot,
            verdict=Verdict.IN_DOUBT,
            code="Interrupted",
            message=message,
        )
    )


def _skip_known(connection: Connection, batch: int, now: Moment) -> None:
    """What another batch has sent since the plan was made is not sent again."""
    move(JobState.PENDING, JobState.SKIPPED)
    other = jobs.alias("other")
    elsewhere = select(other.c.row).where(
        other.c.tenant == jobs.c.tenant, other.c.device_id == jobs.c.device_id, other.c.batch != batch
    )
    accepted = elsewhere.where(
        other.c.state == JobState.SUBMITTED, other.c.action_status.not_in(ACTION_FAILED)
    ).exists()
    doubtful = elsewhere.where(other.c.state == JobState.IN_DOUBT).exists()
    for condition, reason, message in (
        (accepted, Reason.ALREADY_OFFBOARDED, "Another batch submitted the device after this plan was made."),
        (doubtful, Reason.ALREADY_PENDING, "The device is in doubt in another batch; settle that first."),
    ):
        connection.execute(
            update(jobs)
            .where(jobs.c.batch == batch, jobs.c.state == JobState.PENDING, condition)
            .values(state=JobState.SKIPPED, error_code=reason.value, error_message=message, finished_at=now.wall)
        )


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


def _write_starts(connection: Connection, starts: Sequence[Start]) -> None:
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


def _write_ends(connection: Connection, ends: Sequence[End]) -> None:
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
