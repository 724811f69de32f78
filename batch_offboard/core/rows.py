"""What a reader of sheets returns: the rows of one table, with the type of each ID cell.

These types are separate from the readers so that the core does not depend on any file format.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class CellKind(StrEnum):
    """The type of an ID cell that is not text; each has its own message."""

    NUMBER = "number"
    DATE = "date"
    BOOLEAN = "boolean"
    FORMULA = "formula"
    ERROR = "error"
    MERGED = "merged"
    MISSING = "missing"  # the row is shorter than the ID column


@dataclass(frozen=True, slots=True)
class NotText:
    """A cell of the ID column whose type excludes that it is an ID.

    A device ID that a spreadsheet program stored as a number has lost digits. As text, the damaged value can look like
    a valid ID of another device, so the type is kept until the cell is judged.
    """

    kind: CellKind
    shown: str


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row of the sheet.

    `number` is the row's number as a spreadsheet program shows it: from 1, including the header and blank rows.
    `cells` are the row's original cells as text, one for each of the table's columns.
    """

    number: int
    device_id: str | NotText
    device_name: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """The file that a table was read from."""

    path: str
    name: str
    sha256: str
    size: int  # bytes
    kind: str  # "CSV (UTF-8, comma)", "XLSX, sheet 'Devices'", …
    modified: float | None = None  # when the file was last changed, in seconds since the epoch


@dataclass(frozen=True, slots=True)
class Table:
    """An opened table: its columns are known, its rows can be iterated once, in order.

    Iterating can still raise `InputError`: some damage is found only while reading the file.
    """

    source: Source
    columns: tuple[str, ...]
    id_column: str | None  # the column's name, or None if the rows have only names
    name_column: str | None
    notes: tuple[str, ...]  # how the file was interpreted, for the operator
    rows: Iterable[SourceRow]
    closing_notes: Sequence[str] = ()  # notes that are found while reading; complete after the last row
