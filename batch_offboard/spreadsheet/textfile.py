"""Reads CSV and other separated text through pandas' C parser, in chunks, every cell as text.

The parser fills short rows silently and lets a stray quotation mark swallow lines; both are checked here.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

import pandas as pd

from batch_offboard.devices import shown, trimmed
from batch_offboard.errors import InputError
from batch_offboard.rows import CellKind, NotText, SourceRow
from batch_offboard.spreadsheet.columns import HEAD_ROWS, HeadRow, Layout
from batch_offboard.spreadsheet.dialect import Dialect, find_dialect, records
from batch_offboard.spreadsheet.encodings import shown_encoding
from batch_offboard.spreadsheet.intake import InputFile, changed, unreadable
from batch_offboard.spreadsheet.survey import LONGEST_FIELD, Survey, survey_text

_CHUNK: Final = 10_000  # rows
_LARGEST_CHUNK: Final = 256 << 20  # bytes
_SURELY_FILLED: Final = 4  # characters, blanks aside: a row with such an ID cell is not blank
_ID_INSIDE = re.compile(r"[0-9A-Fa-f]{40}")


class TextTable:
    """A separated text file whose encoding and delimiter are known."""

    def __init__(self, file: InputFile) -> None:
        self.survey: Survey = survey_text(file)
        self._name = file.name
        self.dialect: Dialect = find_dialect(self.survey.sample)
        self.kind = f"CSV ({shown_encoding(self.survey.encoding)}, {self.dialect.name})"
        self._skipped = int(self.dialect.has_sep_line)
        self._widest = 1
        self._multiline_text = False

    def head(self) -> list[HeadRow]:
        """The first non-blank rows, each as wide as it is in the file (empty cells at its end left out)."""
        listed = list(records(self.survey.sample, self.dialect.delimiter, HEAD_ROWS + 200))
        numbered = list(enumerate(listed, 1))[self._skipped :]
        for number, cells in numbered:
            self._widest = max(self._widest, len(cells))
            for cell in cells:
                self._check_length(number, cell)
        filled = [HeadRow(number, cells) for number, cells in numbered if any(map(trimmed, cells))]
        return [*filled[:1], *map(_without_end, filled[1:HEAD_ROWS])]

    def rows(self, layout: Layout, *, multiline_text: bool) -> Iterator[SourceRow]:
        """All rows below the header that are not blank, streamed; raises InputError on the way.

        `multiline_text`: whatever a cell holds below a line break is text, even what looks like rows.
        """
        self._multiline_text = multiline_text
        lengths = _RowLengths(self.survey, self.dialect)
        first = (layout.header_number or self._skipped) + 1
        for number, columns, spare in self._blocks(len(layout.columns)):
            for cells in spare:
                self._refuse_wider(number, first, cells)
            above = max(first - number, 0)
            if above:
                columns = [column[above:] for column in columns]  # noqa: PLW2901 - the lines above the rows go
            if columns[0]:
                yield from _rows_of(max(number, first), columns, layout, lengths)

    def _blocks(self, width: int) -> Iterator[tuple[int, list[list[str]], list[list[str]]]]:
        """The file in blocks: number of the first record, the columns, and the columns beyond."""
        with _HashedFile(self.survey.file, self.survey.mark_length) as raw:
            number = 1 + self._skipped
            for chunk in self._chunks(raw, max(width, self._widest) + 1):
                raw.since_chunk = 0
                columns = [chunk[index].tolist() for index in chunk]
                if self.survey.needs_field_checks:
                    self._check_fields(number, columns)
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
        """The parser's own words in ours; it counts lines from 1, and rows of an open quotation from 0."""
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

    def _check_fields(self, first: int, columns: Sequence[Sequence[str]]) -> None:
        for column in columns:
            for number, cell in enumerate(column, first):
                if len(cell) > 40:
                    self._check_field(number, cell)

    def _check_length(self, number: int, cell: str) -> None:
        if len(cell) > LONGEST_FIELD:
            raise InputError(
                f"{self._name}, row {number}: a cell holds {len(cell)} characters, which no sheet can; shorten it."
            )

    def _check_field(self, number: int, cell: str) -> None:
        """Raise InputError for a field that is too long, or in which a quotation mark has swallowed rows."""
        self._check_length(number, cell)
        if not self._multiline_text and ("\n" in cell or "\r" in cell) and self._swallowed(cell):
            raise InputError(
                f"{self._name}, row {number}: a quotation mark has swallowed the lines that follow; repair the row."
            )

    def _swallowed(self, cell: str) -> bool:
        lines = cell.splitlines()
        whole = (line for line in lines if self.dialect.delimiter in line)
        return any(_ID_INSIDE.search(line) for line in whole)


def _rows_of(number: int, columns: Sequence[list[str]], layout: Layout, lengths: "_RowLengths") -> Iterator[SourceRow]:
    """The rows of one block; the usual block, in which every ID cell is filled, takes the short way."""
    count = len(columns[0])
    names = [""] * count if layout.name_index is None else columns[layout.name_index]
    ids = [""] * count if layout.id_index is None else columns[layout.id_index]
    rows = map(SourceRow, range(number, number + count), ids, names, zip(*columns, strict=True))
    if min(map(len, map(str.strip, ids))) > _SURELY_FILLED:
        return rows
    return _less_usual(rows, layout.id_index, lengths)


def _less_usual(rows: Iterator[SourceRow], id_index: int | None, lengths: "_RowLengths") -> Iterator[SourceRow]:
    """The rows without the blank ones; a row that ends before its ID is told from one with an empty ID."""
    for row in rows:
        if not trimmed("".join(row.cells)):
            continue
        if id_index is not None and not row.device_id and lengths.of(row.number) <= id_index:
            yield replace(row, device_id=NotText(CellKind.MISSING, ""))
        else:
            yield row


class _RowLengths:
    """How many cells a row really has: asked only for rows whose ID seems empty, in rising order.

    A second reader follows the file up to the row in question; most files never need it.
    """

    def __init__(self, survey: Survey, dialect: Dialect) -> None:
        self._survey = survey
        self._dialect = dialect
        self._reader: Iterator[list[str]] | None = None
        self._next = 1

    def of(self, number: int) -> int:
        if self._reader is None:
            self._reader = self._opened()
        ahead = number - self._next
        self._next = number + 1
        try:
            return len(next(islice(self._reader, ahead, None), []))
        except (csv.Error, UnicodeDecodeError):
            return 0

    def _opened(self) -> Iterator[list[str]]:
        with _HashedFile(self._survey.file, self._survey.mark_length) as raw:
            text = io.TextIOWrapper(io.BufferedReader(raw), self._survey.encoding, newline="")
            yield from csv.reader(text, delimiter=self._dialect.delimiter)


class _HashedFile(io.RawIOBase):
    """The file's bytes for a parser, without the byte order mark, hashed as they pass."""

    def __init__(self, file: InputFile, mark_length: int) -> None:
        super().__init__()
        self.since_chunk = 0
        self._file = file
        self._digest = hashlib.sha256()
        self._opened = file.path.open("rb", buffering=0)
        self._digest.update(self._opened.read(mark_length))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override] # narrower on purpose
        count = self._opened.readinto(buffer)
        self._digest.update(memoryview(buffer)[:count])
        self.since_chunk += count
        if self.since_chunk > _LARGEST_CHUNK:
            raise InputError(
                f"{self._file.name} has rows of many megabytes; it is no list of devices, so name another file."
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
    """The layout with no more columns than the header has; cells beyond it would have no name."""
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
