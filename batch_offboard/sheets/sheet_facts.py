"""What is known about one sheet beyond its values, whatever the format it came from."""

from dataclasses import dataclass, field
from typing import Final

from batch_offboard.base.errors import InputError
from batch_offboard.core.rows import CellKind
from batch_offboard.sheets.columns import MOST_COLUMNS, refuse_too_wide
from batch_offboard.sheets.merged import Merged

LAST_ROW: Final = 1_048_576
FEW_CELLS: Final = 28_000_000  # all rows of 26 columns; the reader fills the rectangle, 32 bytes a cell
MOST_CELLS: Final = 64_000_000

# What is lower or narrower shows nobody a line of text: hidden, whether it is marked so or not.
LEAST_HEIGHT: Final = 3.0  # points
LEAST_WIDTH: Final = 1.0  # characters


@dataclass(slots=True)
class SheetFacts:
    """Facts of one sheet; rows are numbered from 1, columns from 0."""

    hidden_rows: set[int] = field(default_factory=set)  # only rows that hold something
    struck_rows: set[int] = field(default_factory=set)  # with something in them that is struck through
    special: dict[int, CellKind] = field(default_factory=dict)  # the ID column's cells, by row
    merged: list[Merged] = field(default_factory=list)  # where the reader does not tell them itself
    hidden_columns: set[int] = field(default_factory=set)  # of the first MOST_COLUMNS
    filters: list[range] = field(default_factory=list)  # the rows under each filter that has conditions
    last_row: int = 0
    last_column: int = -1
    cells: int = 0  # with a value

    @property
    def has_filter_without_marks(self) -> bool:
        """True if a filter has conditions and hides no row: some programs apply it when they open the file, others do
        not, so that two people see different rows."""
        return any(not any(row in under for row in self.hidden_rows) for under in self.filters)

    def refuse_scattered(self, name: str) -> None:
        """Raise InputError if the used rectangle would cost memory out of all proportion."""
        refuse_too_wide(self.last_column + 1)
        if self.last_row > LAST_ROW:
            raise InputError(
                f"{name}: a cell lies in row {self.last_row}, but sheets end at row {LAST_ROW}; save the "
                "list again as CSV."
            )
        rectangle = self.last_row * (self.last_column + 1)
        if rectangle > MOST_CELLS:
            raise InputError(
                f"{name}: the sheet spans {rectangle} cells; save the list as CSV, which is read in pieces."
            )
        if rectangle > max(FEW_CELLS, 10 * self.cells):
            raise InputError(
                f"{name}: {self.cells} cells are spread over {rectangle}; delete the stray cells far away."
            )


class ColumnMarks:
    """What a sheet says of its columns being hidden: for some of them, and by the usual width for all others."""

    def __init__(self) -> None:
        self.usually_hidden = False
        self._hidden: set[int] = set()
        self._described: set[int] = set()

    def add(self, first: int, last: int, *, hidden: bool) -> None:
        """Note columns from 0, both counted in; those that are never read are left out."""
        columns = range(max(first, 0), min(last + 1, MOST_COLUMNS))
        self._described.update(columns)
        if hidden:
            self._hidden.update(columns)

    def hidden(self) -> set[int]:
        """The hidden columns, when all were noted."""
        return self._hidden | (set(range(MOST_COLUMNS)) - self._described if self.usually_hidden else set())


class RowMarks:
    """What a sheet says of its rows being hidden: row by row, and group by group."""

    def __init__(self) -> None:
        self.summary_below = True  # where a group's sign stands: in the row below it, or in the one above
        self._hidden: set[int] = set()
        self._levels: dict[int, int] = {}  # of the grouped rows
        self._collapsed: list[int] = []

    def add(self, row: int, *, hidden: bool, level: int, collapsed: bool) -> bool:
        """Note a row, with its outline level and whether it carries the sign of a collapsed group; True if it may turn
        out to be hidden."""
        if hidden:
            self._hidden.add(row)
        if level:
            self._levels[row] = level
        if collapsed:
            self._collapsed.append(row)
        return hidden or level > 0

    def hidden(self) -> set[int]:
        """The hidden rows, when all were noted."""
        return self._hidden.union(*map(self._group, self._collapsed))

    def _group(self, summary: int) -> set[int]:
        """The rows of a collapsed group; some programs hide them by the sign alone, without a mark of their own."""
        step = -1 if self.summary_below else 1
        level, row = self._levels.get(summary, 0), summary + step
        found: set[int] = set()
        while self._levels.get(row, 0) > level:
            found.add(row)
            row += step
        return found


def decimal(text: str | None) -> float | None:
    """An attribute that measures something, or None if it is absent or no number."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def number(text: str | None) -> int:
    """An attribute that counts something, 0 if it is absent or no number."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 11 else 0


def true(text: str | None) -> bool:
    """An attribute that is yes or no, no if it is absent."""
    return text in ("1", "true")
