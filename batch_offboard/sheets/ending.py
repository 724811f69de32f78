"""Passes the rows from the sheet to the plan, and finds what is known only after the last of them.

A row of totals at the end of the list is not a device; it is left out and named in a note. Nothing else is left out
here.
"""

import re
import unicodedata
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from batch_offboard.core.devices import is_wide_id, shown, trimmed
from batch_offboard.core.rows import CellKind, NotText, SourceRow
from batch_offboard.sheets.aliases import TOTALS, header_key

_MOST_TOTALS: Final = 4  # subtotals among them
_EXAMPLES: Final = 3
# A number with what it counts: "12", "1,250", "12台", "12 Geräte".
_COUNT = re.compile(r"([0-9][0-9.,' \u00a0]*)\s*(?:[^\W\d_]{1,12})?")


class Ending:
    """Yields the rows without a total at the end; `notes` is complete once all rows were taken."""

    def __init__(self, rows: Iterator[SourceRow]) -> None:
        self.notes: list[str] = []
        self._rows = rows
        self._wide: list[int] = []

    def __iter__(self) -> Iterator[SourceRow]:
        last: deque[SourceRow] = deque()
        passed = 0
        for row in self._rows:
            device_id = row.device_id
            if isinstance(device_id, str) and not device_id.isascii() and is_wide_id(device_id):
                self._wide.append(row.number)
            last.append(row)
            if len(last) > _MOST_TOTALS:
                yield last.popleft()
                passed += 1
        totals: list[SourceRow] = []
        while last and _may_be_total(last[-1], passed + len(last) - 1):
            totals.insert(0, last.pop())
        yield from last
        self._add_notes(totals)

    def _add_notes(self, totals: Sequence[SourceRow]) -> None:
        if self._wide:
            examples = ", ".join(map(str, self._wide[:_EXAMPLES])) + (", …" if len(self._wide) > _EXAMPLES else "")
            one = len(self._wide) == 1
            ids, rows = ("1 device ID is", "row") if one else (f"{len(self._wide)} device IDs are", "rows")
            self.notes.append(
                f"{ids} written in full-width characters and read as the same digits ({rows} {examples})."
            )
        for row in totals:
            cells = ", ".join(f"'{shown(trimmed(cell), 30)}'" for cell in row.cells if trimmed(cell))
            self.notes.append(f"Ignored below the list: row {row.number} {cells}, a total.")


def _may_be_total(row: SourceRow, rows_above: int) -> bool:
    """True if the row has a word for a total with a number, and no cell that may be a device."""
    if isinstance(row.device_id, NotText) and row.device_id.kind not in (CellKind.NUMBER, CellKind.FORMULA):
        return False
    filled = [unicodedata.normalize("NFKC", cell) for cell in map(trimmed, row.cells) if cell]
    words = [cell for cell in filled if _is_total(cell)]
    counts = [cell for cell in filled if cell not in words]
    numbered = any(char.isdigit() for cell in filled for char in cell)
    if len(words) != 1 or not numbered or not all(map(_COUNT.fullmatch, counts)):
        return False
    name = trimmed(row.device_name)
    # A computer may be called "total", but not if the number of the rows above is next to it.
    return not name or not name.isascii() or rows_above in map(_number, counts)


def _is_total(cell: str) -> bool:
    """True for a word of TOTALS, alone or with a number before or after it."""
    count = _COUNT.search(cell)
    rest = cell.replace(count[0], "", 1) if count else cell
    return header_key(cell) in TOTALS or header_key(rest) in TOTALS


def _number(count: str) -> int:
    """The number in a cell of a total."""
    found = _COUNT.fullmatch(count)
    return int(re.sub(r"[^0-9]", "", found[1]) or -1) if found else -1
