"""Writes to the journal: plans, transitions of jobs, and calls.

Each method is one transaction; when it returns, its writes survive a power cut. Every update names the state that it
expects; finding another is an error that changes nothing.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, and_, bindparam, func, insert, select, tuple_, update

from batch_offboard.base.clock import Moment
from batch_offboard.base.errors import JournalError
from batch_offboard.core.actor import NOBODY, Actor
from batch_offboard.core.audit import Event, Kind
from batch_offboard.core.batches import BatchState, states_before
from batch_offboard.core.consent import Demand
from batch_offboard.core.jobs import Job, JobState, Verdict, move
from batch_offboard.core.plan import Amendment, Decision, PlannedRow, Reason
from batch_offboard.core.tenant import UNSUCCESSFUL, ApiName
from batch_offboard.journal import leases, trail
from batch_offboard.journal.approvals import plan_sha256, require
from batch_offboard.journal.attempts import End, ReadEnd, Start, begin_read, end_read, write_ends, write_starts
from batch_offboard.journal.database import Database
from batch_offboard.journal.holding import JournalHeldError
from batch_offboard.journal.leases import Lease
from batch_offboard.journal.plans import (
    NewBatch,
    amend,
    batch_values,
    forget,
    forget_broken_plans,
    inserted_key,
    make_jobs,
    old_plans,
    row_values,
    scope_key,
)
from batch_offboard.journal.schema import batches, calls, jobs, rows, scopes
from batch_offboard.journal.sqlite import SQLite

ROWS_AT_A_TIME = 5000

INTERRUPTED = "Interrupted"


class Journal:
    """One journal file. Thread-safe, with one transaction at a time. `actor` is named in every audit record that it
    writes."""

    def __init__(self, path: Path, *, create: bool = False, actor: Actor = NOBODY) -> None:
        self.path = path
        self.actor = actor
        self.database: Database = SQLite(path, create=create)
        self._lease: Lease | None = None
        self._renewed_at = 0.0
        self._holder = f"{actor.machine}/{uuid4().hex}"

    def close(self) -> None:
        self.database.close()

    @contextmanager
    def writing(self, at: float | None = None) -> Iterator[Connection]:
        """A transaction that is durable when the block ends, or rolled back. Its first statement checks and renews this
        journal's lease, if it has one. Raises FencedError if another process has taken it. `at`: seconds since the
        epoch, if the caller knows the time."""
        with self.database.writing(self.actor) as connection:
            if self._lease is not None:
                self._renewed_at = max(self._renewed_at, at or 0.0)
                leases.renew(connection, self._lease, self._renewed_at)
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self.database.reading() as connection:
            yield connection

    def take_over(self, scope: int, now: Moment) -> None:
        """Take the lease of a scope, and put calls that earlier holders left open in doubt. The caller holds the
        scope's lock. Raises BusyError if another process holds the lease."""
        with self._taking_over(scope, now):
            pass

    @contextmanager
    def _taking_over(self, scope: int, now: Moment) -> Iterator[Connection]:
        """A transaction that takes the lease: if it is rolled back, the lease was not taken."""
        self._lease = None
        with self.database.writing(self.actor) as connection:
            dead = self.database.frees_locks_of_the_dead
            lease = leases.take(connection, scope, self._holder, now.wall, last_is_dead=dead)
            _abandon(connection, scope, now, lease.epoch - 1)
            yield connection
        self._lease, self._renewed_at = lease, now.wall

    def abandon(self, now: Moment) -> None:
        """Put the calls in doubt that this process leaves open."""
        if self._lease is not None:
            with self.writing(now.wall) as connection:
                _abandon(connection, self._lease.scope, now, self._lease.epoch)

    @property
    def has_lease(self) -> bool:
        """Whether a lease was taken and not released; it may still have been lost."""
        return self._lease is not None

    def give_back(self) -> None:
        """Release the lease, if this journal has one. If that cannot be written, others can take it once it has
        expired."""
        lease, self._lease = self._lease, None
        if lease is not None:
            with suppress(JournalError), self.writing() as connection:
                leases.free(connection, lease)

    def record(self, kind: Kind, at: float, content: Mapping[str, Any]) -> None:
        """Write an audit record that goes with no other change, such as a decision of the guards. `at`: seconds since
        the epoch."""
        with self.writing(at) as connection:
            trail.append(connection, [Event(kind, at, content)])

    def add_batch(
        self,
        new: NewBatch,
        planned: Iterable[PlannedRow],
        amendments: Callable[[], Iterable[Amendment]],
        findings: Callable[[], Mapping[str, Any]] = dict,
    ) -> int:
        """Save a whole plan or nothing; returns the batch's key. `amendments` and `findings` (of the look-up, as JSON)
        are called after the last row.

        A large sheet takes minutes to read, and a concurrent run must be able to write its outcomes: so the rows are
        written in short transactions, and only the last one makes the batch visible.
        """
        with self.writing() as connection:
            forget_broken_plans(connection, new.planned_at)
            for key, name in old_plans(connection, new.planned_at):
                self._forget(connection, key, name, new.planned_at)
            scope = scope_key(connection, new.scope)
            batch = inserted_key(connection.execute(insert(batches), batch_values(new, scope)))
        lines = (row_values(batch, row) for row in planned)
        try:
            while chunk := list(islice(lines, ROWS_AT_A_TIME)):
                with self.writing() as connection:
                    connection.execute(insert(rows), chunk)
                    make_jobs(connection, batch, scope, chunk[0]["row"], chunk[-1]["row"])
            with self.writing() as connection:
                amend(connection, batch, list(amendments()))
                stored = json.dumps(dict(findings()), ensure_ascii=False)
                digest = plan_sha256(connection, batch, new.conditions)
                _move_batch(connection, batch, BatchState.PLANNED, {"findings": stored, "plan_sha256": digest})
                trail.append(connection, [trail.planned(connection, batch, new, digest)])
        except BaseException:
            with self.writing() as connection:
                forget(connection, batch)
            raise
        return batch

    def forget_plan(self, batch: int, name: str, at: float) -> bool:
        """Delete a plan that was never run, and record that; returns False, with nothing changed, if it was started.
        The caller holds its lock."""
        with self.writing() as connection:
            plan = select(batches.c.id).where(batches.c.id == batch, batches.c.state == BatchState.PLANNED)
            if connection.execute(plan).first() is None:
                return False
            self._forget(connection, batch, name, at)
            return True

    def _forget(self, connection: Connection, batch: int, name: str, at: float) -> None:
        forget(connection, batch)
        trail.append(connection, [Event(Kind.FORGOTTEN, at, {"batch": name})])

    def prepare(
        self,
        batch: int,
        scope: int,
        now: Moment,
        command: str = "run",
        selection: str = "",
        demand: Demand | None = None,
    ) -> None:
        """Prepare a batch for a run: settle what an earlier process left open, and skip what other batches sent.
        `command` is the one that starts the run, `selection` how the rows were chosen if not all are sent, `demand`
        which approvals it needs. Raises GuardError if they are missing, and JournalError if the journal is damaged.
        """
        self.database.refuse_if_damaged()
        with self._taking_over(scope, now) as connection:
            approved = require(connection, batch, demand, now.wall) if demand is not None else []
            _skip_known(connection, batch, now)
            first = func.coalesce(batches.c.started_at, now.wall)
            values = {"halted_because": "", "ended_at": None, "started_at": first}
            _move_batch(connection, batch, BatchState.RUNNING, values)
            started: dict[str, Any] = {"batch": trail.batch_name(connection, batch), "command": command}
            started |= {"selection": selection} if selection else {}
            started |= {"approved": [each.who for each in approved]} if approved else {}
            trail.append(connection, [Event(Kind.STARTED, now.wall, started)])

    def rescue_reads(self, scope: int, now: Moment) -> None:
        """End the reads that a dead process left open. The caller holds the lock for reading."""
        with self.writing() as connection:
            connection.execute(
                update(calls)
                .where(calls.c.scope == scope, calls.c.api == ApiName.READ, calls.c.ended_at.is_(None))
                .values(_interrupted(now, "The program ended while the call was under way."))
            )

    def commit(self, starts: Sequence[Start], ends: Sequence[End]) -> None:
        """Write the intents and outcomes of many jobs in one transaction, once more if another program held a file at
        its end and it was taken back."""
        try:
            self._commit(starts, ends)
        except JournalHeldError as error:
            if not error.undone:
                raise
            self._commit(starts, ends)

    def _commit(self, starts: Sequence[Start], ends: Sequence[End]) -> None:
        with self.writing(max([*(start.at.wall for start in starts), *(end.at.wall for end in ends)])) as connection:
            if ends:
                write_ends(connection, ends)
            if starts:
                write_starts(connection, starts, self._lease)
            trail.append(connection, trail.called(connection, starts, ends))

    def begin_read(self, scope: int, at: Moment) -> int:
        """Write the intent of a read for this tenant and application; returns the call's key."""
        with self.writing() as connection:
            return begin_read(connection, scope, at)

    def end_read(self, end: ReadEnd) -> None:
        """Write the outcome of a read."""
        with self.writing() as connection:
            end_read(connection, end)

    def scope_key(self, name: str) -> int:
        """The key of a tenant and application, inserted if new."""
        with self.writing() as connection:
            return scope_key(connection, name)

    def tenant_of(self, scope: int) -> int:
        """The key of the tenant of this scope."""
        with self.reading() as connection:
            return int(connection.execute(select(scopes.c.tenant).where(scopes.c.id == scope)).scalar_one())

    def commit_at_last(self, end: End) -> None:
        """Retry one outcome alone after a failed commit, using the reserved space."""
        self.give_up_reserve()
        self.commit((), [end])

    def end_batch(self, batch: int, now: Moment, halted_because: str, *, held: bool = False) -> None:
        """End the work on a batch, finished or not. `held`: only a person may continue it."""
        unfinished = (JobState.PENDING, JobState.SENDING, JobState.IN_DOUBT)
        with self.writing(now.wall) as connection:
            left = connection.execute(
                select(jobs.c.row).where(jobs.c.batch == batch, jobs.c.state.in_(unfinished)).limit(1)
            ).first()
            state = BatchState.FINISHED if left is None else BatchState.HELD if held else BatchState.STOPPED
            _move_batch(connection, batch, state, {"ended_at": now.wall, "halted_because": halted_because})

    def hold(self, batch: int, because: str, at: float) -> None:
        """Hold a batch that was started and is not finished: only a person's `resume` may continue it."""
        with self.writing() as connection:
            begun = and_(batches.c.id == batch, batches.c.state.in_(states_before(BatchState.HELD)))
            ended = func.coalesce(batches.c.ended_at, at)
            values = {"state": BatchState.HELD, "halted_because": because, "ended_at": ended}
            connection.execute(update(batches).where(begun).values(values))

    def remember_reports(self, batch: int, paths: Sequence[str]) -> None:
        """Store where this run and those that resume it write the report; an empty list keeps the earlier paths."""
        if paths:
            with self.writing() as connection:
                statement = update(batches).where(batches.c.id == batch)
                connection.execute(statement.values(reports=json.dumps(list(paths), ensure_ascii=False)))

    def move_source(self, batch: int, path: str) -> None:
        """Store the new path of the batch's sheet, whose content is the same."""
        with self.writing() as connection:
            connection.execute(update(batches).where(batches.c.id == batch).values(source_path=path))

    def note_findings(self, batch: int, found: Mapping[str, Any], looked_up_at: float | None = None) -> None:
        """Store the findings of a look-up by name; earlier findings under other names stay."""
        with self.writing() as connection:
            before = connection.execute(select(batches.c.findings).where(batches.c.id == batch)).scalar_one()
            values: dict[str, Any] = {"findings": json.dumps(json.loads(before) | dict(found), ensure_ascii=False)}
            if looked_up_at is not None:
                values["looked_up_at"] = looked_up_at
            connection.execute(update(batches).where(batches.c.id == batch).values(values))

    def skip(self, batch: int, decisions: Sequence[tuple[int, Decision]], at: float) -> None:
        """Skip pending jobs that must not be sent because the tenant has changed since the plan was made."""
        state = move(JobState.PENDING, JobState.SKIPPED)
        statement = (
            update(jobs)
            .where(jobs.c.batch == batch, jobs.c.row == bindparam("r"), jobs.c.state == JobState.PENDING)
            .values(state=state, error_code=bindparam("why"), error_message=bindparam("words"), finished_at=at)
        )
        lines = [{"r": row, "why": each.reason.value, "words": each.detail} for row, each in decisions]
        if lines:
            with self.writing(at) as connection:
                events = trail.skipped(
                    connection, batch, {row: (each.reason, each.detail) for row, each in decisions}, at
                )
                connection.execute(statement, lines)
                trail.append(connection, events)

    def retry_failed(self, batch: int, at: float) -> frozenset[int]:
        """Make the failed jobs pending again; returns their rows."""
        move(JobState.FAILED, JobState.PENDING)
        which = select(jobs.c.row).where(jobs.c.batch == batch, jobs.c.state == JobState.FAILED)
        statement = (
            update(jobs)
            .where(jobs.c.batch == batch, jobs.c.state == JobState.FAILED)
            .values(state=JobState.PENDING, finished_at=None)
        )
        with self.writing() as connection:
            failed = frozenset(connection.execute(which).scalars())
            connection.execute(statement)
            # In this transaction, so that `resume` finds the batch whatever happens next.
            ended = {"ended_at": func.coalesce(batches.c.ended_at, at)}
            held = select(batches.c.id).where(batches.c.id == batch, batches.c.state == BatchState.HELD)
            if connection.execute(held).first() is None:
                _move_batch(connection, batch, BatchState.STOPPED, ended)
            retried = {"batch": trail.batch_name(connection, batch), "rows": len(failed)}
            trail.append(connection, [Event(Kind.RETRY, at, retried)])
            return failed

    def pending(self, batch: int, after_row: int, limit: int) -> list[Job]:
        """The next jobs to send after a row, in the sheet's order."""
        statement = (
            select(jobs.c.row, jobs.c.device_id, jobs.c.attempts)
            .where(jobs.c.batch == batch, jobs.c.row > after_row, jobs.c.state == JobState.PENDING)
            .order_by(jobs.c.row)
            .limit(limit)
        )
        with self.reading() as connection:
            return [Job(*line) for line in connection.execute(statement)]

    @contextmanager
    def reserve(self) -> Iterator[None]:
        """Reserve space for the outcomes of calls in flight during the block. Raises JournalError, leaving nothing
        behind, if the disk is already full."""
        try:
            self.database.hold_reserve()
            yield
        finally:
            self.give_up_reserve()

    def give_up_reserve(self) -> None:
        """Release the reserved space; never raises."""
        self.database.give_up_reserve()


