"""Reads from the journal: batches, their counts, cautions, the call history of a quota, what is known about devices."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, not_, or_, select

from batch_offboard.base.clock import Moment, iso_utc
from batch_offboard.core.batches import UNFINISHED, Batch, BatchState, Counts, Example
from batch_offboard.core.facts import Caution, CautionCount, DeviceFacts, count_cautions
from batch_offboard.core.jobs import NEXT_STATE, JobState, Verdict
from batch_offboard.core.plan import Known, Reason
from batch_offboard.core.slots import CallHistory
from batch_offboard.core.tenant import FINAL_STATUSES, UNSUCCESSFUL, ApiName, comment_with_token, correlation_token
from batch_offboard.journal.schema import batches, calls, jobs, rows, scopes, tenants, throttles
from batch_offboard.journal.store import ROWS_AT_A_TIME, Journal

# More 429 answers than this within a day make no difference: the pace reaches its minimum long before.
THROTTLES_READ = 50

# A plan is valid for this long; after that, or when its sheet has changed, it is made again.
PLAN_LIFE = 24 * 3600.0  # seconds

# Calls are numbered by their start but count from their end: at most this many may be out of order.
CALLS_IN_FLIGHT = 64


_BATCH = (
    select(batches, scopes.c.name.label("scope_name"))
    .join(scopes, scopes.c.id == batches.c.scope)
    .where(batches.c.state != BatchState.PLANNING)
)


_HAS_OPEN_ACTION = and_(
    jobs.c.state == JobState.SUBMITTED,
    jobs.c.action_id != "",
    func.lower(jobs.c.action_status).not_in(sorted(FINAL_STATUSES)),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which batches to list: in these states, of tenants whose name contains this part, at most this many."""

    states: frozenset[BatchState] = frozenset()
    tenant: str = ""
    limit: int | None = None

    def clause(self) -> ColumnElement[bool]:
        named = scopes.c.name.contains(self.tenant, autoescape=True)
        return and_(named, batches.c.state.in_(self.states)) if self.states else named


def list_batches(journal: Journal, wanted: Wanted = Wanted(), now: float | None = None) -> list[Batch]:
    """The wanted batches, newest first; all by default. With `now` (seconds since the epoch), outdated plans are left
    out."""
    statement = _BATCH.where(wanted.clause()).order_by(batches.c.id.desc()).limit(wanted.limit)
    if now is not None:
        statement = statement.where(not_(_put_away(now)))
    with journal.reading() as connection:
        return [_batch(line) for line in connection.execute(statement)]


def count_put_away(journal: Journal, wanted: Wanted, now: float) -> int:
    """How many of the wanted plans are outdated."""
    statement = select(func.count()).select_from(batches).join(scopes, scopes.c.id == batches.c.scope)
    with journal.reading() as connection:
        return int(connection.execute(statement.where(wanted.clause(), _put_away(now))).scalar_one())


def _put_away(now: float) -> ColumnElement[bool]:
    """Plans that were never run and are expired or followed by another batch of the same sheet. Each rehearsal has its
    own tenant, so rehearsals are compared across tenants."""
    newer = batches.alias("newer")
    followed = (
        select(newer.c.id)
        .where(
            newer.c.id > batches.c.id,
            newer.c.state != BatchState.PLANNING,
            newer.c.source_sha256 == batches.c.source_sha256,
            newer.c.simulated == batches.c.simulated,
            or_(newer.c.scope == batches.c.scope, batches.c.simulated),
        )
        .exists()
    )
    return and_(batches.c.state == BatchState.PLANNED, or_(batches.c.planned_at < now - PLAN_LIFE, followed))


def find_batch(journal: Journal, name: str) -> Batch | None:
    """The batch with exactly this ID."""
    with journal.reading() as connection:
        line = connection.execute(_BATCH.where(batches.c.name == name)).first()
    return None if line is None else _batch(line)


