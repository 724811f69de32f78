"""One companion for each workbook format: it protects the reader and finds the facts that the reader does not return.

A companion runs before the reader loads anything into memory, and never reads a value itself.
"""

from typing import Final, Protocol

from batch_offboard.base.errors import InputError
from batch_offboard.core.devices import shown
from batch_offboard.core.rows import CellKind
from batch_offboard.sheets import ods, xls, xlsb, xlsx
from batch_offboard.sheets.archive import Archive
from batch_offboard.sheets.ods import refuse_encrypted_document
from batch_offboard.sheets.package import relation_targets, understood
from batch_offboard.sheets.sheet_facts import SheetFacts


class Companion(Protocol):
    """What the workbook reader needs in addition to the values."""

    kind: str
    notes: tuple[str, ...]
    content: bytes  # what the reader opens

    def guard(self) -> None:
        """Raise InputError if a reader should not open the workbook."""

    def facts(self, sheet: str, id_index: int | None) -> SheetFacts:
        """The facts about the sheet's rows and its ID column."""

    def errors(self, sheet: str, id_index: int | None) -> dict[int, CellKind]:
        """The rows whose ID cell is an error value, which the reader shows as empty."""


def companion_for(content: bytes, name: str) -> Companion:
    """The companion for a workbook of these bytes; raises InputError for other archives."""
    if not content.startswith(b"PK"):
        return XlsCompanion(content, name)
    archive = Archive(content, name)
    plain = understood(content, archive)
    if plain is not content:
        content, archive = plain, Archive(plain, name)
    if sum(part in archive for part in ("xl/workbook.xml", "xl/workbook.bin", "content.xml")) > 1:
        # The reader tries one format after another, so what was checked might not be what is read.
        raise InputError(f"{name} is two kinds of workbook at once; save the list again as XLSX or CSV.")
    if "xl/workbook.xml" in archive:
        return XlsxCompanion(content, archive, name)
    if "xl/workbook.bin" in archive:
        return XlsbCompanion(content, archive, name)
    refuse_encrypted_document(archive, name)
    if "content.xml" in archive and b"opendocument.spreadsheet" in _mimetype(archive):
        return OdsCompanion(content, archive, name)
    what, remedy = _other_archive(archive)
    raise InputError(f"{name} is {what}, not a spreadsheet; {remedy}.")


class XlsxCompanion:
    """XLSX and XLSM: a quick search over each sheet decides whether it has to be parsed."""

    kind = "XLSX"

    def __init__(self, content: bytes, archive: Archive, name: str) -> None:
        self.content = content
        self._archive = archive
        self._name = name
        self._parts = xlsx.sheet_parts(archive)
        self._scans = {part: xlsx.SheetScan() for part in self._parts.values()}
        macros = any(part.casefold().endswith("vbaproject.bin") for part in archive.names)
        self.notes: tuple[str, ...] = ("The workbook has macros; they were not run.",) if macros else ()

    def guard(self) -> None:
        self._archive.verify({part: scan.feed for part, scan in self._scans.items()})
        for part, scan in self._scans.items():
            extent = xlsx.sheet_facts(self._archive, part, None) if scan.irregular else scan.extent
            extent.refuse_scattered(self._name)

    def facts(self, sheet: str, id_index: int | None) -> SheetFacts:
        part = self._part(sheet)
        struck = xlsx.struck_styles(self._archive)
        if not self._scans[part].needs_parsing and not xlsx.holds_style(self._archive, part, struck):
            facts = SheetFacts()
        else:
            facts = xlsx.sheet_facts(self._archive, part, id_index, struck)
        facts.filters += xlsx.table_filters(self._archive, part)
        return facts

    def errors(self, sheet: str, id_index: int | None) -> dict[int, CellKind]:
        part = self._part(sheet)
        if id_index is None or not xlsx.holds_errors(self._archive, part):
            return {}
        return xlsx.sheet_facts(self._archive, part, id_index).special

    def _part(self, sheet: str) -> str:
        part = self._parts.get(sheet)
        if part is None:
            raise InputError(f"{self._name}: the sheet '{shown(sheet)}' has no content; save the list again.")
        return part


