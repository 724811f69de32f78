"""Verifies the audit record of a journal, and exports it for other programs."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from batch_offboard.base.clock import exact_utc
from batch_offboard.base.errors import ExitCode, ReportError, UsageError
from batch_offboard.base.filenames import windows_objection
from batch_offboard.base.text import one_line, safe_cell
from batch_offboard.commands.desk import Desk
from batch_offboard.core.audit import Anchor, Finding, Kind, Record
from batch_offboard.core.audit import verify as follow
from batch_offboard.journal.audited import calls_made, records
from batch_offboard.reports.files import write_whole

EXPORT_COLUMNS = (
    "number", "time", "kind", "batch", "row", "device_id", "attempt", "who", "at", "content", "previous", "hash",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AuditView:
    """The result of a verification; `last` is the last intact record, if there is one."""

    finding: Finding
    anchors: Sequence[Anchor]
    last: Record | None

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.OK if self.finding.intact else ExitCode.REFUSED


def verify(desk: Desk, anchors: Sequence[Anchor] = ()) -> AuditView:
    """Verify the whole chain, look for the anchors in it, and compare it with the calls in the journal."""
    made, upto = calls_made(desk.journal)
    seen = _Seen(upto)
    finding = follow(seen.passing(records(desk.journal)), anchors)
    if finding.intact and seen.intents != made:
        problem = (
            f"The journal holds {made} calls to offboard or to cancel, and the record lists {seen.intents}; one of the "
            "two was cut."
        )
        finding = replace(finding, broken=finding.records + 1, problem=problem)
    return AuditView(finding, anchors, seen.last if finding.intact else None)


class _Seen:
    """Collects facts about the records while they are verified."""

    def __init__(self, upto: int) -> None:
        self._upto = upto
        self.intents = 0
        self.last: Record | None = None

    def passing(self, found: Iterator[Record]) -> Iterator[Record]:
        for record in found:
            self.intents += record.kind == Kind.INTENT and record.number <= self._upto
            self.last = record
            yield record


def chosen(desk: Desk, since: float | None, until: float | None, batch_id: str | None) -> Iterator[Record]:
    """The records of a period (seconds since the epoch; `until` is excluded) and of a batch, by default all."""
    found = records(desk.journal, since, until)
    return found if batch_id is None else (record for record in found if facts_of(record).get("batch") == batch_id)


def batch_named(desk: Desk, name: str) -> str:
    """The ID of the batch that a name means, including a forgotten plan that only the audit record still has."""
    try:
        return desk.batch(name).batch_id
    except UsageError:
        if any(chosen(desk, None, None, name)):
            return name
        raise


def time_of(record: Record) -> str:
    """ISO 8601 in UTC to the microsecond; empty if it was changed into something that is not a time."""
    try:
        return exact_utc(record.at)
    except (OverflowError, TypeError):
        return ""


def facts_of(record: Record) -> Mapping[str, Any]:
    """The content of a record; empty if it was changed into something unreadable."""
    try:
        facts = json.loads(record.content)
    except (ValueError, TypeError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def write_export(stream: TextIO, form: str, found: Iterable[Record]) -> int:
    """Write the records as `jsonl` or `csv`; returns how many there are."""
    number = 0

    def counted() -> Iterator[Record]:
        nonlocal number
        for record in found:
            number += 1
            yield record

    _WRITERS[form](stream, counted())
    return number


def _write_jsonl(stream: TextIO, found: Iterable[Record]) -> None:
    """One JSON object per line, with `content` exactly as it was hashed."""
    for record in found:
        line = {
            "number": record.number,
            "time": time_of(record),
            "kind": record.kind,
            "at": record.at,
            "content": facts_of(record) or record.content,
            "previous": record.previous,
            "hash": record.hash,
        }
        stream.write(f"{json.dumps(line, separators=(',', ':'), default=str)}\n")


def _write_csv(stream: TextIO, found: Iterable[Record]) -> None:
    """A header and a row for each record; no cell can become a formula."""
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(EXPORT_COLUMNS)
    for record in found:
        values = {**facts_of(record), **record.as_dict(), "time": time_of(record)}
        table.writerow([safe_cell(str(values.get(column, ""))) for column in EXPORT_COLUMNS])


_WRITERS: Mapping[str, Callable[[TextIO, Iterable[Record]], None]] = {"jsonl": _write_jsonl, "csv": _write_csv}


def export_to(path: Path, form: str, found: Iterable[Record], journal: Path) -> tuple[Path, int]:
    """Export to a file; returns its path and the number of records. Raises ReportError if it cannot be written,
    UsageError if it is the journal."""
    objection = windows_objection(path)
    if objection is not None:
        raise UsageError(
            f"An export cannot be written to {one_line(str(path))} on Windows: {objection}; name it otherwise."
        )
    with suppress(OSError):  # one of the two does not exist
        if path.samefile(journal):
            raise UsageError(f"The export {one_line(str(path))} would replace the journal itself; name another file.")
    numbers = []

    def write(file: BinaryIO) -> None:
        # With a BOM for Excel, which otherwise reads UTF-8 as the machine's legacy code page.
        text = io.TextIOWrapper(file, encoding="utf-8-sig" if form == "csv" else "utf-8", newline="")
        numbers.append(write_export(text, form, found))
        text.flush()
        text.detach()

    try:
        return write_whole(path, write), numbers[0]
    except OSError as error:
        words = one_line(error.strerror or str(error))
        raise ReportError(
            f"The export {one_line(str(path))} could not be written ({words}); name another file with --output."
        ) from error
