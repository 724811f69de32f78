"""Decides from the structure of a sample which character separates the columns of a text file."""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from batch_offboard.core.devices import trimmed

NO_DELIMITER: Final = "\x1f"  # a plain list: nothing separates columns
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", NO_DELIMITER: "one column"}
_RECORDS = 2000


@dataclass(frozen=True, slots=True)
class Dialect:
    """The delimiter, and whether the first line only declares it (`sep=;`, as Excel writes and reads it)."""

    delimiter: str
    has_sep_line: bool

    @property
    def name(self) -> str:
        """The delimiter in words."""
        return _NAMES.get(self.delimiter, "other")


def find_dialect(sample: str) -> Dialect:
    """Decide the dialect; without a delimiter that gives most rows the same width, the sample is a plain list."""
    first = sample.splitlines()[0] if sample else ""
    said = trimmed(first).strip('"')
    if said[:4].lower() == "sep=" and said[4:] in (",", ";", "\t", "|", ""):
        return Dialect(said[4:] or "\t", has_sep_line=True)
    best, delimiter = (0.5, 0), NO_DELIMITER
    for candidate in (",", ";", "\t", "|"):
        score = _score([record for record in records(sample, candidate, _RECORDS) if any(record)])
        if score > best:
            best, delimiter = score, candidate
    return Dialect(delimiter, has_sep_line=False)


def _score(listed: list[list[str]]) -> tuple[float, int]:
    """How well a delimiter fits: the share of records with the most frequent width, and that width."""
    widths = Counter(map(len, listed))
    width, _ = max(widths.items(), key=lambda item: (item[1], item[0]), default=(0, 0))
    agreeing = sum(len(record) == width for record in listed)
    header = len(listed[0]) if listed else 0
    like_header = sum(len(record) >= header and not any(record[header:]) for record in listed)
    if like_header > agreeing:
        width, agreeing = header, like_header
    return (round(agreeing / len(listed), 2), width) if width > 1 else (0.0, width)


def records(sample: str, delimiter: str, limit: int) -> Iterator[list[str]]:
    """The first records of the text, as the table reader will parse them."""
    reader = csv.reader(_lines(sample), delimiter=delimiter)
    for _ in range(limit):
        try:
            yield next(reader)
        except (StopIteration, csv.Error):
            return


def _lines(text: str) -> Iterator[str]:
    """The lines, ended by LF, CR or CRLF; other separators such as U+2028 stay inside a line."""
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        yield line + "\n"