def batches_named(journal: Journal, part: str, limit: int) -> list[Batch]:
    """The batch with exactly this ID, or else the newest batches whose ID contains this part, at most `limit`."""
    exact = find_batch(journal, part)
    if exact is not None or not part:
        return [exact] if exact is not None else []
    statement = _BATCH.where(batches.c.name.contains(part, autoescape=True)).order_by(batches.c.id.desc())
    with journal.reading() as connection:
        return [_batch(line) for line in connection.execute(statement.limit(limit))]


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose batches are meant: those of one tenant and application, or all rehearsals or all real ones."""

    simulated: bool = False
    scope: str | None = None

    @property
    def words(self) -> str:
        return self.scope or ("any rehearsal" if self.simulated else "any tenant")

    def clause(self) -> ColumnElement[bool]:
        own = batches.c.simulated == self.simulated
        return own if self.scope is None else and_(own, scopes.c.name == self.scope)


def newest(journal: Journal, owner: Owner, *, begun: bool = False) -> Batch | None:
    """The owner's newest batch; with `begun`, the newest that was run."""
    return _newest(journal, owner.clause(), *([batches.c.state != BatchState.PLANNED] if begun else []))


def newest_unfinished(journal: Journal, owner: Owner) -> Batch | None:
    """The owner's newest batch that was started and is unfinished."""
    return _newest(journal, owner.clause(), batches.c.state.in_(UNFINISHED))


def newest_tracked(journal: Journal, owner: Owner) -> Batch | None:
    """The owner's newest batch with a machine action that is not final according to the journal."""
    has_open = select(jobs.c.row).where(jobs.c.batch == batches.c.id, _HAS_OPEN_ACTION).exists()
    return _newest(journal, owner.clause(), has_open)


def _newest(journal: Journal, *which: ColumnElement[bool]) -> Batch | None:
    with journal.reading() as connection:
        line = connection.execute(_BATCH.where(*which).order_by(batches.c.id.desc()).limit(1)).first()
    return None if line is None else _batch(line)


def rows_between(journal: Journal, batch: int, first: int, last: int) -> list[int]:
    """The numbers of the batch's rows from `first` to `last`, both included."""
    statement = select(rows.c.row).where(rows.c.batch == batch, rows.c.row.between(first, last)).order_by(rows.c.row)
    with journal.reading() as connection:
        return list(connection.execute(statement).scalars())


def unfinished_since(journal: Journal, scope: str, since: float) -> list[Batch]:
    """The unfinished batches of a tenant and application that were started since a time, oldest first."""
    statement = _BATCH.where(scopes.c.name == scope, batches.c.state.in_(UNFINISHED), batches.c.started_at >= since)
    with journal.reading() as connection:
        return [_batch(line) for line in connection.execute(statement.order_by(batches.c.started_at, batches.c.id))]


def unsettled_since(journal: Journal, scope: str, since: float) -> list[Batch]:
    """The batches of a tenant and application that were started since a time and that the tenant may have news of: rows
    that may have been sent, or machine actions that are not final."""
    unsettled = (
        select(jobs.c.row)
        .where(jobs.c.batch == batches.c.id)
        .where(or_(jobs.c.state.in_([JobState.SENDING, JobState.IN_DOUBT]), _HAS_OPEN_ACTION))
        .exists()
    )
    statement = _BATCH.where(scopes.c.name == scope, batches.c.started_at >= since, unsettled)
    with journal.reading() as connection:
        return [_batch(line) for line in connection.execute(statement.order_by(batches.c.started_at, batches.c.id))]


def batches_of_content(journal: Journal, tenant: str, sha256: str) -> list[Batch]:
    """The batches of a tenant whose sheet had exactly this content, newest first."""
    statement = _BATCH.join(tenants, tenants.c.id == scopes.c.tenant).where(
        tenants.c.name == tenant, batches.c.source_sha256 == sha256
    )
    with journal.reading() as connection:
        return [_batch(line) for line in connection.execute(statement.order_by(batches.c.id.desc()))]


def was_called(journal: Journal, batch: int) -> bool:
    """Whether any call was made for the batch, whatever its outcome."""
    called = select(jobs.c.row).where(jobs.c.batch == batch, jobs.c.attempts > 0).limit(1)
    with journal.reading() as connection:
        return connection.execute(called).first() is not None


