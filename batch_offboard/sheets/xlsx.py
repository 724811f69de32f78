"""Facts that the XLSX reader does not return: hidden rows and columns, filters, formulas, errors, and stray cells far
from the others.

A fast search over the raw XML looks for signs of these. Only a sheet with such a sign is parsed a second time; nearly
all sheets have none, and the search takes a fraction of the time for reading.
"""

import re

from batch_offboard.core.rows import CellKind
from batch_offboard.sheets.archive import Archive
from batch_offboard.sheets.head import column_index
from batch_offboard.sheets.package import relation_targets
from batch_offboard.sheets.sheet_facts import (
    LAST_ROW,
    LEAST_HEIGHT,
    LEAST_WIDTH,
    ColumnMarks,
    RowMarks,
    SheetFacts,
    decimal,
    number,
    true,
)
from batch_offboard.sheets.xml_parts import parse

_LONGEST_TAG = 1 << 16
# A cell whose reference is not written the way all known programs write it: no `r`, other quotes, blanks.
_IRREGULAR = re.compile(rb'<c[> /\t\r\n](?!r="[A-Z]+[0-9]+")')
# Columns from AA on and rows from 100,000 on: a few such cells may span a rectangle that fills the memory.
_NOTABLE = re.compile(rb'r="(?:[A-Z]{2}|[A-Z]?[0-9]{6})')
_WIDE = re.compile(rb'r="([A-Z]{2,})[0-9]')
_FAR = re.compile(rb'r="[A-Z]*([0-9]{6,})"')
_HIDDEN = re.compile(rb"""(?:hidden|collapsed)\s*=\s*["'](?:1|t)""")
# A height, or the sheet's default one, that is not plainly written as 3 points or more; the lookbehinds after `ht` rule
# out other attributes and keep the literal prefix that makes the search fast. The same for a width.
_LOW = re.compile(rb"""ht(?<!customHeight)(?<![rR]ight)\s*=\s*["'](?!(?:[3-9]|[1-9][0-9]+)(?:\.[0-9]+)?["'])""")
_NARROW = re.compile(rb"""idth(?<!customWidth)\s*=\s*["'](?![1-9][0-9]*(?:\.[0-9]+)?["'])""")
_PLACE = re.compile(r"([A-Za-z]+)([0-9]+)")


class SheetScan:
    """The fast search over one sheet's XML, fed in pieces."""

    def __init__(self) -> None:
        self.formulas = False
        self.hidden = False
        self.irregular = False
        # Correct for a regular sheet: below the smallest position that is searched, its rectangle is small anyway.
        self.extent = SheetFacts(last_row=99_999, last_column=25)
        self._tail = b""
        self._first = True

    @property
    def needs_parsing(self) -> bool:
        """True if something in the sheet may affect which rows count, or what an ID cell is."""
        return self.formulas or self.hidden or self.irregular

    def feed(self, piece: bytes) -> None:
        """Search one piece up to its last tag, which may continue in the next piece."""
        text = self._tail + piece
        cut = max(text.rfind(b"<"), len(text) - _LONGEST_TAG)
        text, self._tail = text[:cut], text[cut:]
        if self._first:
            self._first = False
            self.irregular = b"<worksheet" not in text[:4096] or b"\0" in text[:64]
        self.formulas = self.formulas or b"</f>" in text or b"<f/>" in text
        self.hidden = self.hidden or _hides(text)
        self.irregular = self.irregular or _IRREGULAR.search(text) is not None
        self.extent.cells += text.count(b"<c r=")
        if _NOTABLE.search(text) is not None:
            self._stretch(text)

    def _stretch(self, text: bytes) -> None:
        extent = self.extent
        columns = (column_index(letters.decode()) for letters in set(_WIDE.findall(text)))
        extent.last_column = max(extent.last_column, *columns, 0)
        extent.last_row = max(extent.last_row, *map(int, set(_FAR.findall(text))), 0)


def _hides(text: bytes) -> bool:
    """True if something in this piece of XML may hide rows or columns, marked as hidden or not."""
    if (b"hidden" in text or b"collapsed" in text) and _HIDDEN.search(text) is not None:
        return True
    return b"filterColumn" in text or _LOW.search(text) is not None or _NARROW.search(text) is not None


