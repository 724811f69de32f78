"""What is learned about calls after they were made: doubts settled, machine actions followed.

Every update names the state that it expects; finding another is not an error and changes nothing, since several
processes may ask the tenant and the first one to write wins.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, Update, and_, bindparam, case, func, insert, or_, select, update

from batch_offboard.base.clock import Moment, seconds_since
from batch_offboard.core.batches import BatchState
from batch_offboard.core.jobs import JobState, Verdict, move
from batch_offboard.core.settling import Doubt, Expected, Found
from batch_offboard.core.tenant import FINAL_STATUSES, ApiName, MachineAction
from batch_offboard.journal import trail
from batch_offboard.journal.schema import batches, calls, jobs, settlements
from batch_offboard.journal.store import Journal
from batch_offboard.reports.lives import Settlement

# How many accepted actions are looked for in a list to prove that it is current.
KNOWN_ACTIONS = 200

BY_LIST, BY_PERSON = "list", "person"


@dataclass(frozen=True, slots=True)
class OwnAction:
    """A machine action that this batch created and that is not final according to the journal."""

    row: int
    device_id: str
    action_id: str
    status: str
    submitted_at: float
    cancels: int


def doubts(journal: Journal, batch: int, now: Moment) -> list[Doubt]:
    """The jobs in doubt of one batch, each with its last call."""
    statement = (
        select(
            jobs.c.batch,
            batches.c.name,
            jobs.c.row,
            jobs.c.device_id,
            jobs.c.attempts,
            jobs.c.resent,
            calls.c.started_at,
            calls.c.ended_at,
            calls.c.ended_ticks,
            calls.c.boot,
            calls.c.verdict,
        )
        .join(batches, batches.c.id == jobs.c.batch)
        .join(
            calls,
            and_(
                calls.c.batch == jobs.c.batch,
                calls.c.row == jobs.c.row,
                calls.c.api == ApiName.OFFBOARD,
                calls.c.attempt == jobs.c.attempts,
            ),
        )
        .where(jobs.c.batch == batch, jobs.c.state == JobState.IN_DOUBT)
        .order_by(jobs.c.row)
    )
    with journal.reading() as connection:
        return [
            Doubt(
                batch=line.batch,
                batch_id=line.name,
                row=line.row,
                device_id=line.device_id,
                attempt=line.attempts,
                began=line.started_at,
                gone_by=_gone_by(line.ended_at, line.ended_ticks, line.boot, now),
                resent=line.resent,
                met_open=line.verdict == Verdict.ALREADY_OPEN,
            )
            for line in connection.execute(statement)
        ]


def known_actions(journal: Journal, scope: int) -> set[str]:
    """Actions that the API returned for our latest calls for this tenant and application."""
    statement = (
        select(jobs.c.action_id)
        .join(batches, batches.c.id == jobs.c.batch)
        .where(batches.c.scope == scope, jobs.c.own_action, jobs.c.action_id != "")
        .order_by(jobs.c.submitted_at.desc())
        .limit(KNOWN_ACTIONS)
    )
    with journal.reading() as connection:
        return set(connection.execute(statement).scalars())


def expected_of(journal: Journal, batch: int) -> dict[int, Expected]:
    """What the tenant's list should contain for every row that was called."""
    statement = select(
        jobs.c.row, jobs.c.device_id, jobs.c.action_id, jobs.c.own_action, jobs.c.submitted_at, jobs.c.state
    ).where(jobs.c.batch == batch, jobs.c.attempts > 0)
    with journal.reading() as connection:
        return {
            line.row: Expected(
                line.row,
                line.device_id,
                line.action_id if line.own_action or line.state == JobState.SUBMITTED else "",
                line.submitted_at if line.own_action else None,
            )
            for line in connection.execute(statement)
        }


def own_open_actions(journal: Journal, batch: int) -> list[OwnAction]:
    """The batch's own actions that are not final according to the journal, in the sheet's order."""
    statement = (
        select(
            jobs.c.row, jobs.c.device_id, jobs.c.action_id, jobs.c.action_status, jobs.c.submitted_at, jobs.c.cancels
        )
        .where(jobs.c.batch == batch, jobs.c.state == JobState.SUBMITTED, jobs.c.own_action, _NOT_FINAL)
        .order_by(jobs.c.row)
    )
    with journal.reading() as connection:
        return [OwnAction(*line) for line in connection.execute(statement)]


def open_actions(journal: Journal, batch: int) -> dict[str, float]:
    """Every action of the batch, its own or not, that is not final, with the time when it was accepted."""
    statement = select(jobs.c.action_id, jobs.c.submitted_at).where(
        jobs.c.batch == batch, jobs.c.state == JobState.SUBMITTED, jobs.c.action_id != "", _NOT_FINAL
    )
    with journal.reading() as connection:
        return {line.action_id: line.submitted_at for line in connection.execute(statement)}


