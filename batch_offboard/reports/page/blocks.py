"""The rows as data for the page's own script: blocks of JSON that no text can break out of.

A row is an array in the order of FIELDS, without the look-up's fields if there was no result. Frequent texts (codes,
advice) are written once, in a list of words, and a row has the index there; so a number is the index of a word, and a
string is the text itself.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from math import floor
from typing import Any

from batch_offboard.base.text import visible
from batch_offboard.core.facts import DeviceFacts, remarks
from batch_offboard.reports.rows import Outcome, ReportHead, ReportRow, advice

FIELDS = (
    "row", "id", "name", "outcome", "action", "status", "code", "message", "http", "attempts", "submitted", "finished",
    "advice", "cells", "platform", "group", "tags", "seen", "remark",
)  # fmt: skip
WORDED = ("status", "code", "message", "advice", "platform", "group", "tags", "remark")

ROWS_OF_A_BLOCK = 2000
MOST_WORDS = 2000  # held in memory until the page is complete
LONGEST_WORD = 500  # characters

_OUTCOMES = {outcome: at for at, outcome in enumerate(Outcome)}
_ACTING = re.compile("[<>&]")


class Words:
    """Texts and their indexes; a text without an index is written in full."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int | str:
        at = self._places.get(text)
        if at is not None:
            return at
        if len(self._places) >= MOST_WORDS or len(text) > LONGEST_WORD:
            return text
        return self._places.setdefault(text, len(self._places))

    def as_list(self) -> list[str]:
        return list(self._places)


def row_blocks(rows: Iterable[ReportRow], head: ReportHead, words: Words) -> Iterator[str]:
    """The rows as JSON arrays of arrays, one for each block."""
    lines = (_line(row, head, words) for row in rows)
    while block := list(islice(lines, ROWS_OF_A_BLOCK)):
        yield script_json(block)


def script_json(value: object) -> str:
    """JSON on one line for a script element, without any `<`, so that nothing in it ends the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _ACTING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _line(row: ReportRow, head: ReportHead, words: Words) -> Sequence[Any]:
    return (
        row.row,
        visible(row.device_id),
        visible(row.device_name),
        _OUTCOMES[row.outcome],
        visible(row.machine_action_id),
        words.place(visible(row.action_status)),
        words.place(visible(row.error_code)),
        words.place(visible(row.error_message)),
        row.http_status,
        row.attempts,
        _second(row.submitted_at),
        _second(row.finished_at),
        words.place(advice(row, head.batch_id, is_plan=head.is_plan)),
        [visible(cell) for cell in row.cells],
        *_facts(row.facts, words),
    )


def _facts(facts: DeviceFacts | None, words: Words) -> Sequence[Any]:
    """Platform, group, tags, last seen and remarks; empty for a device that was not looked up."""
    if facts is None:
        return ()
    texts = [facts.platform, facts.group, ", ".join(facts.tags), remarks(facts)]
    platform, group, tags, remark = (words.place(visible(text)) for text in texts)
    return platform, group, tags, None if facts.last_seen is None else _second(facts.last_seen), remark


def _second(at: float | None) -> int | None:
    return None if at is None else floor(at)
