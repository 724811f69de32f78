"""Writes a report to a file: CSV and JSON here, XLSX and HTML in their own modules.

A report is written to a temporary file and renamed once it is complete, so that readers see either the old report or
the new one. Rows are streamed and never collected. Nothing here decides the content of a report.
"""

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from batch_offboard.base.errors import ReportError, UsageError
from batch_offboard.base.filenames import length_objection, windows_objection
from batch_offboard.base.text import one_line, safe_cell, safe_json
from batch_offboard.core.facts import DeviceFacts
from batch_offboard.reports.rows import (
    REPORT_COLUMNS,
    ReportHead,
    ReportRow,
    Summary,
    Tally,
    moment,
    record,
    unique_names,
)

Writer = Callable[[BinaryIO, ReportHead, Iterable[ReportRow]], None]

_MOST_NAMES = 99  # report.csv, report.1.csv, … report.99.csv; more of them open at once is another problem


def write_report(path: Path, head: ReportHead, rows: Iterable[ReportRow]) -> Path:
    """Write the report in the format of the path's suffix; returns its actual path.

    That is `path`, or the next free name beside it (`report.1.csv`) if the file cannot be replaced, for example because
    it is open in Excel. A missing folder is created. Raises UsageError for an unknown suffix and ReportError if nothing
    could be written; exceptions of `rows` are passed on. No partial file is left behind.
    """
    write = writer_for(path)
    try:
        return write_whole(path, lambda file: write(file, head, rows))
    except OSError as error:
        raise ReportError(_sentence(path, head, error)) from error


def ensure_writable(path: Path) -> None:
    """Raise UsageError unless a report can be written there; call it before a run, not after it."""
    writer_for(path)
    probe = path.parent / f".report-{uuid4().hex}.tmp"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(_claimed(probe))
        probe.unlink()
    except OSError as error:
        words = length_objection(path.absolute()) or one_line(error.strerror or str(error))
        raise UsageError(
            f"No report can be written to {one_line(str(path))} ({words}); nothing was sent. Name one with --report."
        ) from error


def writer_for(path: Path) -> Writer:
    """The writer for the format of this suffix; raises UsageError if there is none."""
    objection = windows_objection(path)
    if objection is not None:
        raise UsageError(
            f"A report cannot be written to {one_line(str(path))} on Windows: {objection}; name it otherwise."
        )
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None or "\0" in str(path):
        known = ", ".join(_WRITERS)
        raise UsageError(f"A report cannot be written to {one_line(str(path))!r}: end its name with one of {known}.")
    return writer


def write_whole(path: Path, write: Callable[[BinaryIO], None]) -> Path:
    """Let `write` fill a new file that only this user can read, then rename it to `path` or the next free name.

    Returns the actual path. Raises OSError and what `write` raises; then no partial file is left behind.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.parent / f".report-{uuid4().hex}.tmp"
    try:
        with os.fdopen(_claimed(temporary), "w+b") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        return _renamed(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _claimed(path: Path) -> int:
    """The descriptor of a new file that only this user can read, whatever the umask; never of an existing file."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)


def _renamed(temporary: Path, path: Path) -> Path:
    try:
        temporary.replace(path)
    except OSError as error:
        # Windows: open in Excel. Elsewhere: a folder, or a protected file. Under another name no row is lost.
        path = _renamed_to_free_name(temporary, path, error)
    _sync_folder(path.parent)
    return path


def _renamed_to_free_name(temporary: Path, path: Path, reason: OSError) -> Path:
    for number in range(1, _MOST_NAMES + 1):
        candidate = path.with_name(f"{path.stem}.{number}{path.suffix}")
        with suppress(FileExistsError):
            # Created first and then replaced: only Windows has a rename that does not overwrite an existing file.
            os.close(_claimed(candidate))
            return _replacing(temporary, candidate)
    raise reason


def _replacing(temporary: Path, claimed: Path) -> Path:
    try:
        return temporary.replace(claimed)
    except OSError:
        claimed.unlink()
        raise


def _sync_folder(folder: Path) -> None:
    """Sync the new name like the file, on systems where a folder can be opened for that."""
    if os.name == "posix":
        with suppress(OSError):  # not every file system supports it; the report itself is synced
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _sentence(path: Path, head: ReportHead, error: OSError) -> str:
    words = one_line(error.strerror or str(error) or type(error).__name__)
    return (
        f"The report {one_line(str(path))} could not be written ({words}); the journal still has every row, "
        f"so write it elsewhere with `batch-offboard report {head.batch_id} --report OTHER`."
    )