def open_count(journal: Journal, batch: int) -> int:
    """The number of `open_actions`."""
    statement = select(func.count()).where(
        jobs.c.batch == batch, jobs.c.state == JobState.SUBMITTED, jobs.c.action_id != "", _NOT_FINAL
    )
    with journal.reading() as connection:
        return int(connection.execute(statement).scalar_one())


def cancelled_rows(journal: Journal, batch: int) -> set[int]:
    """The rows whose machine action was cancelled on our request."""
    statement = select(jobs.c.row).where(jobs.c.batch == batch, jobs.c.state == JobState.CANCELLED)
    with journal.reading() as connection:
        return set(connection.execute(statement).scalars())


def status_counts(journal: Journal, batch: int) -> dict[str, int]:
    """The number of submitted and cancelled devices by the status of their action, in the API's own words."""
    statement = (
        select(jobs.c.action_status, func.count())
        .where(jobs.c.batch == batch, jobs.c.state.in_([JobState.SUBMITTED, JobState.CANCELLED]))
        .group_by(jobs.c.action_status)
    )
    with journal.reading() as connection:
        return {status or "unknown": number for status, number in connection.execute(statement)}


def settlements_of(connection: Connection, batch: int, row: int) -> Iterator[Settlement]:
    statement = (
        select(
            settlements.c.attempt,
            settlements.c.at,
            settlements.c.settled,
            settlements.c.who,
            settlements.c.accepted,
            settlements.c.action_id,
            settlements.c.note,
        )
        .where(settlements.c.batch == batch, settlements.c.row == row)
        .order_by(settlements.c.id)
    )
    return (Settlement(*line) for line in connection.execute(statement))


_NOT_FINAL = func.lower(jobs.c.action_status).not_in(sorted(FINAL_STATUSES))

_IN_DOUBT = (jobs.c.batch == bindparam("b"), jobs.c.row == bindparam("r"), jobs.c.state == JobState.IN_DOUBT)

_ACCEPT = (
    update(jobs)
    .where(*_IN_DOUBT)
    .values(
        state=move(JobState.IN_DOUBT, JobState.SUBMITTED),
        action_id=bindparam("action"),
        action_status=bindparam("status"),
        action_at=bindparam("changed"),
        own_action=bindparam("own"),
        submitted_at=bindparam("since"),
        finished_at=bindparam("at"),
        settled=bindparam("by"),
        error_code="",
        error_message=bindparam("words"),
    )
)

_SEND_AGAIN = (
    update(jobs)
    .where(*_IN_DOUBT)
    .values(
        state=move(JobState.IN_DOUBT, JobState.PENDING),
        resent=bindparam("once_more"),
        settled=bindparam("by"),
        error_code="",
        error_message="",
    )
)


def accept_found(journal: Journal, found: Iterable[Found], at: float) -> int:
    """Settle doubts by an action found in the tenant; returns how many were settled."""
    return _settle(journal, _ACCEPT, [_accepted_values(each, at) for each in found])


def send_again(journal: Journal, doubts: Iterable[Doubt], at: float) -> int:
    """Settle doubts as not accepted, by the tenant's list after the horizon: each may be sent again once."""
    note = "The tenant lists no action for this call, long after it was made."
    lines = [{**_line(doubt, at, BY_LIST), "note": note, "once_more": True} for doubt in doubts]
    return _settle(journal, _SEND_AGAIN, lines)


def settle_by_person(journal: Journal, doubt: Doubt, at: float, who: str, *, action_id: str | None, note: str) -> bool:
    """Settle one doubt on a person's word: accepted with this action (empty if unknown), or not accepted if it is None.
    Returns False if the row was no longer in doubt."""
    line = {**_line(doubt, at, BY_PERSON), "who": who, "note": note}
    if action_id is None:
        return bool(_settle(journal, _SEND_AGAIN, [{**line, "once_more": doubt.resent}]))
    words = f"Settled by {who}: accepted."
    more = {"accepted": True, "action": action_id, "status": "", "changed": None, "own": False}
    return bool(_settle(journal, _ACCEPT, [{**line, **more, "since": doubt.began, "words": words}]))


def finish_settled(journal: Journal, batch: int) -> None:
    """Finish a stopped batch once its doubts are settled and nothing else is left; one that a process works on is
    finished by that process."""
    unfinished = [JobState.PENDING, JobState.SENDING, JobState.IN_DOUBT]
    left = select(jobs.c.row).where(jobs.c.batch == batch, jobs.c.state.in_(unfinished)).exists()
    over = (batches.c.id == batch, batches.c.state.in_([BatchState.STOPPED, BatchState.HELD]), ~left)
    with journal.writing() as connection:
        connection.execute(update(batches).where(*over).values(state=BatchState.FINISHED, halted_because=""))


