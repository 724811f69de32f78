"""Text folded for a terminal: between words, and with what follows under what it continues.

Pure. A word is never cut, nor is a command in backticks, so that a path, an ID or a command can be copied; what is
longer than a line is left to the terminal.
"""

import re
import unicodedata
from collections.abc import Iterator

NARROWEST = 40  # columns; below that nothing would be gained

# What stands before the text of a line: its indent, and the cells of a table, which two blanks set apart.
_BEFORE = re.compile(r" *(?:\S+(?: \S+)* {2,})*")
_OF_A_SENTENCE = 2  # columns that a sentence without cells before it is indented by from its second line on


def folded(text: str, width: int) -> str:
    """The text with no line wider than `width` columns, as far as its words allow."""
    return text if width < NARROWEST else "\n".join(_line(line, width) for line in text.split("\n"))


def display_width(text: str) -> int:
    """The columns that a text takes on a terminal; East Asian characters take two."""
    if text.isascii():
        return len(text)
    return sum(_columns_of(character) for character in text)


def _columns_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _line(line: str, width: int) -> str:
    if display_width(line) <= width:
        return line
    before = _before(line, width)
    lines, here, begun = [], before, False
    for word in _words(line[len(before) :]):
        wider = f"{here} {word}" if begun else f"{here}{word}"
        if begun and display_width(wider) > width:
            lines.append(here.rstrip())
            wider = f"{_hanging(before)}{word}"
        here, begun = wider, True
    return "\n".join([*lines, here.rstrip()])


def _words(text: str) -> Iterator[str]:
    """What stands between single blanks; a command in backticks is one word with its blanks."""
    parts: list[str] = []
    for part in text.split(" "):
        parts.append(part)
        if sum(each.count("`") for each in parts) % 2 == 0:
            yield " ".join(parts)
            parts = []
    yield from parts  # those after a backtick that is never closed


def _before(line: str, width: int) -> str:
    """What the folded lines are indented by; a line of many cells is a sentence where they leave it no room."""
    match = _BEFORE.match(line)
    before = match[0] if match else ""
    if display_width(before) <= width // 2:
        return before
    return line[: len(line) - len(line.lstrip())]


def _hanging(before: str) -> str:
    return " " * (display_width(before) + (0 if before.strip() else _OF_A_SENTENCE))
