"""Read-only queries: one device's history, what is left of the quota, whether a process works on a batch."""

from batch_offboard.base.errors import UsageError
from batch_offboard.calls.gate import Gate
from batch_offboard.commands.desk import Desk
from batch_offboard.commands.views import BatchView, ListView, QuotaView
from batch_offboard.core.batches import Batch, BatchState
from batch_offboard.core.consent import Approval
from batch_offboard.core.devices import shown
from batch_offboard.core.quota import QuotaLimits
from batch_offboard.core.tenant import ApiName
from batch_offboard.journal.approving import given_approvals
from batch_offboard.journal.lives import life_of, rows_of_device
from batch_offboard.journal.locks import is_held
from batch_offboard.journal.reading import (
    Wanted,
    call_history,
    count,
    count_put_away,
    list_batches,
    scopes_used,
    skipped_jobs,
)
from batch_offboard.journal.settlements import open_count
from batch_offboard.reports.lives import Life


def gate_of(desk: Desk, scope: str, limits: QuotaLimits, api: ApiName = ApiName.OFFBOARD) -> Gate:
    """The quota as the journal has it, for display only."""
    now = desk.clock.now()
    return Gate(limits, desk.clock, call_history(desk.journal, scope, api, limits.hour.calls, now))


def is_at_work(desk: Desk, batch: Batch) -> bool:
    """Whether another process works on this batch now, by the note beside its lock."""
    lock = desk.journal.path.with_name(f"{desk.journal.path.name}.lock")
    return batch.state == "running" and is_held(lock, f"batch {batch.batch_id}")


def approvals_given(desk: Desk, batch: Batch) -> list[Approval]:
    """The approvals and denials of a batch in the order in which they were given, including those that no longer
    count."""
    return given_approvals(desk.journal, batch.key)


def lives_of(desk: Desk, batch: Batch, row_or_device: str) -> list[Life]:
    """The history of the row with this number, or of every row that names this device."""
    numbers = rows_of_device(desk.journal, batch.key, row_or_device)
    if not numbers and row_or_device.isascii() and row_or_device.isdigit():
        numbers = [int(row_or_device)] if len(row_or_device) < 9 else []
    lives = [life for number in numbers if (life := life_of(desk.journal, batch.key, number)) is not None]
    if not lives:
        raise UsageError(
            f"Batch {batch.batch_id} has no row and no device {shown(row_or_device)}; give a row number of the sheet, "
            "a device ID or a computer name."
        )
    return lives


def quotas(desk: Desk) -> list[QuotaView]:
    """Every quota that has calls in the journal; each rehearsal has its own, shown if used in the last hour."""
    views, limits = [], desk.tenants.limits()
    for scope in scopes_used(desk.journal):
        standing = gate_of(desk, scope, limits).standing()
        now = desk.clock.now()
        until = standing.waiting_until
        next_call = (
            now.wall if standing.waiting_for is None else None if until is None else now.wall + until - now.ticks
        )
        others = {api: gate_of(desk, scope, limits, api).standing() for api in (ApiName.READ, ApiName.CANCEL)}
        used = {api: other for api, other in others.items() if other.hour[0]}
        if used or standing.hour[0] or not desk.options.simulate:
            views.append(QuotaView(scope, standing, next_call, now.wall, used))
    return views


def listed(desk: Desk, states: frozenset[BatchState], tenant: str, limit: int | None) -> ListView:
    """The batches in these states (all if empty) of tenants and applications whose ID contains this part. Outdated
    plans are left out unless plans are requested."""
    wanted = Wanted(states, tenant, limit)
    now = None if BatchState.PLANNED in states else desk.clock.now().wall
    batches = [(batch, count(desk.journal, batch.key)) for batch in list_batches(desk.journal, wanted, now)]
    running = [batch for batch, _ in batches if batch.state is BatchState.RUNNING]
    interrupted = {batch.key for batch in running if not is_at_work(desk, batch)}
    return ListView(batches, interrupted, count_put_away(desk.journal, wanted, now) if now is not None else 0)


def look_at(desk: Desk, name: str) -> BatchView:
    """One batch as it is in the journal."""
    batch = desk.batch(name)
    return BatchView(
        batch,
        count(desk.journal, batch.key),
        skipped_jobs(desk.journal, batch.key),
        open_count(desk.journal, batch.key),
        approvals_given(desk, batch),
        is_at_work(desk, batch),
    )
