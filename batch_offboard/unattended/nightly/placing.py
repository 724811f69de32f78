"""Moves a sheet to `done`, `failed` or `waiting`, with its reports and the reason in plain words."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from batch_offboard.base.clock import local_time
from batch_offboard.base.errors import ApprovalError, ExitCode, GuardError, ReportError, UsageError
from batch_offboard.base.text import one_line, visible
from batch_offboard.commands import nights, reporting
from batch_offboard.commands.desk import Desk
from batch_offboard.config import Inbox as InboxKeys
from batch_offboard.core.batches import Batch
from batch_offboard.unattended.nightly.inbox import Inbox, free_name
from batch_offboard.unattended.nightly.views import Fate, SheetView


class Placing:
    """Moves sheets and reports to their final folders and reports that; each method may be repeated after a crash."""

    def __init__(self, desk: Desk, inbox: Inbox) -> None:
        self._desk, self._inbox = desk, inbox

    def reports_of(self, batch: Batch) -> list[Path]:
        """Where a batch's reports are until its sheet is moved to its final folder."""
        return [self._inbox.working / "reports" / f"{batch.batch_id}{suffix}" for suffix in (".csv", ".xlsx")]

    def finished(self, batch: Batch, sheet: Path | None, code: ExitCode) -> SheetView:
        path, reports = self._settle(batch, sheet, self._inbox.done)
        return self._view(batch, Fate.DONE, code, "", path, reports)

    def left(self, batch: Batch, sheet: Path | None, reason: str, reports: Sequence[Path]) -> SheetView:
        return self._view(batch, Fate.LEFT, ExitCode.UNFINISHED, reason, sheet, reports)

    def stopped(self, batch: Batch, sheet: Path | None) -> SheetView:
        reason = (
            batch.why_it_waits
            if batch.needs_person
            else "It was started too long ago to be continued without a person."
        )
        path, reports = self._settle(batch, sheet, self._inbox.failed, _words_of_stop(batch, reason))
        reason = f"{reason} No nightly run continues it; run `batch-offboard resume {batch.batch_id}` to do so."
        return self._view(batch, Fate.STOPPED, ExitCode.REFUSED, reason, path, reports)

    def refused(self, batch: Batch, sheet: Path | None, error: GuardError) -> SheetView:
        return self._failed(batch, sheet, Fate.REFUSED, str(error), _words_of_refusal(batch, str(error)))

    def waiting(self, batch: Batch, sheet: Path, error: ApprovalError) -> SheetView:
        """Move the sheet to `waiting`; once other people have approved it, a nightly run sends it."""
        reason = str(error).replace(f"`batch-offboard run {batch.batch_id}`", "the next nightly run")
        path = self._inbox.put_aside(sheet, _words_of_waiting(batch, reason))
        nights.moved(self._desk, batch, path)
        return self._view(batch, Fate.WAITING, ExitCode.REFUSED, reason, path, ())

    def denied(self, batch: Batch, sheet: Path, reason: str) -> SheetView:
        return self._failed(batch, sheet, Fate.DENIED, reason, _words_of_denial(batch, reason))

    def _failed(self, batch: Batch, sheet: Path | None, fate: Fate, sentence: str, why: str) -> SheetView:
        """Move a sheet of which nothing was sent: its report shows every row, with `why` in a file beside it."""
        written = reporting.write_reports(self._desk, batch, self.reports_of(batch))
        nights.reports_moved(self._desk, batch, written)
        batch = self._desk.batch(batch.batch_id)
        path, reports = self._settle(batch, sheet, self._inbox.failed, why)
        return self._view(batch, fate, ExitCode.REFUSED, sentence, path, reports)

    def repeated(self, batch: Batch, sheet: Path) -> SheetView:
        place = _place(self._inbox.done, batch, sheet)
        path = self._inbox.move(sheet, place, _words_of_repetition(batch, place))
        reason = f"Batch {batch.batch_id} has the same content and was started before; the sheet was skipped."
        return SheetView(sheet.name, Fate.REPEATED, ExitCode.OK, reason, batch.batch_id, path=path)

    def unreadable(self, sheet: Path, reason: str) -> SheetView:
        place = free_name(self._inbox.failed, sheet.name)
        reason = " ".join(each for each in (reason, _where_options_go(reason)) if each)
        path = self._inbox.move(sheet, place, _words_of_unreadable(sheet.name, reason))
        return SheetView(sheet.name, Fate.UNREADABLE, ExitCode.ROWS_FAILED, reason, path=path)

    def _settle(self, batch: Batch, sheet: Path | None, folder: Path, why: str = "") -> tuple[Path | None, list[Path]]:
        """Move the reports first, then the sheet: a moved sheet has its reports, and one that was not moved is
        processed again."""
        reports = [self._moved(Path(path), folder) for path in batch.reports]
        nights.reports_moved(self._desk, batch, reports)
        if sheet is not None:
            sheet = self._inbox.move(sheet, _place(folder, batch, sheet), why)
            nights.moved(self._desk, batch, sheet)
        return sheet, reports

    def _moved(self, report: Path, folder: Path) -> Path:
        """Move the reports that are in `working`, except those that are open in another program."""
        if report.parent.parent != self._inbox.working:
            return report
        try:
            return report.replace(folder / report.name)
        except OSError:
            return report

    def _view(
        self,
        batch: Batch,
        fate: Fate,
        code: ExitCode,
        sentence: str,
        path: Path | None,
        reports: Sequence[Path],
    ) -> SheetView:
        counts = nights.counts_of(self._desk, batch)
        return SheetView(batch.source_name, fate, code, sentence, batch.batch_id, counts, path, reports)


