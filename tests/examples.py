"""The usual batch, report head and report row of the tests: each test sets only what differs."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from batch_offboard.core.batches import Batch
from batch_offboard.core.plan import Amendment, PlannedRow
from batch_offboard.core.rows import Source
from batch_offboard.journal.plans import NewBatch
from batch_offboard.journal.reading import find_batch
from batch_offboard.journal.store import Journal
from batch_offboard.reports.rows import Outcome, ReportHead, ReportRow

PLANNED_AT = 1_795_500_000.0  # seconds since the epoch

_USUAL = NewBatch(
    batch_id="batch-1",
    scope="tenant/application",
    planned_at=PLANNED_AT,
    source=Source("/sheets/devices.csv", "devices.csv", "0" * 64, 10, "CSV"),
    columns=("Owner",),
    reading={},
    api_url="https://api.example",
    comment="CHG0042",
    simulated=False,
    tool_version="0",
)


def add_batch(
    journal: Journal, rows: Iterable[PlannedRow], amendments: Sequence[Amendment] = (), **facts: Any
) -> Batch:
    """A planned batch of these rows, as read from the journal; `facts` are the fields of `NewBatch` that differ from
    the usual."""
    new = replace(_USUAL, **facts)
    journal.add_batch(new, rows, lambda: amendments)
    found = find_batch(journal, new.batch_id)
    assert found is not None
    return found


REPORT_HEAD = ReportHead(
    batch_id="20261124-081531-7f3a",
    source_name="leavers.xlsx",
    source_sha256="ab" * 32,
    columns=("Owner",),
    tenant="contoso",
    api_url="https://api.security.microsoft.com",
    comment="CHG0042",
    simulated=False,
    planned_at=1795508131.0,
    written_at=1795511731.0,
    state="finished",
    tool_version="0.1.0",
)

SUBMITTED_ROW = ReportRow(
    row=2,
    device_id="a3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0",
    device_name="lt-0417",
    outcome=Outcome.SUBMITTED,
    machine_action_id="0b0f6f0e-52a1-4f0c-9a63-3a5d6a1c7e90",
    action_status="Pending",
    error_code="",
    error_message="",
    http_status=201,
    attempts=1,
    submitted_at=1795508131.0,
    finished_at=1795508132.0,
    cells=("Ann",),
)
