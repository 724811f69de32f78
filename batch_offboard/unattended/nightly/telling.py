"""The notices of nightly runs: how the sheets ended, and that a night was missed."""

import socket
import time
from collections import Counter
from collections.abc import Mapping

from batch_offboard.base.errors import ExitCode
from batch_offboard.core.batches import Counts
from batch_offboard.core.jobs import JobState
from batch_offboard.notices.notice import Happening, Notice
from batch_offboard.notices.telling import outcomes
from batch_offboard.unattended.nightly.views import Fate, NightView, meaning_at_night

SHEETS_NAMED = 2  # failed sheets that a notice names, with the problem; all of them are in the folder


def notice_of_missed_night(night: str, exit_code: ExitCode, batches: tuple[str, ...] = ()) -> Notice:
    """The notice that no run began in a night in which one should have; `night` is its date, for people."""
    return Notice(
        happening=Happening.MISSED_NIGHT,
        headline=f"No run began in the night of {night}; check whether the machine and its scheduler were up.",
        exit_code=exit_code,
        at=time.time(),
        machine=socket.gethostname(),
        batches=batches,
        next_command="batch-offboard schedule show",
    )


def notice_of_night(view: NightView) -> Notice:
    """The notice of a nightly run that was not quiet."""
    halted = view.halt is not None and view.exit_code not in {ExitCode.OK, ExitCode.ROWS_FAILED}
    fates = Counter(sheet.fate for sheet in view.sheets)
    said = ", ".join(f"{fates[fate]} {fate.words}" for fate in Fate if fates[fate])
    reason = f" Stopped: {view.halt.reason}" if halted and view.halt is not None else ""
    failed = [f" {sheet.name}: {sheet.sentence}" for sheet in view.sheets if sheet.fate in _FATES_TO_NAME]
    batches = dict.fromkeys(sheet.batch_id for sheet in view.sheets if sheet.batch_id and sheet.counts)
    return Notice(
        happening=Happening.STOPPED if halted or view.exit_code is ExitCode.REFUSED else Happening.FINISHED,
        headline=f"Nightly run over {view.inbox}: {said or 'no sheets'}.{reason}{''.join(failed[:SHEETS_NAMED])}",
        exit_code=view.exit_code,
        at=view.ended,
        machine=socket.gethostname(),
        started=view.began,
        tenant=view.tenant,
        batches=tuple(batches),
        counts=outcomes_of_night(view),
        reports=tuple(path for sheet in view.sheets for path in sheet.reports),
        next_command=_next_of_night(view),
        sheets=tuple(dict.fromkeys(sheet.name for sheet in view.sheets)),
        exit_meaning=meaning_at_night(view.exit_code),
    )


_FATES_TO_NAME = frozenset({Fate.UNREADABLE, Fate.NOT_TAKEN, Fate.REFUSED, Fate.WAITING, Fate.DENIED, Fate.STOPPED})


def outcomes_of_night(view: NightView) -> Mapping[str, int]:
    """The rows of all sheets by outcome."""
    total: Counter[str] = Counter()
    for sheet in view.sheets:
        total.update(outcomes(sheet.counts or Counts({}, {})))
    return {outcome: total[outcome] for outcome in outcomes(Counts({}, {}))}


def _next_of_night(view: NightView) -> str:
    """The commands for a person, without what the next run does by itself."""
    for sheet in view.sheets:
        if sheet.fate is Fate.WAITING:
            return f"batch-offboard approve {sheet.batch_id}"
        if sheet.fate is Fate.STOPPED:
            return f"batch-offboard resume {sheet.batch_id}"
        if sheet.fate is Fate.DONE and sheet.counts is not None and sheet.counts.of(JobState.FAILED):
            return f"batch-offboard retry {sheet.batch_id}"
    return ""
