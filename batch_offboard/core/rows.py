"""What a reader hands on: the rows of one table, with the type of each ID cell still known.

The types live apart from the readers so that the core can judge a row without knowing any file format.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class CellKind(StrEnum):
    """What an ID cell holds when it is not text; each kind is refused with words of its own."""

    NUMBER = "number"
    DATE = "date"
    BOOLEAN = "boolean"
    FORMULA = "formula"
    ERROR = "error"
    MERGED = "merged"
    MISSING = "missing"  # the row is shorter than the ID column


@dataclass(frozen=True, slots=True)
class NotText:
    """A cell of the ID column whose type already says that it cannot be an ID.

    A device ID that a spreadsheet program took for a number has lost digits, so the type must survive
    until the cell is judged: as text the damaged value can look like a valid ID of another device.
    """

    kind: CellKind
    shown: str


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row of the sheet.

    `number` is the row's own number in the sheet, from 1, the header and blank rows counted, as a
    spreadsheet program shows it. `cells` are the row's original cells as text, one for each of the
    table's columns.
    """

    number: int
    device_id: str | NotText
    device_name: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a table came from."""

    path: str
    name: str
    sha256: str
    size: int  # bytes
    kind: str  # "CSV (UTF-8, comma)", "XLSX, sheet 'Devices'", …
    modified: float | None = None  # when the file was last changed, in seconds since the epoch


@dataclass(frozen=True, slots=True)
class Table:
    """A readable table: its columns are known, its rows can be taken once, in order.

    Taking the rows can still raise `InputError`: some damage shows only on the way through the file.
    """

    source: Source
    columns: tuple[str, ...]
    id_column: str | None  # the column's name, or None if the rows have only names
    name_column: str | None
    notes: tuple[str, ...]  # what was decided about the file, for the operator
    rows: Iterable[SourceRow]
    closing_notes: Sequence[str] = ()  # what shows only on the way through the rows; complete when all are taken
