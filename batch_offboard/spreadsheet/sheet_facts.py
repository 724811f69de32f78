"""What is known about one sheet beyond its values, whatever the format it came from."""

from dataclasses import dataclass, field
from typing import Final

from batch_offboard.errors import InputError
from batch_offboard.rows import CellKind
from batch_offboard.spreadsheet.columns import refuse_too_wide

LAST_ROW: Final = 1_048_576
FEW_CELLS: Final = 28_000_000  # all rows of 26 columns; the reader fills the rectangle, 32 bytes a cell
MOST_CELLS: Final = 64_000_000


@dataclass(slots=True)
class SheetFacts:
    """Facts of one sheet; rows are numbered from 1, columns from 0."""

    hidden_rows: set[int] = field(default_factory=set)  # only rows that hold something
    struck_rows: set[int] = field(default_factory=set)  # with something in them that is struck through
    special: dict[int, CellKind] = field(default_factory=dict)  # the ID column's cells, by row
    id_column_hidden: bool = False
    last_row: int = 0
    last_column: int = -1
    cells: int = 0  # with a value

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


def number(text: str | None) -> int:
    """An attribute that counts something, 0 if it is absent or no number."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 11 else 0


def true(text: str | None) -> bool:
    """An attribute that is yes or no, no if it is absent."""
    return text in ("1", "true")
