"""The history of a batch as a whole, read from the journal for its reports."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import func, select

from batch_offboard.core.batches import Batch
from batch_offboard.core.facts import caution_words
from batch_offboard.core.jobs import Verdict
from batch_offboard.core.quota import QuotaLimits
from batch_offboard.core.settling import Difference, DifferenceKind
from batch_offboard.core.tenant import ApiName
from batch_offboard.journal.reading import CALLS_IN_FLIGHT, cautions
from batch_offboard.journal.schema import calls
from batch_offboard.journal.settlements import open_count, status_counts
from batch_offboard.journal.store import ROWS_AT_A_TIME, Journal
from batch_offboard.reports.history import Actions, History, LookUp, options_typed
from batch_offboard.reports.timeline import HOUR, Call, Chronicle, Start


def history_of(journal: Journal, batch: Batch) -> History:
    """Everything in the journal about the batch beyond its rows."""
    starts = [Start(each["at"], each["calls"], each["expected"]) for each in batch.findings.get("runs", ())]
    chronicle = Chronicle(starts)
    for call in _calls_around(journal, batch):
        chronicle.add(call)
    return History(
        source_kind=batch.source_kind,
        options=options_typed(batch.reading, lookup_wanted=batch.lookup_wanted),
        halted_because=batch.halted_because,
        lookup=_lookup(journal, batch),
        runs=chronicle.runs(),
        timeline=chronicle.timeline(),
        actions=_actions(journal, batch),
    )


def _lookup(journal: Journal, batch: Batch) -> LookUp:
    found = batch.findings
    tenant = found.get("tenant") or {}
    return LookUp(
        at=batch.looked_up_at,
        devices=tenant.get("devices"),
        onboarded=tenant.get("onboarded"),
        why_not=found.get("not_looked_up", ""),
        no_actions=found.get("actions_not_read", ""),
        cautions=tuple(
            f"{found.devices} {caution_words(caution, found.devices)}"
            for caution, found in cautions(journal, batch.key).items()
        ),
    )


def _actions(journal: Journal, batch: Batch) -> Actions:
    stored = batch.findings.get("differences")
    sentences = None if stored is None else tuple(_difference(each).sentence for each in stored)
    return Actions(
        statuses=status_counts(journal, batch.key),
        open=open_count(journal, batch.key),
        seen_at=batch.findings.get("actions_seen_at"),
        differences=sentences,
    )


def _difference(stored: Mapping[str, Any]) -> Difference:
    return Difference(DifferenceKind(stored["kind"]), stored["row"], stored["device_id"], tuple(stored["action_ids"]))


def _calls_around(journal: Journal, batch: Batch) -> Iterator[Call]:
    """The batch's calls, and other calls on the same quota during that time or in the hour before, in order.

    Read in chunks, each in its own transaction, like the report's rows.
    """
    quota = calls.c.scope == batch.scope_key, calls.c.api == ApiName.OFFBOARD
    own = select(func.min(calls.c.id), func.max(calls.c.id), func.min(calls.c.started_at))
    with journal.reading() as connection:
        first, last, began = connection.execute(own.where(*quota, calls.c.batch == batch.key)).one()
        if first is None:
            return
        before = select(calls.c.id).where(*quota, calls.c.id < first).order_by(calls.c.id.desc())
        earlier = connection.execute(before.limit(QuotaLimits().per_hour + CALLS_IN_FLIGHT)).scalars().all()
    statement = (
        select(calls.c.id, calls.c.started_at, calls.c.ended_at, calls.c.verdict, calls.c.batch)
        .where(*quota, calls.c.id <= last, calls.c.started_at > began - HOUR)
        .order_by(calls.c.id)
        .limit(ROWS_AT_A_TIME)
    )
    at = earlier[-1] - 1 if earlier else first - 1
    while True:
        with journal.reading() as connection:
            lines = connection.execute(statement.where(calls.c.id > at)).all()
        for line in lines:
            yield Call(line.started_at, line.ended_at, line.verdict == Verdict.THROTTLED, line.batch == batch.key)
        if len(lines) < ROWS_AT_A_TIME:
            return
        at = lines[-1].id