def holds_errors(archive: Archive, part: str) -> bool:
    """True if a cell of the sheet is an error such as `#N/A`; the reader returns those as empty."""
    tail = b""
    for piece in archive.pieces(part):
        if b't="e"' in tail + piece or b"t='e'" in tail + piece:
            return True
        tail = piece[-8:]
    return False


def struck_styles(archive: Archive) -> frozenset[str]:
    """The numbers of the cell styles with a struck-through font, as cells refer to them."""
    walk = _StyleWalk()
    if "xl/styles.xml" in archive:
        parse(archive, "xl/styles.xml", walk.start, walk.end)
    return frozenset(str(style) for style, font in enumerate(walk.fonts_of_styles) if font in walk.struck_fonts)


def holds_style(archive: Archive, part: str, styles: frozenset[str]) -> bool:
    """True if a cell of the sheet seems to have one of these styles."""
    if not styles:
        return False
    wanted = re.compile(rb"""\ss\s*=\s*["'](?:%b)["']""" % "|".join(sorted(styles)).encode())
    tail = b""
    for piece in archive.pieces(part):
        if wanted.search(tail + piece):
            return True
        tail = piece[-32:]
    return False


def sheet_parts(archive: Archive) -> dict[str, str]:
    """The part of each worksheet, by the sheet's name; raises InputError for a broken workbook."""
    targets = relation_targets(archive, "xl/workbook.xml")
    found: dict[str, str] = {}

    def start(tag: str, attributes: dict[str, str]) -> None:
        target = targets.get(attributes.get("id", ""))
        if tag == "sheet" and target is not None and target in archive:
            found[attributes.get("name", "")] = target

    parse(archive, "xl/workbook.xml", start)
    return found


def sheet_facts(archive: Archive, part: str, id_index: int | None, struck: frozenset[str] = frozenset()) -> SheetFacts:
    """Parse one sheet's XML.

    `id_index` is the column whose formulas and errors are noted, `struck` the result of `struck_styles`.
    """
    walk = _SheetWalk(id_index, struck)
    parse(archive, part, walk.start, walk.end)
    return walk.result()


def table_filters(archive: Archive, part: str) -> list[range]:
    """The rows under those filters of the sheet's tables that have conditions."""
    found: list[range] = []
    for table in table_parts(archive, part):
        walk = _FilterWalk(found)
        parse(archive, table, walk.start, walk.end)
    return found


def table_parts(archive: Archive, part: str) -> list[str]:
    """The parts of the sheet's tables."""
    targets = relation_targets(archive, part).values()
    return [target for target in targets if "/tables/" in f"/{target.casefold()}" and target in archive]