def _move_batch(connection: Connection, batch: int, new: BatchState, values: Mapping[str, Any]) -> None:
    """Move a batch along BATCH_MOVES. Raises JournalError, with nothing changed, if its state does not permit that."""
    expected = (batches.c.id == batch, batches.c.state.in_(states_before(new)))
    if connection.execute(update(batches).where(*expected).values({**values, "state": new})).rowcount != 1:
        found = connection.execute(select(batches.c.state).where(batches.c.id == batch)).scalar() or "gone"
        raise JournalError(
            f"The journal has the batch as {found}, from which it cannot become {new}; did another program change it? "
            "Nothing more is sent; check with `batch-offboard audit verify`."
        )


def _abandon(connection: Connection, scope: int, now: Moment, epoch: int) -> None:
    """Put every call of a scope that was left open in this epoch or an earlier one in doubt; its slot is held as if it
    ended now."""
    move(JobState.SENDING, JobState.IN_DOUBT)
    message = "The program ended while the call was under way; the device may have been accepted."
    left_open = (
        calls.c.scope == scope,
        calls.c.epoch <= epoch,
        calls.c.api != ApiName.READ,
        calls.c.ended_at.is_(None),
    )
    # Jobs in `sending` are found by their open calls, which are few, not among all jobs of the tenant.
    open_jobs = select(calls.c.batch, calls.c.row).where(*left_open)
    connection.execute(
        update(jobs)
        .where(tuple_(jobs.c.batch, jobs.c.row).in_(open_jobs), jobs.c.state == JobState.SENDING)
        .values(state=JobState.IN_DOUBT, error_code=INTERRUPTED, error_message=message)
    )
    events = trail.interrupted(connection, left_open, now, INTERRUPTED)
    connection.execute(update(calls).where(*left_open).values(_interrupted(now, message)))
    trail.append(connection, events)


