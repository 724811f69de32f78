"""Reads CSV and other separated text through pandas' C parser, in chunks, every cell as text.

The parser silently pads short rows and lets a stray quotation mark swallow lines; both are checked here.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

import pandas as pd

from batch_offboard.base.errors import InputError
from batch_offboard.core.devices import shown, trimmed
from batch_offboard.core.rows import CellKind, NotText, SourceRow
from batch_offboard.sheets.columns import Layout
from batch_offboard.sheets.dialect import Dialect, find_dialect, records
from batch_offboard.sheets.encodings import shown_encoding
from batch_offboard.sheets.head import HEAD_ROWS, HeadRow
from batch_offboard.sheets.intake import InputFile, changed, unreadable
from batch_offboard.sheets.survey import LONGEST_FIELD, Survey, survey_text
from batch_offboard.sheets.swallowed import LINE_END, RowLook, row_look

_CHUNK: Final = 10_000  # rows
_LARGEST_CHUNK: Final = 256 << 20  # bytes
_SURELY_FILLED: Final = 4  # characters, blanks aside: a row with such an ID cell is not blank


class TextTable:
    """A separated text file whose encoding and delimiter are known."""

    def __init__(self, file: InputFile) -> None:
        self.survey: Survey = survey_text(file)
        self._name = file.name
        self.dialect: Dialect = find_dialect(self.survey.sample)
        self.kind = f"CSV ({shown_encoding(self.survey.encoding)}, {self.dialect.name})"
        self._skipped = int(self.dialect.has_sep_line)
        self._widths: list[int] = []  # of the first non-blank records of one line each
        self._widest = 1

    def head(self) -> list[HeadRow]:
        """The first non-blank rows, each as wide as in the file (without empty cells at its end)."""
        listed = list(records(self.survey.sample, self.dialect.delimiter, HEAD_ROWS + 200))
        numbered = list(enumerate(listed, 1))[self._skipped :]
        for number, cells in numbered:
            self._widest = max(self._widest, len(cells))
            self._refuse_long(number, [[cell] for cell in cells])
        filled = [HeadRow(number, cells) for number, cells in numbered if any(map(trimmed, cells))]
        texts = [(len(cells), "".join(cells)) for _, cells in numbered]
        self._widths = [width for width, text in texts if trimmed(text) and not _has_break(text)]
        if not self._widths:  # every record has several lines, so the sample's lines are used
            lines = LINE_END.split(self.survey.sample)[self._skipped : HEAD_ROWS]
            self._widths = [len(line.split(self.dialect.delimiter)) for line in lines if trimmed(line)]
        return [*filled[:1], *map(_without_end, filled[1:HEAD_ROWS])]

    def rows(self, layout: Layout, head: Sequence[HeadRow], *, multiline_text: bool) -> Iterator[SourceRow]:
        """Yield all rows below the header that are not blank; may raise InputError at any row.

        `multiline_text`: everything below a line break in a cell is text, even what looks like rows.
        """
        records = _Records(self.survey, self.dialect)
        look = row_look(self.dialect.delimiter, layout, self._widths, head)
        check = None if multiline_text else _LineCheck(self._name, look, records.again())
        first = (layout.header_number or self._skipped) + 1
        for number, columns, spare in self._blocks(len(layout.columns)):
            if self.survey.needs_field_checks:
                self._refuse_long(number, [*columns, *spare])
                if check is not None:
                    check.block(number, [*columns, *spare])
            for cells in spare:
                self._refuse_wider(number, first, cells)
            above = max(first - number, 0)
            if above:
                columns = [column[above:] for column in columns]  # noqa: PLW2901 - the lines above the rows go
            if columns[0]:
                yield from _rows_of(max(number, first), columns, layout, records)

    def _blocks(self, width: int) -> Iterator[tuple[int, list[list[str]], list[list[str]]]]:
        """The file in blocks: number of the first record, the columns, and the columns beyond the layout."""
        with _HashedFile(self.survey) as raw:
            number = 1 + self._skipped
            for chunk in self._chunks(raw, max(width, self._widest) + 1):
                raw.since_chunk = 0
                columns = [chunk[index].tolist() for index in chunk]
                yield number, columns[:width], columns[width:]
                number += len(chunk)
            if raw.hexdigest() != self.survey.sha256:
                raise changed(self.survey.file)

    def _chunks(self, raw: "_HashedFile", width: int) -> Iterator[pd.DataFrame]:
        try:
            yield from pd.read_csv(
                io.BufferedReader(raw, 1 << 18),
                sep=self.dialect.delimiter,
                encoding=self.survey.encoding,
                header=None,
                names=list(range(width)),
                index_col=False,
                dtype=object,
                na_filter=False,
                skip_blank_lines=False,
                skiprows=self._skipped,
                chunksize=_CHUNK,
                engine="c",
            )
        except pd.errors.EmptyDataError:
            return
        except pd.errors.ParserError as error:
            raise self._unparsed(str(error)) from None
        except UnicodeDecodeError:
            raise InputError(f"{self._name} is not text in one encoding; save it again as CSV (UTF-8).") from None
        except OSError as error:
            raise unreadable(self.survey.file, error) from None

    def _unparsed(self, message: str) -> InputError:
        """The parser's message as InputError; it counts lines from 1, and rows of an open quotation from 0."""
        wide = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", message)
        if wide:
            return InputError(
                f"{self._name}, line {wide[2]}: the row has {wide[3]} cells, more than the header; repair the row."
            )
        quote = re.search(r"EOF inside string starting at row (\d+)", message)
        if quote:
            return InputError(
                f"{self._name}: a quotation mark near row {int(quote[1]) + 1 + self._skipped} is never closed; "
                "repair the row."
            )
        return InputError(f"{self._name} cannot be read as a table ({shown(message)}); save it again as CSV.")

    def _refuse_wider(self, number: int, first: int, spare: Sequence[str]) -> None:
        """Raise InputError for the first row below the header that is wider than the header."""
        if not any(spare):
            return
        for at, cell in enumerate(spare, number):
            if at >= first and trimmed(cell):
                raise InputError(
                    f"{self._name}, row {at}: the row has more cells than the header; "
                    "put quotation marks around the cell that holds the delimiter."
                )

    def _refuse_long(self, first: int, columns: Iterable[Sequence[str]]) -> None:
        """Raise InputError for a cell that is longer than any in a workbook."""
        for column in columns:
            lengths = list(map(len, column))
            longest = max(lengths, default=0)
            if longest > LONGEST_FIELD:
                raise InputError(
                    f"{self._name}, row {first + lengths.index(longest)}: a cell has {longest} characters, more than a "
                    "spreadsheet cell can hold; shorten it."
                )


