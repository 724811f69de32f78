"""Facts that the ODS reader does not return: hidden rows and columns, filters, formulas, merged and repeated cells.

An ODS file encodes "this row a million times" in a few bytes, so its tables are measured before the reader loads them.
"""

import re
from collections.abc import Mapping
from typing import Final

from batch_offboard.core.rows import CellKind
from batch_offboard.sheets.archive import Archive
from batch_offboard.sheets.columns import MOST_COLUMNS
from batch_offboard.sheets.encryption import encrypted_with_password
from batch_offboard.sheets.sheet_facts import LAST_ROW, LEAST_HEIGHT, LEAST_WIDTH, SheetFacts, number
from batch_offboard.sheets.xml_parts import parse

CONTENT: Final = "content.xml"
STYLES: Final = "styles.xml"
MANIFEST: Final = "META-INF/manifest.xml"
_LEAST = {"table-row": LEAST_HEIGHT, "table-column": LEAST_WIDTH * 5.5}  # points; a digit of 10 points is 5.5 wide
_SIZES = {"table-row-properties": "row-height", "table-column-properties": "column-width"}
_GROUPS = frozenset({"table-row-group", "table-column-group"})
_POINTS = {"pt": 1.0, "in": 72.0, "cm": 72 / 2.54, "mm": 72 / 25.4, "pc": 12.0, "px": 0.75}
_CELLS = frozenset({"table-cell", "covered-table-cell"})


def table_facts(archive: Archive, *, table: str | None = None, id_index: int | None = None) -> dict[str, SheetFacts]:
    """Measure every table; with a `table` and an `id_index`, also describe its ID cells."""
    styles = _Styles()
    if STYLES in archive:
        parse(archive, STYLES, styles.start)
    walk = _Walk(table, id_index, styles)
    parse(archive, CONTENT, walk.start, walk.end)
    return walk.tables


def refuse_encrypted_document(archive: Archive, name: str) -> None:
    """Raise InputError if parts of an OpenDocument file, or all of it, are encrypted (ODF 1.3, part 2, 3.4)."""

    def start(tag: str, attributes: Mapping[str, str]) -> None:
        del attributes
        if tag == "encryption-data":
            raise encrypted_with_password(name)

    if MANIFEST in archive:
        parse(archive, MANIFEST, start)


class _Styles:
    """Which styles make a row or a column so small that it is hidden; a style inherits from its parent."""

    def __init__(self) -> None:
        self._small: dict[tuple[str, str], bool] = {}
        self._style = ("", "")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag in ("style", "default-style"):
            family = attributes.get("family", "")
            self._style = (family, attributes.get("name", ""))
            if family in _LEAST:
                self._small[self._style] = self.is_small(family, attributes.get("parent-style-name"))
        elif tag in _SIZES:
            size, least = _points(attributes.get(_SIZES[tag], "")), _LEAST.get(self._style[0])
            if size is not None and least is not None:
                self._small[self._style] = size < least

    def is_small(self, family: str, style: str | None) -> bool:
        """Whether a style hides; `family` is `table-row` or `table-column`, whose default applies without a style."""
        default = self._small.get((family, ""), False)
        return self._small.get((family, style or ""), default)


def _points(length: str) -> float | None:
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)([a-z]{2})", length)
    return float(match[1]) * _POINTS[match[2]] if match and match[2] in _POINTS else None


class _Walk:
    """Parses the tables' rows and cells; a repeated row is counted at its end, when its content is known."""

    def __init__(self, table: str | None, id_index: int | None, styles: _Styles) -> None:
        self.tables: dict[str, SheetFacts] = {}
        self._styles = styles
        self._groups: list[bool] = []  # for each enclosing group: is it shown?
        self._columns = 0  # columns described so far
        self._filtered = ""  # the area of the filter that is being read
        self._table = table
        self._id_index = id_index
        self._facts = SheetFacts()
        self._wanted = False
        self._row = 0  # complete rows so far
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
            self._hidden = self._is_hidden("table-row", attributes)
            self._column = self._filled_to = self._filled = 0
            self._kind = None
        elif tag == "table":
            name = attributes.get("name", "")
            self._facts = self.tables.setdefault(name, SheetFacts())
            self._wanted = name == self._table
            self._row = self._columns = 0
        elif tag == "table-column":
            repeat = number(attributes.get("number-columns-repeated")) or 1
            if self._is_hidden("table-column", attributes):
                self._facts.hidden_columns.update(range(self._columns, min(self._columns + repeat, MOST_COLUMNS)))
            self._columns += repeat
        elif tag in _GROUPS:
            self._groups.append(attributes.get("display", "true") != "false")
        elif tag == "database-range":
            self._filtered = attributes.get("target-range-address", "")
        elif tag == "filter-condition":
            self._filter()
        else:
            self._styles.start(tag, attributes)

    def end(self, tag: str) -> None:
        if tag == "table-row":
            if self._filled:
                self._filled_row()
            self._row += self._repeat
        elif tag in _GROUPS and self._groups:
            self._groups.pop()

    def _is_hidden(self, family: str, attributes: Mapping[str, str]) -> bool:
        return (
            attributes.get("visibility") in ("collapse", "filter")
            or not all(self._groups)
            or self._styles.is_small(family, attributes.get("style-name"))
        )

    def _filter(self) -> None:
        area = _AREA.match(self._filtered)
        if area is None:
            return
        table = (area["table"] or "").removeprefix("'").removesuffix("'").replace("''", "'")
        under = range(int(area["first"]) + 1, min(int(area["last"]), LAST_ROW) + 1)
        filters = self.tables.setdefault(table, SheetFacts()).filters
        if under not in filters:
            filters.append(under)

    def _cell(self, tag: str, attributes: Mapping[str, str]) -> None:
        repeat = number(attributes.get("number-columns-repeated")) or 1
        filled = "value-type" in attributes or "formula" in attributes
        if self._id_index is not None and self._column <= self._id_index < self._column + repeat:
            self._kind = _kind(tag, attributes)
        tall, wide = (number(attributes.get(f"number-{what}-spanned")) for what in ("rows", "columns"))
        if tall > 1 or wide > 1:
            last = (min(self._row + max(tall, 1), LAST_ROW) - 1, self._column + max(wide, 1) - 1)
            self._facts.merged.append(((self._row, self._column), last))
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


# An area as ODF writes it, such as `'My list'.A1:'My list'.C50` or `$Sheet1.$A$1:.$C$50`.
_AREA: Final = re.compile(
    r"\$?(?P<table>'(?:[^']|'')*'|[^.']*)\.\$?[A-Z]+\$?(?P<first>[0-9]{1,7}):"
    r"(?:\$?(?:'(?:[^']|'')*'|[^.']*)?\.)?\$?[A-Z]+\$?(?P<last>[0-9]{1,7})$"
)


def _kind(tag: str, attributes: Mapping[str, str]) -> CellKind | None:
    spans = (attributes.get("number-rows-spanned"), attributes.get("number-columns-spanned"))
    if tag == "covered-table-cell" or any(number(span) > 1 for span in spans):
        return CellKind.MERGED
    return CellKind.FORMULA if "formula" in attributes else None