def _interrupted(now: Moment, message: str) -> dict[str, Any]:
    return {
        "ended_at": now.wall,
        "ended_ticks": now.ticks,
        "boot": now.boot,
        "verdict": Verdict.IN_DOUBT,
        "code": INTERRUPTED,
        "message": message,
    }


def _skip_known(connection: Connection, batch: int, now: Moment) -> None:
    """Skip devices that another batch has sent since the plan was made. The plan knew about earlier ones, and decided
    to send them again."""
    move(JobState.PENDING, JobState.SKIPPED)
    if not _has_others(connection, batch):
        return
    other = jobs.alias("other")
    last_known = select(batches.c.last_call_known).where(batches.c.id == batch).scalar_subquery()
    since = select(calls.c.id).where(
        calls.c.batch == other.c.batch,
        calls.c.row == other.c.row,
        calls.c.api == ApiName.OFFBOARD,
        calls.c.id > last_known,
    )
    accepted = and_(
        other.c.state == JobState.SUBMITTED, func.lower(other.c.action_status).not_in(UNSUCCESSFUL), since.exists()
    )
    for condition, reason, message in (
        (accepted, Reason.ALREADY_OFFBOARDED, "Another batch submitted the device after this plan was made."),
        (
            other.c.state.in_([JobState.IN_DOUBT, JobState.SENDING]),
            Reason.ALREADY_PENDING,
            "The device is in doubt in another batch; settle that first.",
        ),
    ):
        elsewhere = select(other.c.row).where(
            other.c.tenant == jobs.c.tenant, other.c.device_id == jobs.c.device_id, other.c.batch != batch, condition
        )
        chosen = select(jobs.c.row).where(jobs.c.batch == batch, jobs.c.state == JobState.PENDING, elsewhere.exists())
        known = connection.execute(chosen).scalars().all()
        events = trail.skipped(connection, batch, dict.fromkeys(known, (reason, message)), now.wall)
        skipped = {"state": JobState.SKIPPED, "error_code": reason.value, "error_message": message}
        if known:
            connection.execute(
                update(jobs)
                .where(jobs.c.batch == batch, jobs.c.row == bindparam("known"), jobs.c.state == JobState.PENDING)
                .values(finished_at=now.wall, **skipped),
                [{"known": row} for row in known],
            )
        trail.append(connection, events)


def _has_others(connection: Connection, batch: int) -> bool:
    """Whether the journal has jobs of any other batch."""
    # One subquery for each end: only then does SQLite use the ends of the index instead of a scan.
    first, last = (select(end(jobs.c.batch)).scalar_subquery() for end in (func.min, func.max))
    ends = select(first, last)
    return set(connection.execute(ends).one()) - {batch, None} != set()