def latest_time(journal: Journal) -> float:
    """The latest time in the journal, in seconds since the epoch; 0 if it is empty."""
    times = (
        batches.c.planned_at,
        batches.c.started_at,
        batches.c.ended_at,
        calls.c.started_at,
        calls.c.ended_at,
    )
    with journal.reading() as connection:
        return max(connection.execute(select(func.max(time))).scalar() or 0.0 for time in times)


def count(journal: Journal, batch: int) -> Counts:
    """Count the rows of a batch by state."""
    by_state = select(jobs.c.state, func.count()).where(jobs.c.batch == batch).group_by(jobs.c.state)
    by_reason = (
        select(rows.c.reason, func.count())
        .where(rows.c.batch == batch, rows.c.reason.is_not(None))
        .group_by(rows.c.reason)
    )
    with journal.reading() as connection:
        return Counts(
            {JobState(state): number for state, number in connection.execute(by_state)},
            {Reason(reason): number for reason, number in connection.execute(by_reason)},
        )


def skipped_jobs(journal: Journal, batch: int) -> Mapping[Reason, int]:
    """Skipped jobs by reason."""
    statement = (
        select(jobs.c.error_code, func.count())
        .where(jobs.c.batch == batch, jobs.c.state == JobState.SKIPPED)
        .group_by(jobs.c.error_code)
    )
    with journal.reading() as connection:
        return {Reason(code): number for code, number in connection.execute(statement)}


@dataclass(frozen=True, slots=True)
class Memory:
    """What the journal knows about a tenant's devices, by device ID. `last_call` is the last call at that time."""

    devices: Mapping[str, Known]
    last_call: int


def known_devices(journal: Journal, tenant: str) -> Memory:
    """The devices that other batches have sent or are sending, each with the last such batch."""
    statement = (
        select(
            jobs.c.device_id,
            jobs.c.state,
            jobs.c.row,
            jobs.c.action_id,
            jobs.c.action_status,
            jobs.c.action_at,
            jobs.c.submitted_at,
            batches.c.name,
        )
        .join(batches, batches.c.id == jobs.c.batch)
        .join(tenants, tenants.c.id == jobs.c.tenant)
        .where(
            tenants.c.name == tenant,
            or_(
                jobs.c.state.in_([JobState.SENDING, JobState.IN_DOUBT]),
                and_(jobs.c.state == JobState.SUBMITTED, func.lower(jobs.c.action_status).not_in(UNSUCCESSFUL)),
            ),
        )
        # The last line of a device counts: unsettled ones sort last, before them the latest accepted.
        .order_by(jobs.c.state != JobState.SUBMITTED, jobs.c.submitted_at, jobs.c.batch)
    )
    with journal.reading() as connection:
        devices = {
            line.device_id: Known(
                Reason.ALREADY_OFFBOARDED if line.state == JobState.SUBMITTED else Reason.ALREADY_PENDING,
                line.name,
                line.row,
                line.action_id,
                accepted_at=line.submitted_at,
                ended_at=line.action_at if line.action_status.lower() in FINAL_STATUSES else None,
            )
            for line in connection.execute(statement)
        }
        return Memory(devices, connection.execute(select(func.max(calls.c.id))).scalar() or 0)


def examples(journal: Journal, batch: int, reason: Reason | None, limit: int) -> list[Example]:
    """The first rows that were skipped for a reason, or, for None, those to offboard that have a note."""
    statement = (
        select(rows.c.row, rows.c.device_id, rows.c.device_name, rows.c.detail)
        .where(rows.c.batch == batch, rows.c.reason == reason, rows.c.detail != "")
        .order_by(rows.c.row)
        .limit(limit)
    )
    with journal.reading() as connection:
        return [Example(*line) for line in connection.execute(statement)]


