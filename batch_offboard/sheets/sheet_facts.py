"""Facts about one sheet beyond its values, the same for all formats."""

from dataclasses import dataclass, field
from typing import Final

from batch_offboard.base.errors import InputError
from batch_offboard.core.rows import CellKind
from batch_offboard.sheets.columns import MOST_COLUMNS, refuse_too_wide
from batch_offboard.sheets.merged import Merged

LAST_ROW: Final = 1_048_576
FEW_CELLS: Final = 28_000_000  # all rows of 26 columns; the reader allocates the whole rectangle, 32 bytes per cell
MOST_CELLS: Final = 64_000_000

# A lower row or a narrower column shows no readable text, so it counts as hidden even without a mark.
LEAST_HEIGHT: Final = 3.0  # points
LEAST_WIDTH: Final = 1.0  # characters


@dataclass(slots=True)
class SheetFacts:
    """Facts of one sheet; rows are numbered from 1, columns from 0."""

    hidden_rows: set[int] = field(default_factory=set)  # only rows that hold something
    struck_rows: set[int] = field(default_factory=set)  # with text that is struck through
    special: dict[int, CellKind] = field(default_factory=dict)  # the ID column's cells, by row
    merged: list[Merged] = field(default_factory=list)  # only if the reader does not return them
    hidden_columns: set[int] = field(default_factory=set)  # of the first MOST_COLUMNS
    filters: list[range] = field(default_factory=list)  # the rows under each filter that has conditions
    last_row: int = 0
    last_column: int = -1
    cells: int = 0  # with a value

    @property
    def has_filter_without_marks(self) -> bool:
        """True if a filter has conditions and hides no row: some programs apply it when they open the file and others
        do not, so that two people see different rows."""
        return any(not any(row in under for row in self.hidden_rows) for under in self.filters)

    def refuse_scattered(self, name: str) -> None:
        """Raise InputError if the used rectangle would need far too much memory."""
        refuse_too_wide(self.last_column + 1)
        if self.last_row > LAST_ROW:
            raise InputError(
                f"{name}: a cell is in row {self.last_row}, but sheets end at row {LAST_ROW}; save the "
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
    """Collects hidden columns: explicit ones, and all others if the default width hides them."""

    def __init__(self) -> None:
        self.usually_hidden = False
        self._hidden: set[int] = set()
        self._described: set[int] = set()

    def add(self, first: int, last: int, *, hidden: bool) -> None:
        """Note columns from 0, both ends included; those that are never read are left out."""
        columns = range(max(first, 0), min(last + 1, MOST_COLUMNS))
        self._described.update(columns)
        if hidden:
            self._hidden.update(columns)

    def hidden(self) -> set[int]:
        """The hidden columns, once all were noted."""
        return self._hidden | (set(range(MOST_COLUMNS)) - self._described if self.usually_hidden else set())


class RowMarks:
    """Collects hidden rows, by row and by group."""

    def __init__(self) -> None:
        self.summary_below = True  # whether a group's collapse mark is in the row below it or in the one above
        self._hidden: set[int] = set()
        self._levels: dict[int, int] = {}  # of the grouped rows
        self._collapsed: list[int] = []

    def add(self, row: int, *, hidden: bool, level: int, collapsed: bool) -> bool:
        """Note a row, with its outline level and whether it has the mark of a collapsed group; True if it may turn out
        to be hidden."""
        if hidden:
            self._hidden.add(row)
        if level:
            self._levels[row] = level
        if collapsed:
            self._collapsed.append(row)
        return hidden or level > 0

    def hidden(self) -> set[int]:
        """The hidden rows, once all were noted."""
        return self._hidden.union(*map(self._group, self._collapsed))

    def _group(self, summary: int) -> set[int]:
        """The rows of a collapsed group; some programs mark only the group as collapsed and not its rows as hidden."""
        step = -1 if self.summary_below else 1
        level, row = self._levels.get(summary, 0), summary + step
        found: set[int] = set()
        while self._levels.get(row, 0) > level:
            found.add(row)
            row += step
        return found


def decimal(text: str | None) -> float | None:
    """An attribute as a float, or None if it is absent or not a number."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def number(text: str | None) -> int:
    """An attribute as an integer, 0 if it is absent or not a number."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 11 else 0


def true(text: str | None) -> bool:
    """An attribute as a bool, False if it is absent."""
    return text in ("1", "true")
