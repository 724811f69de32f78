"""Which of a batch's pending rows one run may send, if not all of them.

Pure. The other rows stay pending; a person left them out, so they are never sent without a person's order.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

LAST_ROW = 10**9  # greater than the number of any row

_PART = re.compile(r"\s*([0-9]{1,9})\s*(?:(-)\s*([0-9]{1,9})?\s*)?")


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person chose. `rows` are pairs of first and last row of the sheet, both included; empty means all.
    `limit` keeps only the first so many devices of them."""

    rows: tuple[tuple[int, int], ...] = ()
    limit: int | None = None

    def __bool__(self) -> bool:
        return bool(self.rows) or self.limit is not None

    @property
    def words(self) -> str:
        """The options as typed."""
        parts = [f"--rows {','.join(map(_typed, self.rows))}"] if self.rows else []
        return " ".join([*parts, *([f"--limit {self.limit}"] if self.limit is not None else [])])

    def within(self, rows: frozenset[int]) -> tuple[tuple[int, int], ...]:
        """The pairs, cut off after the last of `rows`, so that a later `of` selects no row beyond it."""
        last = max(rows, default=0)
        return tuple((first, min(end, last)) for first, end in self.rows or ((1, LAST_ROW),) if first <= last)

    def of(self, pending: Iterable[int]) -> frozenset[int]:
        """The rows that it selects of `pending`, which is in the sheet's order."""
        named = (row for row in pending if not self.rows or any(first <= row <= last for first, last in self.rows))
        return frozenset(islice(named, self.limit))


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows that a run may send; `words` says for the audit record how they were chosen."""

    rows: frozenset[int]
    words: str


def parse_rows(text: str) -> tuple[tuple[int, int], ...]:
    """The pairs in a text such as `2-20,25,40-`. Raises ValueError; its text is meant to follow the option's name."""
    parts = [_PART.fullmatch(part) for part in text.split(",")]
    pairs = tuple((int(part[1]), _last(part)) for part in parts if part is not None)
    if len(pairs) < len(parts) or any(first > last or first < 1 for first, last in pairs):
        raise ValueError("takes rows of the sheet such as 2-20, or 2-20,25")
    return pairs


def without_rows(rows: Sequence[tuple[int, int]], empty: Iterable[tuple[int, int]]) -> str:
    """The pairs that are in `empty`, as text: `row 7`, or `rows 40-50, 99`."""
    missing = set(empty)
    named = [_typed(pair) for pair in rows if pair in missing]
    return f"{'row' if len(named) == 1 and '-' not in named[0] else 'rows'} {', '.join(named)}"


def _last(part: re.Match[str]) -> int:
    if part[2] is None:
        return int(part[1])
    return LAST_ROW if part[3] is None else int(part[3])


def _typed(pair: tuple[int, int]) -> str:
    first, last = pair
    return str(first) if first == last else f"{first}-" if last == LAST_ROW else f"{first}-{last}"
