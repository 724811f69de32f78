"""The usual batch of the tests: each says only what is special about its own."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from batch_offboard.core.batches import Batch
from batch_offboard.core.plan import Amendment, PlannedRow
from batch_offboard.core.rows import Source
from batch_offboard.journal.plans import NewBatch
from batch_offboard.journal.reading import find_batch
from batch_offboard.journal.store import Journal

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
    """A planned batch of these rows, as the journal has it; `facts` are those of `NewBatch` that are not the usual
    ones."""
    new = replace(_USUAL, **facts)
    journal.add_batch(new, rows, lambda: amendments)
    found = find_batch(journal, new.batch_id)
    assert found is not None
    return found