def cautions(
    journal: Journal, batch: int, states: Collection[JobState] = tuple(JobState), among: Collection[int] | None = None
) -> Mapping[Caution, CautionCount]:
    """The cautions of the batch's devices in these states, or of those in the rows `among`."""
    statement = (
        select(jobs.c.row, rows.c.facts)
        .join(rows, and_(rows.c.batch == jobs.c.batch, rows.c.row == jobs.c.row))
        .where(jobs.c.batch == batch, jobs.c.state.in_(list(states)), rows.c.facts.not_like("%[]]"))
        .order_by(jobs.c.row)
    )
    with journal.reading() as connection:
        found = connection.execution_options(yield_per=ROWS_AT_A_TIME).execute(statement)
        return count_cautions(
            (row, facts.cautions)
            for row, text in found
            if (among is None or row in among) and (facts := facts_of(text)) is not None
        )


def facts_of(text: str | None) -> DeviceFacts | None:
    """What a row stores of the look-up."""
    return None if text is None else DeviceFacts.from_json(json.loads(text))


def devices_of(journal: Journal, batch: int) -> list[tuple[str, str]]:
    """The ID and name of every device of the batch, in the sheet's order."""
    statement = (
        select(jobs.c.device_id, rows.c.device_name)
        .join(rows, and_(rows.c.batch == jobs.c.batch, rows.c.row == jobs.c.row))
        .where(jobs.c.batch == batch)
        .order_by(jobs.c.row)
    )
    with journal.reading() as connection:
        return [(device, name) for device, name in connection.execute(statement)]


def accepted_actions(journal: Journal, scope: int) -> list[dict[str, Any]]:
    """The machine actions that our calls for a tenant and application created, as the API would return them."""
    statement = (
        select(jobs.c.action_id, jobs.c.device_id, jobs.c.row, jobs.c.attempts, jobs.c.submitted_at)
        .add_columns(jobs.c.state, jobs.c.finished_at, batches.c.name, batches.c.comment)
        .join(batches, batches.c.id == jobs.c.batch)
        .where(batches.c.scope == scope, jobs.c.own_action, jobs.c.action_id != "")
        .order_by(jobs.c.submitted_at)
    )
    with journal.reading() as connection:
        return [
            {
                "id": line.action_id,
                "machineId": line.device_id,
                "creationDateTimeUtc": iso_utc(line.submitted_at),
                "requestorComment": comment_with_token(
                    line.comment, correlation_token(line.name, line.row, line.attempts)
                ),
                "cancellationDateTimeUtc": iso_utc(line.finished_at) if line.state == JobState.CANCELLED else None,
            }
            for line in connection.execute(statement)
        ]


def sent_since(journal: Journal, tenant: str, since: float) -> int:
    """How many devices of a tenant were sent since a time, whether certainly accepted or not."""
    statement = (
        select(func.count(func.distinct(jobs.c.device_id)))
        .join(tenants, tenants.c.id == jobs.c.tenant)
        .join(calls, and_(calls.c.batch == jobs.c.batch, calls.c.row == jobs.c.row))
        .where(
            tenants.c.name == tenant,
            calls.c.api == ApiName.OFFBOARD,
            calls.c.started_at >= since,
            jobs.c.state.in_([JobState.SENDING, JobState.SUBMITTED, JobState.IN_DOUBT, JobState.CANCELLED]),
        )
    )
    with journal.reading() as connection:
        return int(connection.execute(statement).scalar_one())


def first_calls(journal: Journal, batch: int, enough: int) -> list[JobState]:
    """The results of the batch's calls in order: `submitted`, `failed`, or `in_doubt` if not settled; ends once
    `enough` in a row were accepted. Calls that were repeated for a reason unrelated to the device, and calls settled as
    not accepted, are left out."""
    statement = (
        select(calls.c.verdict, calls.c.attempt, jobs.c.attempts, jobs.c.state)
        .join(jobs, and_(jobs.c.batch == calls.c.batch, jobs.c.row == calls.c.row))
        .where(
            calls.c.batch == batch,
            calls.c.api == ApiName.OFFBOARD,
            calls.c.verdict.in_([Verdict.SUBMITTED, Verdict.FAILED, Verdict.IN_DOUBT, Verdict.ALREADY_OPEN]),
        )
        .order_by(calls.c.id)
    )
    found: list[JobState] = []
    with journal.reading() as connection:
        for verdict, attempt, attempts, state in connection.execute(statement):
            came_to = _judged(Verdict(verdict), JobState(state) if attempt == attempts else None)
            found += [came_to] if came_to is not None else []
            if found[-enough:] == [JobState.SUBMITTED] * enough:
                break
    return found


