"""Headers of two or more lines with merged cells: merged over their lines, or over the columns that they group.

Pure. The lines become one row, so that the search for columns sees one header. A line that may be a device never
becomes part of a header.
"""

from collections.abc import Sequence

from batch_offboard.core.devices import holds_id, shown
from batch_offboard.core.rows import NotText
from batch_offboard.sheets.aliases import ID_HEADERS, NAME_HEADERS, WEAK_NAME_HEADERS
from batch_offboard.sheets.head import HeadRow, has_own_header

Merged = tuple[tuple[int, int], tuple[int, int]]  # row and column, from 0, of the first and the last cell
_SEARCHED = 20  # rows in which a header is searched
_MOST_LINES = 4
_KNOWN = ID_HEADERS | NAME_HEADERS | WEAK_NAME_HEADERS


def folded_header(head: Sequence[HeadRow], merged: Sequence[Merged]) -> tuple[list[HeadRow], list[str]]:
    """The first rows with a header of several lines joined to one row, and a note if more than one line is filled.

    `head` are the table's first non-blank rows; the header's row gets the number of its last line.
    """
    for at in range(len(head[:_SEARCHED])):
        last = _last_line(head, at, merged)
        if last is None:
            continue
        lines = [other for other in head[at:] if other.number <= last]
        width = max(len(line.cells) for line in lines)
        folded = HeadRow(last, [_lowest(lines, index) for index in range(width)])
        named = "; ".join(f"row {line.number} {_cells(line)}" for line in lines)
        notes = [f"The header has {len(lines)} lines: {named}."] if len(lines) > 1 else []
        return [*head[:at], folded, *head[at + len(lines) :]], notes
    return list(head), []


def _last_line(head: Sequence[HeadRow], at: int, merged: Sequence[Merged]) -> int | None:
    """The number of the last line of a header of several lines that begins in this row, or None."""
    row = head[at]
    below = head[at + 1 : at + 1 + _MOST_LINES]
    last = _end_of_tall_cells(row, merged)
    if last is not None and not any(_may_be_device(row, line, merged) for line in below if line.number <= last):
        return last
    if below and below[0].number == row.number + 1 and _is_band(row, below[0], merged):
        return below[0].number
    return None


def _end_of_tall_cells(row: HeadRow, merged: Sequence[Merged]) -> int | None:
    """The last row of the known headers in this row that are merged over several rows."""
    ends = [
        bottom + 1
        for (top, left), (bottom, _) in merged
        if top + 1 == row.number and top < bottom < top + _MOST_LINES and row.key(left) in _KNOWN
    ]
    return max(ends, default=None)


def _may_be_device(header: HeadRow, line: HeadRow, merged: Sequence[Merged]) -> bool:
    """True if a line below the first one of a header may be a data row: it has an ID, a number, or a cell that is not
    below a cell that groups several columns."""
    if any(isinstance(cell, NotText) or holds_id(cell) for cell in line.cells):
        return True
    grouped = {
        index
        for (top, left), (_, right) in merged
        if top + 1 == header.number and right > left
        for index in range(left, right + 1)
    }
    texts = {index: text for index in range(len(line.cells)) if (text := line.text(index))}
    return not grouped.issuperset(texts) or any(char.isdigit() for text in texts.values() for char in text)


def _is_band(row: HeadRow, below: HeadRow, merged: Sequence[Merged]) -> bool:
    """True if the row only groups the columns of the header below it, or is a title across them."""
    if not has_own_header(below) or has_own_header(row):
        return False
    if any(isinstance(cell, NotText) or holds_id(cell) for cell in row.cells):
        return False
    wide = {
        index
        for (top, left), (bottom, right) in merged
        if top == bottom == row.number - 1 and right > left
        for index in range(left, min(right + 1, len(row.cells)))
    }
    alone = (index for index in range(len(row.cells)) if index not in wide and row.text(index))
    return bool(wide) and all(below.text(index) for index in alone)


def _lowest(lines: Sequence[HeadRow], index: int) -> str | NotText:
    return next((line.cell(index) for line in reversed(lines) if line.text(index)), "")


def _cells(line: HeadRow) -> str:
    texts = [f"'{shown(text, 30)}'" for index in range(len(line.cells)) if (text := line.text(index))]
    return ", ".join(texts[:4]) + (", …" if len(texts) > 4 else "")