class _LineCheck:
    """Checks every record of more than one line, in ascending order."""

    def __init__(self, name: str, look: RowLook, records: "_Records") -> None:
        self._name = name
        self._look = look
        self._records = records

    def block(self, first: int, columns: Sequence[Sequence[str]]) -> None:
        """Raise InputError for a record of the block in which a quotation mark has swallowed rows."""
        broken = [column for column in columns if _has_break("".join(column))]
        numbers = {at for column in broken for at, cell in enumerate(column) if _has_break(cell)}
        for at in sorted(numbers):
            number = first + at
            record = self._records.of(number)
            cells = [column[at] for column in columns]
            if record is None or _filled(record.cells) != _filled(cells):
                raise InputError(
                    f"{self._name}, row {number}: the quotation marks can be read in more than one way; repair the row."
                )
            if self._look.swallowed(record.lines, record.cells):
                raise InputError(
                    f"{self._name}, row {number}: a quotation mark has swallowed the lines that follow; repair the "
                    "row, or add --multiline-text if they are text in a cell."
                )


def _has_break(text: str) -> bool:
    return "\n" in text or "\r" in text


def _filled(cells: Sequence[str]) -> list[str]:
    """The cells up to the last one that is not empty."""
    end = len(cells)
    while end and not cells[end - 1]:
        end -= 1
    return list(cells[:end])


def _rows_of(number: int, columns: Sequence[list[str]], layout: Layout, records: "_Records") -> Iterator[SourceRow]:
    """The rows of one block; there is a fast path for the usual block, in which every ID cell is filled."""
    count = len(columns[0])
    names = [""] * count if layout.name_index is None else columns[layout.name_index]
    ids = [""] * count if layout.id_index is None else columns[layout.id_index]
    rows = map(SourceRow, range(number, number + count), ids, names, zip(*columns, strict=True))
    if min(map(len, map(str.strip, ids))) > _SURELY_FILLED:
        return rows
    return _less_usual(rows, layout.id_index, records)


