"""The program's own report as input: which rows are taken, and how to undo the report writer's changes to cells."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from batch_offboard.base.errors import InputError
from batch_offboard.base.text import unguarded
from batch_offboard.core.devices import shown
from batch_offboard.core.rows import NotText, SourceRow
from batch_offboard.reports.rows import FAILED_SHEET, REPORT_COLUMNS, Outcome
from batch_offboard.sheets.columns import Layout
from batch_offboard.sheets.head import HeadRow

OUTCOMES: Final = tuple(outcome.value for outcome in Outcome)

_OWN = len(REPORT_COLUMNS)
_OUTCOME = REPORT_COLUMNS.index("outcome")


def report_layout(head: Sequence[HeadRow]) -> Layout | None:
    """The layout of a report, or None for any other table."""
    first = head[0]
    if tuple(first.cells[:_OWN]) != REPORT_COLUMNS:
        return None
    columns = tuple(cell.shown if isinstance(cell, NotText) else cell for cell in first.cells)
    note = "This is a report of an earlier run; its own columns are left out of the next one."
    return Layout(
        columns, REPORT_COLUMNS.index("device_id"), REPORT_COLUMNS.index("device_name"), first.number, (note,)
    )


def refuse_unknown_outcomes(only: frozenset[str]) -> None:
    """Raise InputError for a word that is not an outcome, or if there is none."""
    unknown = sorted(only.difference(OUTCOMES))
    if unknown or not only:
        words = ", ".join(map(shown, unknown)) or "nothing"
        raise InputError(f"--only: {words} is not an outcome; the outcomes are {', '.join(OUTCOMES)}.")


def input_rows(rows: Iterator[SourceRow], only: frozenset[str] | None, *, neutralised: bool) -> Iterator[SourceRow]:
    """The report's rows as input: those with a wanted outcome, with only the original columns.

    `neutralised`: the cells come from CSV, where the writer put an apostrophe before what a spreadsheet program would
    take for a formula.
    """
    for row in rows:
        if only is not None and row.cells[_OUTCOME].strip() not in only:
            continue
        cells = row.cells[_OWN:]
        device_id, name = row.device_id, row.device_name
        if neutralised:
            cells = tuple(map(unguarded, cells))
            name = unguarded(name)
            device_id = unguarded(device_id) if isinstance(device_id, str) else device_id
        yield SourceRow(row.number, device_id, name, cells)


def repeats_others(sheet: str) -> bool:
    """Whether the report's sheet of this name repeats rows of another sheet."""
    return f"{sheet} ".startswith(f"{FAILED_SHEET} ")


def failed_rows(rows: Iterable[SourceRow]) -> frozenset[tuple[str | NotText, str, tuple[str, ...]]]:
    """The failed rows of a report without their order, to be compared with those of another sheet."""
    return frozenset(
        (row.device_id, row.device_name, row.cells) for row in rows if row.cells[_OUTCOME].strip() == Outcome.FAILED
    )