def _judged(verdict: Verdict, state: JobState | None) -> JobState | None:
    """The outcome of one call; `state` is the job's if this was its last call."""
    if verdict is Verdict.ALREADY_OPEN:
        return JobState.SUBMITTED
    if verdict is not Verdict.IN_DOUBT:
        return NEXT_STATE[verdict]
    if state is JobState.CANCELLED:
        return JobState.SUBMITTED
    return state if state in (JobState.SUBMITTED, JobState.IN_DOUBT) else None


def pending_devices(journal: Journal, batch: int) -> list[tuple[int, str, str]]:
    """The row, device ID and name of every pending job."""
    statement = (
        select(jobs.c.row, jobs.c.device_id, rows.c.device_name)
        .join(rows, and_(rows.c.batch == jobs.c.batch, rows.c.row == jobs.c.row))
        .where(jobs.c.batch == batch, jobs.c.state == JobState.PENDING)
        .order_by(jobs.c.row)
    )
    with journal.reading() as connection:
        return [(row, device, name) for row, device, name in connection.execute(statement)]


def scopes_used(journal: Journal) -> list[str]:
    """The tenants and applications that calls were made for, latest first."""
    latest = func.max(calls.c.id).label("latest")
    statement = (
        select(scopes.c.name).join(calls, calls.c.scope == scopes.c.id).group_by(scopes.c.name).order_by(latest.desc())
    )
    with journal.reading() as connection:
        return list(connection.execute(statement).scalars())


def call_history(journal: Journal, scope: str, api: ApiName, limit: int, now: Moment) -> CallHistory:
    """At least the last `limit` calls of a quota and its last 429 answers. An open call counts as ending now."""
    with journal.reading() as connection:
        key = connection.execute(select(scopes.c.id).where(scopes.c.name == scope)).scalar()
        ends = connection.execute(
            select(calls.c.ended_at, calls.c.ended_ticks, calls.c.boot)
            .where(calls.c.scope == key, calls.c.api == api)
            .order_by(calls.c.id.desc())
            .limit(limit + CALLS_IN_FLIGHT)
        ).all()
        asked = connection.execute(
            select(throttles.c.at, throttles.c.ticks, throttles.c.boot, throttles.c.wait, throttles.c.slower)
            .where(throttles.c.scope == key, throttles.c.api == api)
            .order_by(throttles.c.id.desc())
            .limit(THROTTLES_READ)
        ).all()
    holds = [(Moment(at, ticks, boot), wait, slower) for at, ticks, boot, wait, slower in asked]
    return CallHistory(
        ended=[now if at is None else Moment(at, ticks, boot) for at, ticks, boot in ends],
        holds=[(at, wait) for at, wait, _ in holds],
        steps=[at for at, _, slower in holds if slower],
    )


def _batch(line: Row[Any]) -> Batch:
    return Batch(
        key=line.id,
        batch_id=line.name,
        scope_key=line.scope,
        scope=line.scope_name,
        state=BatchState(line.state),
        halted_because=line.halted_because,
        planned_at=line.planned_at,
        started_at=line.started_at,
        ended_at=line.ended_at,
        source_path=line.source_path,
        source_name=line.source_name,
        source_sha256=line.source_sha256,
        source_kind=line.source_kind,
        columns=tuple(json.loads(line.columns)),
        reading=json.loads(line.reading),
        reports=tuple(json.loads(line.reports)),
        api_url=line.api_url,
        comment=line.comment,
        simulated=line.simulated,
        tool_version=line.tool_version,
        lookup_wanted=line.lookup_wanted,
        looked_up_at=line.looked_up_at,
        findings=json.loads(line.findings),
        plan_sha256=line.plan_sha256,
    )
