"""Notifies people how a run ended: builds the notice from a command's result and sends it over the configured channels.

The caller shows the results; nothing here raises or changes the result of a run.
"""

import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from batch_offboard.base.clock import SystemClock
from batch_offboard.base.errors import BatchOffboardError, BusyError, ExitCode, UsageError
from batch_offboard.commands.cancelling import CancelView
from batch_offboard.commands.options import Options
from batch_offboard.commands.tracking import TrackView
from batch_offboard.commands.views import RunView
from batch_offboard.config import Config, load_config
from batch_offboard.config.loading import is_configured
from batch_offboard.core.batches import Counts
from batch_offboard.core.jobs import JobState
from batch_offboard.defender.target import connection_of
from batch_offboard.notices.notice import Happening, Notice

if TYPE_CHECKING:
    from batch_offboard.notices.delivery import Delivery


def notice_of_run(view: RunView | TrackView) -> Notice:
    """The notice of a run that began."""
    stopped = view.halt is not None and view.exit_code not in {ExitCode.OK, ExitCode.ROWS_FAILED}
    counts = outcomes(view.counts)
    said = ", ".join(f"{number} {outcome.replace('_', ' ')}" for outcome, number in counts.items() if number)
    reason = f" Stopped: {view.halt.reason}" if stopped and view.halt is not None else ""
    return Notice(
        happening=Happening.STOPPED if stopped else Happening.FINISHED,
        headline=f"Batch {view.batch.batch_id}: {said or 'no rows'}.{reason}",
        exit_code=view.exit_code,
        at=view.batch.ended_at or time.time(),
        machine=socket.gethostname(),
        started=view.batch.started_at,
        tenant=view.batch.scope,
        batches=(view.batch.batch_id,),
        counts=counts,
        reports=tuple(view.reports),
        next_command=_next_command(view),
        simulated=view.batch.simulated,
        sheets=(view.batch.source_name,),
    )


def has_sent(view: RunView | TrackView) -> bool:
    """Whether any call was made for the batch, accepted or not."""
    sent = (JobState.SENDING, JobState.SUBMITTED, JobState.FAILED, JobState.IN_DOUBT, JobState.CANCELLED)
    return view.counts.of(*sent) > 0


def notice_of_cancellation(view: CancelView) -> Notice:
    """The notice of a cancellation that began."""
    refused = f" {len(view.refused)} could not be cancelled." if view.refused else ""
    reason = f" Stopped: {view.halt.reason}" if view.halt is not None else ""
    actions = "machine action" if view.asked == 1 else "machine actions"
    return Notice(
        happening=Happening.STOPPED if view.halt is not None else Happening.FINISHED,
        headline=f"Batch {view.batch.batch_id}: {view.cancelled} of {view.asked} {actions} cancelled.{refused}{reason}",
        exit_code=view.exit_code,
        at=time.time(),
        machine=socket.gethostname(),
        tenant=view.batch.scope,
        batches=(view.batch.batch_id,),
        reports=tuple(view.reports),
        next_command=f"batch-offboard show {view.batch.batch_id}" if view.refused else "",
        simulated=view.batch.simulated,
        sheets=(view.batch.source_name,),
        deed="cancelled machine actions",
    )


def is_worth_telling(error: Exception, *, nightly: bool) -> bool:
    """Whether an error needs a notice: an unattended run was to send and did not. Typing errors, and a run that found
    another one at work, concern only the person at the terminal; a scheduler's command has no such person."""
    return not isinstance(error, BusyError) and (nightly or not isinstance(error, UsageError))


def notice_of_refusal(
    error: Exception, *, simulated: bool = False, tenant: str = "", sheet: str = "", next_command: str = ""
) -> Notice:
    """The notice of a run that ended before it had a report. `next_command` is what to type once the cause is fixed."""
    known = isinstance(error, BatchOffboardError)
    return Notice(
        happening=Happening.STOPPED,
        headline=str(error) if known else f"Unexpected {type(error).__name__}, a bug in the program.",
        exit_code=error.exit_code if isinstance(error, BatchOffboardError) else ExitCode.UNFINISHED,
        at=time.time(),
        machine=socket.gethostname(),
        tenant=tenant,
        sheets=(sheet,) if sheet else (),
        next_command=next_command,
        simulated=simulated,
    )


def outcomes(counts: Counts) -> Mapping[str, int]:
    """Rows by outcome, in the report's words."""
    return {
        "submitted": counts.of(JobState.SUBMITTED),
        "failed": counts.of(JobState.FAILED),
        "skipped": sum(counts.skipped.values()) + counts.of(JobState.SKIPPED),
        "in_doubt": counts.of(JobState.IN_DOUBT, JobState.SENDING),
        "pending": counts.of(JobState.PENDING),
        "cancelled": counts.of(JobState.CANCELLED),
    }


async def tell_people(options: Options, notice: Notice) -> "list[Delivery]":
    """Send the notice over all channels of the command's configuration; returns an empty list if it has none."""
    config = _configuration(options)
    if config is None or not config.notices.has_ways:
        return []
    from batch_offboard.notices.delivery import Delivery, tell

    try:
        connection = connection_of(config.network, 1, options.environ)
        return await tell(notice, config.notices, options.environ, SystemClock(), connection)
    except BatchOffboardError as error:
        return [Delivery("any way", str(error).rstrip("."))]


def tenant_named(options: Options) -> str:
    """TENANT/APPLICATION from the command's configuration; a part that it does not have is left out."""
    config = _configuration(options)
    return f"{config.tenant_id or ''}/{config.client_id or ''}".strip("/") if config is not None else ""


def _configuration(options: Options) -> Config | None:
    """A rehearsal sends no notices unless its configuration was named; the command has reported errors in it."""
    if options.simulate and options.config is None:
        return None
    try:
        wanted = is_configured(options.config, options.environ, options.cwd)
        return load_config(options.config, options.environ, options.cwd) if wanted else None
    except BatchOffboardError:
        return None


def _next_command(view: RunView | TrackView) -> str:
    if view.counts.of(JobState.PENDING, JobState.IN_DOUBT):
        return f"batch-offboard resume {view.batch.batch_id}"
    if view.counts.of(JobState.FAILED):
        return f"batch-offboard retry {view.batch.batch_id}"
    return ""