class XlsbCompanion:
    """XLSB: each sheet's binary records are scanned once before the reader opens it."""

    kind = "XLSB"
    notes: tuple[str, ...] = ()

    def __init__(self, content: bytes, archive: Archive, name: str) -> None:
        self.content = content
        self._archive = archive
        self._name = name
        targets = relation_targets(archive, "xl/workbook.bin")
        self._parts = {sheet: targets[key] for sheet, key in xlsb.bound_sheets(archive) if key in targets}

    def guard(self) -> None:
        self._archive.verify({})
        for part in self._parts.values():
            if part.casefold().endswith(".bin"):
                xlsb.sheet_facts(self._archive, part, None).refuse_scattered(self._name)

    def facts(self, sheet: str, id_index: int | None) -> SheetFacts:
        part = self._parts.get(sheet)
        if part is None:
            return SheetFacts()
        facts = xlsb.sheet_facts(self._archive, part, id_index)
        for table in xlsx.table_parts(self._archive, part):
            facts.filters += xlsb.sheet_facts(self._archive, table, None).filters
        return facts

    def errors(self, sheet: str, id_index: int | None) -> dict[int, CellKind]:
        return self.facts(sheet, id_index).special


class OdsCompanion:
    """ODS: the only content part is parsed, because repeated rows have to be counted anyway."""

    kind = "ODS"
    notes: tuple[str, ...] = ()

    def __init__(self, content: bytes, archive: Archive, name: str) -> None:
        self.content = content
        self._archive = archive
        self._name = name

    def guard(self) -> None:
        self._archive.verify({})
        for facts in ods.table_facts(self._archive).values():
            facts.refuse_scattered(self._name)

    def facts(self, sheet: str, id_index: int | None) -> SheetFacts:
        return ods.table_facts(self._archive, table=sheet, id_index=id_index).get(sheet, SheetFacts())

    def errors(self, sheet: str, id_index: int | None) -> dict[int, CellKind]:
        del sheet, id_index  # the reader shows errors as text
        return {}


class XlsCompanion:
    """XLS: the container's sector chains and the sheets' records are scanned before the reader opens it."""

    kind = "XLS"
    notes: tuple[str, ...] = ()

    def __init__(self, content: bytes, name: str) -> None:
        self.content = content
        self._stream = xls.workbook_stream(content, name)
        self._name = name
        self._sheets = xls.sheet_names(self._stream)

    def guard(self) -> None:
        for facts in xls.sheet_facts(self._stream, None):
            facts.refuse_scattered(self._name)

    def facts(self, sheet: str, id_index: int | None) -> SheetFacts:
        found = dict(zip(self._sheets, xls.sheet_facts(self._stream, id_index), strict=True))
        return found.get(sheet, SheetFacts())

    def errors(self, sheet: str, id_index: int | None) -> dict[int, CellKind]:
        return self.facts(sheet, id_index).special


def _mimetype(archive: Archive) -> bytes:
    return archive.read("mimetype", 1000) if "mimetype" in archive else b""


def _other_archive(archive: Archive) -> tuple[str, str]:
    """What an archive without a supported spreadsheet is, and what to do about it."""
    names = archive.names
    for start, what, remedy in _ARCHIVES:
        if any(name.startswith(start) for name in names):
            return what, remedy
    return "a ZIP archive", "unpack it and name the sheet in it"


_ARCHIVES: Final = (
    ("Index/", "an Apple Numbers document", "export it from Numbers as Excel or CSV"),
    ("Index.zip", "an Apple Numbers document", "export it from Numbers as Excel or CSV"),
    ("word/", "a Word document", "put the list into a sheet, as XLSX or CSV"),
    ("ppt/", "a PowerPoint document", "put the list into a sheet, as XLSX or CSV"),
    ("content.xml", "an OpenDocument file of another kind", "save the list as XLSX or CSV"),
)
