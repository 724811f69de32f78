"""Journal and tenant queries of a nightly run: earlier runs, unfinished batches, batches of a sheet."""

from collections.abc import Callable, Sequence
from pathlib import Path

from batch_offboard.base.errors import BusyError, ExitCode
from batch_offboard.base.text import visible
from batch_offboard.calls.lookup import look_back
from batch_offboard.calls.tenancy import HURRIED, CannotReadError, ReadError, StrangeListError, Tenancy
from batch_offboard.commands.desk import Desk
from batch_offboard.commands.locking import working_alone
from batch_offboard.commands.views import exit_code
from batch_offboard.core.batches import Batch, Counts, tenant_of
from batch_offboard.core.nights import Night
from batch_offboard.journal import nights
from batch_offboard.journal.reading import (
    batches_of_content,
    count,
    skipped_jobs,
    unfinished_since,
    unsettled_since,
    was_called,
)
from batch_offboard.journal.settlements import status_counts

Say = Callable[[str], None]


def last_night(desk: Desk, inbox: str) -> Night | None:
    """The latest nightly run over the inbox of this name."""
    return nights.last_night(desk.journal, inbox)


def begin_night(desk: Desk, inbox: str, at: float) -> int:
    """Record that a nightly run begins at `at` (seconds since the epoch); returns its key."""
    return nights.begin_night(desk.journal, inbox, at)


def end_night(desk: Desk, key: int, code: ExitCode) -> None:
    """Record that the nightly run has ended now, with this exit code."""
    nights.end_night(desk.journal, key, desk.clock.now().wall, code)


def unfinished(desk: Desk, since: float) -> list[Batch]:
    """The configured tenant's unfinished batches that were started since a time (seconds since the epoch), oldest
    first."""
    return unfinished_since(desk.journal, desk.tenants.target().scope, since)


async def look_back_since(desk: Desk, since: float, say: Say) -> Sequence[Batch]:
    """Ask the tenant about batches started since a time that have rows in doubt or open actions; returns those with new
    results. If the tenant cannot be read now, the next run asks again."""
    batches = unsettled_since(desk.journal, desk.tenants.target().scope, since)
    if not batches:
        return ()
    with working_alone(desk, batches[0]):
        desk.journal.take_over(batches[0].scope_key, desk.clock.now())
        async with desk.tenants.at(desk.tenants.target(), say) as tenancy:
            return await _look_back(desk, tenancy, batches, say)


async def _look_back(desk: Desk, tenancy: Tenancy, batches: Sequence[Batch], say: Say) -> Sequence[Batch]:
    changed: list[Batch] = []
    try:
        for batch in batches:
            before = _standing(desk, batch)
            await look_back(tenancy, batch, patience=HURRIED, open_only=True)
            changed += [batch] if _standing(desk, batch) != before else []
    except CannotReadError as error:
        say(f"Earlier batches were not checked: {error}.")
    except (ReadError, StrangeListError, BusyError) as error:
        say(f"Earlier batches were not checked: {error}")
    return changed


def _standing(desk: Desk, batch: Batch) -> object:
    return count(desk.journal, batch.key), status_counts(desk.journal, batch.key)


def batches_of_sheet(desk: Desk, sha256: str) -> list[Batch]:
    """The tenant's batches whose sheet had exactly this content, newest first."""
    return batches_of_content(desk.journal, tenant_of(desk.tenants.target().scope), sha256)


def has_made_a_call(desk: Desk, batch: Batch) -> bool:
    """Whether any call was made for the batch, whatever its outcome."""
    return was_called(desk.journal, batch.key)


def counts_of(desk: Desk, batch: Batch) -> Counts:
    """How many of the batch's rows are in each state."""
    return count(desk.journal, batch.key)


def exit_code_of(desk: Desk, batch: Batch) -> ExitCode:
    """The exit code of a run that ended with the batch as it is now."""
    return exit_code(count(desk.journal, batch.key), skipped_jobs(desk.journal, batch.key), None)


def moved(desk: Desk, batch: Batch, sheet: Path) -> None:
    """Record the new path of the batch's sheet."""
    desk.journal.move_source(batch.key, visible(str(sheet)))


def reports_moved(desk: Desk, batch: Batch, reports: Sequence[Path]) -> None:
    """Record the new paths of the batch's reports."""
    desk.journal.remember_reports(batch.key, [str(path) for path in reports])
