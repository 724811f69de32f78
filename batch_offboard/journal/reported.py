"""The report's rows, read from the journal: every row of a batch, with its job if it has one."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Row, Select, and_, func, select

from batch_offboard.core.audit import START, Anchor
from batch_offboard.core.batches import Batch
from batch_offboard.core.jobs import JobState
from batch_offboard.journal.reading import facts_of
from batch_offboard.journal.schema import jobs, rows
from batch_offboard.journal.store import ROWS_AT_A_TIME, Journal
from batch_offboard.reports.rows import Outcome, ReportHead, ReportRow


def report_head(batch: Batch, written_at: float, anchor: Anchor = START) -> ReportHead:
    """The report's facts about the batch; `anchor` is that of the audit record when the report is written."""
    return ReportHead(
        batch_id=batch.batch_id,
        source_name=batch.source_name,
        source_sha256=batch.source_sha256,
        columns=batch.columns,
        tenant=batch.scope,
        api_url=batch.api_url,
        comment=batch.comment,
        simulated=batch.simulated,
        planned_at=batch.planned_at,
        written_at=written_at,
        state=batch.state.word,
        tool_version=batch.tool_version,
        audit=str(anchor) if anchor.number else "",
        overrides=tuple(batch.findings.get("overrides", ())),
        started_at=batch.started_at,
        ended_at=batch.ended_at,
        part_sent=batch.is_part_sent,
        planned_by=batch.findings.get("planned_by", ""),
        approved_by=tuple(each["who"] for each in batch.findings.get("approved", ())),
        denied=tuple(batch.findings.get("denied", ())),
        run_by=tuple(dict.fromkeys(each["who"] for each in batch.findings.get("runs", ()) if "who" in each)),
    )


def report_rows(journal: Journal, batch: int) -> Iterator[ReportRow]:
    """Every row of the batch in the sheet's order.

    Read in chunks, each in its own transaction: the consumer may be slow, and a run cannot write during a read.
    """
    statement = report_statement(batch).limit(ROWS_AT_A_TIME)
    last = -1
    while True:
        with journal.reading() as connection:
            found = [report_row(line) for line in connection.execute(statement.where(rows.c.row > last))]
        yield from found
        if len(found) < ROWS_AT_A_TIME:
            return
        last = found[-1].row


def report_statement(batch: int) -> Select[Any]:
    """Rows joined with their jobs; a duplicate shows the machine action of the row that counts."""
    first = jobs.alias("first")
    return (
        select(
            rows.c.row,
            rows.c.device_id,
            rows.c.device_name,
            rows.c.reason,
            rows.c.detail,
            rows.c.first_row,
            rows.c.cells,
            rows.c.facts,
            jobs.c.state,
            func.coalesce(jobs.c.action_id, first.c.action_id, "").label("action_id"),
            func.coalesce(jobs.c.action_status, first.c.action_status, "").label("action_status"),
            jobs.c.error_code,
            jobs.c.error_message,
            jobs.c.http_status,
            func.coalesce(jobs.c.attempts, 0).label("attempts"),
            jobs.c.submitted_at,
            jobs.c.finished_at,
        )
        .outerjoin(jobs, and_(jobs.c.batch == rows.c.batch, jobs.c.row == rows.c.row))
        .outerjoin(first, and_(first.c.batch == rows.c.batch, first.c.row == rows.c.first_row))
        .where(rows.c.batch == batch)
        .order_by(rows.c.row)
    )


# In a report, a job that is being sent is in doubt.
_OUTCOMES: Mapping[JobState, Outcome] = {
    JobState.PENDING: Outcome.PENDING,
    JobState.SENDING: Outcome.IN_DOUBT,
    JobState.SUBMITTED: Outcome.SUBMITTED,
    JobState.FAILED: Outcome.FAILED,
    JobState.IN_DOUBT: Outcome.IN_DOUBT,
    JobState.SKIPPED: Outcome.SKIPPED,
    JobState.CANCELLED: Outcome.CANCELLED,
}


def report_row(line: Row[Any]) -> ReportRow:
    """One line of `report_statement` as the report shows it."""
    has_job = line.state is not None
    return ReportRow(
        row=line.row,
        device_id=line.device_id,
        device_name=line.device_name,
        outcome=_OUTCOMES[JobState(line.state)] if has_job else Outcome.SKIPPED,
        machine_action_id=line.action_id,
        action_status=line.action_status,
        error_code=line.error_code if has_job else line.reason,
        error_message=(line.error_message if has_job else "") or line.detail,
        http_status=line.http_status,
        attempts=line.attempts,
        submitted_at=line.submitted_at,
        finished_at=line.finished_at,
        cells=tuple(json.loads(line.cells)),
        facts=facts_of(line.facts),
    )
