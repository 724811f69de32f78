"""Writes a batch's report from the journal, and decides where."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from batch_offboard.base import logs
from batch_offboard.base.errors import UsageError
from batch_offboard.base.shell import command_line
from batch_offboard.base.text import one_line
from batch_offboard.commands.desk import Desk
from batch_offboard.commands.proposing import view_plan
from batch_offboard.core.batches import Batch
from batch_offboard.journal.audited import last_anchor
from batch_offboard.journal.history import history_of
from batch_offboard.journal.reported import report_head, report_rows
from batch_offboard.reports.files import write_report
from batch_offboard.reports.rows import USUAL_FORMATS


def write_reports(desk: Desk, batch: Batch, paths: Sequence[Path]) -> list[Path]:
    """Write the batch's report to each path; returns where each was written."""
    _refuse_sheet_path(batch, paths)
    # A rehearsal's time may be ahead of ours.
    head = report_head(batch, max(desk.clock.now().wall, batch.ended_at or 0.0), last_anchor(desk.journal))
    if head.is_plan:
        view = view_plan(desk, batch)
        head = replace(head, expected=view.expected, refusals=tuple(each.why for each in view.refusals))
    written: dict[Path, Path] = {}
    for path in sorted(paths, key=_is_page):  # a page names the files beside it by the names that they really got
        if _is_page(path):
            head = replace(
                head,
                history=history_of(desk.journal, batch),
                beside=_names(written.values(), path.parent),
                table=_typed(written.values(), desk.options.cwd),
            )
        written[path] = write_report(path, head, report_rows(desk.journal, batch.key))
    logs.info("reports written", batch=batch.batch_id, paths=list(written.values()), audit=head.audit)
    return [written[path] for path in paths]


def _is_page(path: Path) -> bool:
    return path.suffix.lower() == ".html"


def _names(paths: Iterable[Path], folder: Path) -> tuple[str, ...]:
    """The files' names relative to this folder."""
    return tuple(path.name if path.parent == folder else str(path) for path in paths if not _is_page(path))


def _typed(paths: Iterable[Path], cwd: Path) -> str:
    """The last of the tables, as typed in this folder."""
    tables = [path for path in paths if path.suffix.lower() in {".csv", ".xlsx"}]
    if not tables:
        return ""
    path = tables[-1]
    return command_line([str(path.relative_to(cwd) if path.is_relative_to(cwd) else path)])


def usual_reports(desk: Desk, batch: Batch) -> list[Path]:
    """The paths of the batch's report: those that were requested, else the default ones."""
    return [Path(path) for path in batch.reports] or default_reports(desk.options.cwd, batch)


def _refuse_sheet_path(batch: Batch, reports: Sequence[Path]) -> None:
    """Raise UsageError if a report would overwrite its own sheet."""
    for path in reports:
        with suppress(OSError):  # one of the two does not exist
            if path.samefile(batch.source_path):
                raise UsageError(
                    f"The report {one_line(str(path))} would replace the sheet itself; name another with --report."
                )


def default_reports(cwd: Path, batch: Batch, formats: Sequence[str] = USUAL_FORMATS) -> list[Path]:
    return [cwd / "reports" / f"{batch.batch_id}.{suffix}" for suffix in formats]