def _place(folder: Path, batch: Batch, sheet: Path) -> Path:
    return free_name(folder, f"{batch.batch_id}-{sheet.name}")


def renew(desk: Desk, batch: Batch, say: Callable[[str], None]) -> None:
    """Write a batch's reports again in their final folder; if that fails, report it: the journal still has
    everything."""
    try:
        reporting.write_reports(desk, batch, reporting.usual_reports(desk, batch))
    except (ReportError, UsageError) as error:
        say(str(error))


def is_of(batch: Batch, sheet: Path) -> bool:
    """Whether the batch was planned from this file, not from another one with the same content."""
    return batch.source_path == visible(str(sheet))


_OPTIONS = {f"--{name.replace('_', '-')}": name for name in InboxKeys.model_fields}


def _where_options_go(reason: str) -> str:
    """Where to set an option for unattended runs that an error message asks for."""
    named = [option for option in _OPTIONS if re.search(rf"{option}\b", reason)]
    if not named:
        return ""
    keys = " or ".join(f"inbox.{_OPTIONS[option]}" for option in named)
    return f"For every sheet of the inbox, give the option to `nightly`, or set {keys} in the configuration."


def _words_of_unreadable(name: str, reason: str) -> str:
    return (
        f"{one_line(name)} could not be read, and nothing of it was sent.\n\n{reason}\n\n"
        "Correct this, then put the sheet into the inbox again.\n"
    )


def _words_of_refusal(batch: Batch, reason: str) -> str:
    return (
        f"{batch.source_name} was refused by a guard, and nothing of it was sent.\n\n{reason}\n\n"
        f"The report beside it shows every row of batch {batch.batch_id}. If all of them are meant, do what the "
        f"sentence above says: an option goes with `batch-offboard run {batch.batch_id}`, and after a change of the "
        "configuration the sheet can be put into the inbox again.\n"
    )


def _words_of_waiting(batch: Batch, reason: str) -> str:
    return (
        f"{batch.source_name} waits to be approved, and nothing of it was sent.\n\n{reason}\n\n"
        f"`batch-offboard show {batch.batch_id}` shows the plan. To refuse it, type `batch-offboard deny "
        f"{batch.batch_id} REASON`. After 24 hours without the approval it is planned again.\n"
    )


def _words_of_denial(batch: Batch, reason: str) -> str:
    return (
        f"{batch.source_name} was denied, and nothing of it was sent.\n\n{reason}\n\n"
        f"The report beside it shows every row of batch {batch.batch_id}. Put the corrected sheet into the inbox.\n"
    )


def _words_of_stop(batch: Batch, reason: str) -> str:
    return (
        f"{batch.source_name} was stopped early.\n\n{reason}\n\n"
        f"The report beside it shows every row of batch {batch.batch_id}. No nightly run continues it: once you know "
        f"why it stopped, run `batch-offboard resume {batch.batch_id}`.\n"
    )


def _words_of_repetition(batch: Batch, path: Path) -> str:
    started = local_time(batch.started_at) if batch.started_at is not None else "an unknown time"
    return (
        f"The content of this sheet was processed before, so it was not processed again: batch {batch.batch_id}, "
        f"started at {started} from {batch.source_name}, is {batch.state.word}.\n\n"
        f"`batch-offboard show {batch.batch_id}` shows its result. To send the sheet again anyway, run it by "
        f"hand: batch-offboard run {one_line(str(path))}\n"
    )