# ── CSV ───────────────────────────────────────────────────────────────────────────────────────────────────


def _write_csv(file: BinaryIO, head: ReportHead, rows: Iterable[ReportRow]) -> None:
    """CSV as Excel writes and reads it: without a BOM it reads UTF-8 as the machine's legacy code page."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow([*REPORT_COLUMNS, *map(safe_cell, head.columns)])
    table.writerows(_csv_cells(row, head) for row in rows)
    text.flush()
    text.detach()


def _csv_cells(row: ReportRow, head: ReportHead) -> list[str | int | None]:
    own = [safe_cell(value) if isinstance(value, str) else value for value in record(row, head)]
    return [*own, *map(safe_cell, row.cells)]


# ── JSON ──────────────────────────────────────────────────────────────────────────────────────────────────


def _write_json(file: BinaryIO, head: ReportHead, rows: Iterable[ReportRow]) -> None:
    """One JSON object with one row on each line. The counts are at the end, since they are known last."""
    tally = Tally(head)
    text = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
    text.write(f'{{"batch": {safe_json(_head_facts(head))},\n"rows": [')
    text.writelines(_json_lines(head, tally.counting(rows)))
    text.write(f'\n],\n"summary": {safe_json(_summary_facts(tally.summary()))}}}\n')
    text.flush()
    text.detach()


def _json_lines(head: ReportHead, rows: Iterable[ReportRow]) -> Iterator[str]:
    names = unique_names(head.columns)
    before = "\n"
    for row in rows:
        facts: dict[str, object] = dict(zip(REPORT_COLUMNS, record(row, head), strict=True))
        details = {"input": dict(zip(names, row.cells, strict=False)), "tenant": _facts_json(row.facts)}
        yield before + safe_json(facts | details)
        before = ",\n"


def _facts_json(facts: DeviceFacts | None) -> dict[str, object] | None:
    """What the look-up returned for the device; None if it was not looked up or is unknown."""
    if facts is None:
        return None
    return {
        "platform": facts.platform or None,
        "group": facts.group or None,
        "tags": list(facts.tags),
        "last_seen": moment(facts.last_seen),
        "cautions": list(facts.cautions),
    }


def _head_facts(head: ReportHead) -> dict[str, object]:
    return {
        "batch_id": head.batch_id,
        "simulated": head.simulated,
        "state": head.state,
        "source_name": head.source_name,
        "source_sha256": head.source_sha256,
        "columns": list(head.columns),
        "tenant": head.tenant,
        "api_url": head.api_url,
        "comment": head.comment,
        "planned_at": moment(head.planned_at),
        "planned_by": head.planned_by or None,
        "approved_by": list(head.approved_by),
        "denied": list(head.denied),
        "started_at": moment(head.started_at),
        "ended_at": moment(head.ended_at),
        "run_by": list(head.run_by),
        "expected_seconds": None if head.expected is None else round(head.expected, 1),
        "refusals": list(head.refusals),
        "written_at": moment(head.written_at),
        "tool_version": head.tool_version,
        "audit": head.audit or None,
        "overrides": list(head.overrides),
    }


def _summary_facts(summary: Summary) -> dict[str, object]:
    return {
        "rows": summary.rows,
        "outcomes": {outcome.value: rows for outcome, rows in summary.outcomes.items()},
        "reasons": [
            {
                "outcome": reason.outcome.value,
                "error_code": reason.error_code or None,
                "rows": reason.rows,
                "advice": reason.advice,
            }
            for reason in summary.reasons
        ],
    }


# ── XLSX ──────────────────────────────────────────────────────────────────────────────────────────────────


def _write_xlsx(file: BinaryIO, head: ReportHead, rows: Iterable[ReportRow]) -> None:
    # If lxml is installed, openpyxl would write with it, and a full disk would raise an exception of lxml's own.
    os.environ.setdefault("OPENPYXL_LXML", "False")
    from batch_offboard.reports.workbook import write_workbook  # openpyxl takes a third of a second to import

    write_workbook(file, head, rows)


# ── HTML ──────────────────────────────────────────────────────────────────────────────────────────────────


def _write_html(file: BinaryIO, head: ReportHead, rows: Iterable[ReportRow]) -> None:
    from batch_offboard.reports.page import write_page  # imports Jinja2, which only the page needs

    write_page(file, head, rows)


_WRITERS: Mapping[str, Writer] = {".csv": _write_csv, ".xlsx": _write_xlsx, ".json": _write_json, ".html": _write_html}