def _less_usual(rows: Iterator[SourceRow], id_index: int | None, records: "_Records") -> Iterator[SourceRow]:
    """The rows without the blank ones; distinguishes a row that ends before its ID from one with an empty ID."""
    for row in rows:
        if not trimmed("".join(row.cells)):
            continue
        if id_index is not None and not row.device_id and records.width_of(row.number) <= id_index:
            yield replace(row, device_id=NotText(CellKind.MISSING, ""))
        else:
            yield row


@dataclass(frozen=True, slots=True)
class _Record:
    """One record of the file: its lines with their ends, and its actual number of cells."""

    lines: Sequence[str]
    cells: Sequence[str]


class _Records:
    """Access to single records of the file, in ascending order.

    A second reader advances to the record in question; most files never need it.
    """

    def __init__(self, survey: Survey, dialect: Dialect) -> None:
        self._survey = survey
        self._dialect = dialect
        self._reader: Iterator[_Record] | None = None
        self._next = 1

    def again(self) -> "_Records":
        """Another reader, from the beginning."""
        return _Records(self._survey, self._dialect)

    def of(self, number: int) -> _Record | None:
        """The record with this number, or None if there is none that can be read."""
        if self._reader is None:
            self._reader = self._opened()
        ahead = number - self._next
        self._next = number + 1
        try:
            return next(islice(self._reader, ahead, None), None)
        except (csv.Error, UnicodeDecodeError):
            return None

    def width_of(self, number: int) -> int:
        """The record's actual number of cells."""
        record = self.of(number)
        return 0 if record is None else len(record.cells)

    def _opened(self) -> Iterator[_Record]:
        with _HashedFile(self._survey) as raw:
            text = io.TextIOWrapper(io.BufferedReader(raw), self._survey.encoding, newline="")
            lines: list[str] = []
            for cells in csv.reader(_noted(text, lines), delimiter=self._dialect.delimiter):
                yield _Record(tuple(lines), cells)
                lines.clear()


def _noted(text: Iterable[str], lines: list[str]) -> Iterator[str]:
    for line in text:
        lines.append(line)
        yield line


class _HashedFile(io.RawIOBase):
    """The bytes of the file's text for a parser, without the marks at its ends, hashed as they pass."""

    def __init__(self, survey: Survey) -> None:
        super().__init__()
        self.since_chunk = 0
        self._file = survey.file
        self._left = survey.length
        self._digest = hashlib.sha256()
        self._opened = survey.file.path.open("rb", buffering=0)
        self._digest.update(self._opened.read(survey.mark_length))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override] # narrower on purpose
        if self._left == 0:
            self._digest.update(self._opened.read())  # the end-of-file mark, or what was appended meanwhile
            return 0
        count = self._opened.readinto(memoryview(buffer)[: self._left])
        self._left -= count
        self._digest.update(memoryview(buffer)[:count])
        self.since_chunk += count
        if self.since_chunk > _LARGEST_CHUNK:
            raise InputError(
                f"{self._file.name} has rows of many megabytes; it is not a list of devices; name another file."
            )
        return count

    def hexdigest(self) -> str:
        """The SHA-256 of what was read."""
        return self._digest.hexdigest()

    def close(self) -> None:
        if not self.closed:
            self._opened.close()
        super().close()


def within_header(layout: Layout, head: Sequence[HeadRow], name: str) -> Layout:
    """The layout with at most as many columns as the header; cells beyond it would have no name."""
    lengths = [len(row.cells) for row in head if row.number == layout.header_number]
    width = lengths[0] if lengths else len(layout.columns)
    if max(layout.id_index or 0, layout.name_index or 0) >= width:
        raise InputError(f"{name}: the rows are wider than the header; repair the header.")
    return replace(layout, columns=layout.columns[:width])


def _without_end(row: HeadRow) -> HeadRow:
    end = len(row.cells)
    while end and not trimmed(row.key(end - 1)):
        end -= 1
    return HeadRow(row.number, row.cells[:end])
