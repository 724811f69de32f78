"""What the reader of ODS does not tell: hidden and filtered rows, formulas, merged cells, repeated cells.

An ODS file says "this row a million times" in a few bytes, so its tables are measured before the reader
lays them out.
"""

from collections.abc import Mapping
from typing import Final

from batch_offboard.rows import CellKind
from batch_offboard.spreadsheet.archive import Archive
from batch_offboard.spreadsheet.sheet_facts import LAST_ROW, SheetFacts, number
from batch_offboard.spreadsheet.xml_parts import parse

CONTENT: Final = "content.xml"
_CELLS = frozenset({"table-cell", "covered-table-cell"})


def table_facts(archive: Archive, *, table: str | None = None, id_index: int | None = None) -> dict[str, SheetFacts]:
    """Measure every table; with a `table` and an `id_index`, its ID cells are described as well."""
    walk = _Walk(table, id_index)
    parse(archive, CONTENT, walk.start, walk.end)
    return walk.tables


class _Walk:
    """Follows the tables' rows and cells; a repeated row counts at its end, when its content is known."""

    def __init__(self, table: str | None, id_index: int | None) -> None:
        self.tables: dict[str, SheetFacts] = {}
        self._table = table
        self._id_index = id_index
        self._facts = SheetFacts()
        self._wanted = False
        self._row = 0  # rows that are complete
        self._repeat = 1
        self._hidden = False
        self._column = 0
        self._filled_to = 0
        self._filled = 0
        self._kind: CellKind | None = None

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag in _CELLS:
            self._cell(tag, attributes)
        elif tag == "table-row":
            self._repeat = number(attributes.get("number-rows-repeated")) or 1
            self._hidden = attributes.get("visibility") in ("collapse", "filter")
            self._column = self._filled_to = self._filled = 0
            self._kind = None
        elif tag == "table":
            name = attributes.get("name", "")
            self._facts = self.tables.setdefault(name, SheetFacts())
            self._wanted = name == self._table
            self._row = 0

    def end(self, tag: str) -> None:
        if tag == "table-row":
            if self._filled:
                self._filled_row()
            self._row += self._repeat

    def _cell(self, tag: str, attributes: Mapping[str, str]) -> None:
        repeat = number(attributes.get("number-columns-repeated")) or 1
        filled = "value-type" in attributes or "formula" in attributes
        if self._id_index is not None and self._column <= self._id_index < self._column + repeat:
            self._kind = _kind(tag, attributes)
        self._column += repeat
        if filled or self._kind is CellKind.MERGED:
            self._filled += repeat
            self._filled_to = self._column

    def _filled_row(self) -> None:
        facts = self._facts
        last = self._row + self._repeat
        facts.cells += self._filled
        facts.last_row = max(facts.last_row, last)
        facts.last_column = max(facts.last_column, self._filled_to - 1)
        numbers = range(self._row + 1, min(last, LAST_ROW) + 1)
        if self._hidden:
            facts.hidden_rows.update(numbers)
        if self._wanted and self._kind is not None:
            facts.special.update(dict.fromkeys(numbers, self._kind))


def _kind(tag: str, attributes: Mapping[str, str]) -> CellKind | None:
    spans = (attributes.get("number-rows-spanned"), attributes.get("number-columns-spanned"))
    if tag == "covered-table-cell" or any(number(span) > 1 for span in spans):
        return CellKind.MERGED
    return CellKind.FORMULA if "formula" in attributes else None