def _settle(journal: Journal, statement: Update, lines: Sequence[Mapping[str, Any]]) -> int:
    """Settle each doubt separately: one that was settled by another process meanwhile stays unchanged."""
    if not lines:
        return 0
    with journal.writing() as connection:
        settled = [line for line in lines if connection.execute(statement, line).rowcount]
        for line in settled:
            connection.execute(_KEEP, line)
        trail.append(connection, [trail.settled(line) for line in settled])
    return len(settled)


def _accepted_values(found: Found, at: float) -> dict[str, Any]:
    doubt, action = found.doubt, found.action
    whose = f" by {action.requestor}" if action.requestor else ""
    words = "" if found.ours else f"An offboard action of this device{whose} already existed; it counts for this row."
    return {
        **_line(doubt, at, BY_LIST),
        "accepted": True,
        "action": action.id,
        "note": words,
        "status": action.status,
        "changed": action.updated,
        "own": found.ours,
        "since": action.created if action.created is not None else doubt.began,
        "words": words,
    }


def _line(doubt: Doubt, at: float, by: str) -> dict[str, Any]:
    """The values common to all settlements; by themselves they mean that the call was not accepted."""
    return {
        "b": doubt.batch,
        "batch_id": doubt.batch_id,
        "r": doubt.row,
        "device": doubt.device_id,
        "number": doubt.attempt,
        "at": at,
        "by": by,
        "who": "",
        "accepted": False,
        "action": "",
        "note": "",
    }


_KEEP = insert(settlements).values(
    batch=bindparam("b"),
    row=bindparam("r"),
    attempt=bindparam("number"),
    at=bindparam("at"),
    settled=bindparam("by"),
    who=bindparam("who"),
    accepted=bindparam("accepted"),
    action_id=bindparam("action"),
    note=bindparam("note"),
)


# -- following the actions --

_FOLLOW = (
    update(jobs)
    .where(
        jobs.c.tenant == bindparam("of_tenant"),
        jobs.c.device_id == bindparam("device"),
        jobs.c.action_id == bindparam("action"),
        jobs.c.state == JobState.SUBMITTED,
        or_(jobs.c.action_status != bindparam("status"), jobs.c.action_at.is_(None)),
    )
    .values(
        # This settles an unclear answer to our own cancellation.
        state=case(
            (
                and_(jobs.c.cancels > 0, func.lower(bindparam("status")) == "cancelled"),
                move(JobState.SUBMITTED, JobState.CANCELLED),
            ),
            else_=jobs.c.state,
        ),
        action_status=bindparam("status"),
        action_at=bindparam("changed"),
        finished_at=func.coalesce(bindparam("ended"), jobs.c.finished_at),
        error_message=func.coalesce(bindparam("words"), jobs.c.error_message),
    )
)


def note_actions(journal: Journal, tenant: int, actions: Sequence[MachineAction], at: float) -> int:
    """Store the statuses of the tenant's actions that its batches wait for; returns how many have changed. `at`:
    seconds since the epoch."""
    with journal.writing() as connection:
        waiting: Select[Any] = (
            select(jobs.c.action_id, jobs.c.device_id, jobs.c.row, jobs.c.cancels, batches.c.name)
            .join(batches, batches.c.id == jobs.c.batch)
            .where(jobs.c.tenant == tenant, jobs.c.state == JobState.SUBMITTED, jobs.c.action_id != "", _NOT_FINAL)
        )
        job_of = {line.action_id: line for line in connection.execute(waiting)}
        known = [(job_of[action.id], action) for action in actions if action.id in job_of and action.status]
        if not known:
            return 0
        lines = [_status_values(tenant, job.device_id, action) for job, action in known]
        changed = connection.execute(_FOLLOW, lines).rowcount
        taken_back = (job for job, action in known if job.cancels and action.status.lower() == "cancelled")
        trail.append(connection, [trail.cancelled(job, at) for job in taken_back])
        return changed


def _status_values(tenant: int, device_id: str, action: MachineAction) -> dict[str, object]:
    return {
        "of_tenant": tenant,
        "device": device_id,
        "action": action.id,
        "status": action.status,
        "changed": action.updated,
        "ended": action.updated if action.is_final else None,
        "words": f"The device reports {action.error}." if action.error and action.is_unsuccessful else None,
    }


def _gone_by(ended_at: float | None, ticks: float | None, boot: str, now: Moment) -> float:
    if ended_at is None or ticks is None:
        return 0.0
    return seconds_since(Moment(ended_at, ticks, boot), now)