class _StyleWalk:
    """Parses the fonts and cell styles of a workbook; it also contains fonts for other uses."""

    def __init__(self) -> None:
        self.struck_fonts: set[int] = set()
        self.fonts_of_styles: list[int] = []
        self._inside = ""
        self._font = -1

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag in ("fonts", "cellXfs"):
            self._inside = tag
        elif tag == "font" and self._inside == "fonts":
            self._font += 1
        elif tag == "strike" and self._inside == "fonts" and true(attributes.get("val", "1")):
            self.struck_fonts.add(self._font)
        elif tag == "xf" and self._inside == "cellXfs":
            self.fonts_of_styles.append(number(attributes.get("fontId")))

    def end(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""


class _FilterWalk:
    """Parses the filters of a sheet or a table; those of custom views do not count."""

    def __init__(self, found: list[range]) -> None:
        self._found = found
        self._under = range(0)
        self._elsewhere = False
        self._inside = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "customSheetViews":
            self._elsewhere = True
        elif tag == "autoFilter":
            self._under = _rows_under(attributes.get("ref", ""))
        elif tag == "filterColumn":
            self._inside = not self._elsewhere
        elif self._inside and tag in _CONDITIONS:
            self._found.append(self._under)

    def end(self, tag: str) -> None:
        if tag == "filterColumn":
            self._inside = False
        elif tag == "customSheetViews":
            self._elsewhere = False


_CONDITIONS = frozenset({"filters", "top10", "customFilters", "dynamicFilter", "colorFilter", "iconFilter"})


def _rows_under(reference: str) -> range:
    """The rows of an area such as `A1:C50` without its header; all rows if it cannot be read."""
    rows = [int(digits) for digits in re.findall(r"[0-9]+", reference)[:2]]
    return range(rows[0] + 1, rows[1] + 1) if len(rows) == 2 else range(1, LAST_ROW + 1)


class _SheetWalk:
    """Parses the cells of a sheet; a cell without a reference follows the one before it."""

    def __init__(self, id_index: int | None, struck: frozenset[str]) -> None:
        self.facts = SheetFacts()
        self._id_index = id_index
        self._struck_styles = struck
        self._row = 0
        self._column = -1
        self._marks = RowMarks()
        self._marked = False
        self._filled: set[int] = set()  # of the rows that may be hidden
        self._usual_height: float | None = None
        self._columns = ColumnMarks()
        self._filters = _FilterWalk(self.facts.filters)
        self._error = False
        self._struck = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "c":
            self._start_cell(attributes)
        elif tag in ("v", "is"):
            self._value()
        elif tag == "f":
            self._mark(CellKind.FORMULA)
        elif tag == "row":
            self._start_row(attributes)
        elif tag == "col":
            self._describe_columns(attributes)
        elif tag == "sheetFormatPr":
            self._usual_height = decimal(attributes.get("defaultRowHeight"))
            width = decimal(attributes.get("defaultColWidth"))
            self._columns.usually_hidden = width is not None and width < LEAST_WIDTH
        elif tag == "outlinePr":
            self._marks.summary_below = true(attributes.get("summaryBelow", "1"))
        else:
            self._filters.start(tag, attributes)

    def end(self, tag: str) -> None:
        if tag == "row":
            self._marked = False
        elif tag != "c":
            self._filters.end(tag)

    def result(self) -> SheetFacts:
        """The facts, once the whole sheet was read."""
        facts = self.facts
        facts.hidden_rows = self._marks.hidden() & self._filled
        facts.hidden_columns = self._columns.hidden()
        return facts

    def _describe_columns(self, attributes: dict[str, str]) -> None:
        first, last = number(attributes.get("min")) - 1, number(attributes.get("max")) - 1
        width = decimal(attributes.get("width"))
        hidden = true(attributes.get("hidden")) or (width is not None and width < LEAST_WIDTH)
        if hidden or width is not None:
            self._columns.add(first, last, hidden=hidden)

    def _start_row(self, attributes: dict[str, str]) -> None:
        self._row = number(attributes.get("r")) or self._row + 1
        self._column = -1
        height = decimal(attributes.get("ht"))
        height = self._usual_height if height is None else height
        self._marked = self._marks.add(
            self._row,
            hidden=true(attributes.get("hidden")) or (height is not None and height < LEAST_HEIGHT),
            level=number(attributes.get("outlineLevel")),
            collapsed=true(attributes.get("collapsed")),
        )

    def _start_cell(self, attributes: dict[str, str]) -> None:
        place = _PLACE.fullmatch(attributes.get("r", ""))
        if place:
            self._column = column_index(place[1])
            self._row = int(place[2])
        else:
            self._column += 1
        self._error = attributes.get("t") == "e"
        self._struck = attributes.get("s") in self._struck_styles

    def _value(self) -> None:
        facts = self.facts
        facts.cells += 1
        facts.last_row = max(facts.last_row, self._row)
        facts.last_column = max(facts.last_column, self._column)
        if self._marked:
            self._filled.add(self._row)
        if self._struck:
            facts.struck_rows.add(self._row)
        if self._error:
            self._mark(CellKind.ERROR)

    def _mark(self, kind: CellKind) -> None:
        """Note the kind of the row's ID cell; a formula is a formula whatever its result."""
        if self._column == self._id_index:
            self.facts.special.setdefault(self._row, kind)
