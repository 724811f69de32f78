"""Wraps text for a terminal: between words, with a hanging indent.

Pure. Words and commands in backticks are never split, so that a path, an ID or a command can be copied; the terminal
wraps whatever is longer than a line.
"""

import re
import unicodedata
from collections.abc import Iterator

NARROWEST = 40  # columns; wrapping at fewer helps nobody

# The prefix of a line's text: its indent, and the cells of a table, which two spaces separate.
_BEFORE = re.compile(r" *(?:\S+(?: \S+)* {2,})*")
_OF_A_SENTENCE = 2  # columns; the hanging indent of a sentence without cells before it


def folded(text: str, width: int) -> str:
    """The text with no line wider than `width` columns, except for longer words."""
    return text if width < NARROWEST else "\n".join(_line(line, width) for line in text.split("\n"))


def display_width(text: str) -> int:
    """The width of a text on a terminal in columns; East Asian characters take two."""
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
    """The words between single spaces; a command in backticks is one word, spaces included."""
    parts: list[str] = []
    for part in text.split(" "):
        parts.append(part)
        if sum(each.count("`") for each in parts) % 2 == 0:
            yield " ".join(parts)
            parts = []
    yield from parts  # after an unclosed backtick


def _before(line: str, width: int) -> str:
    """The hanging indent; if its cells leave no room for text, a line counts as a sentence without cells."""
    match = _BEFORE.match(line)
    before = match[0] if match else ""
    if display_width(before) <= width // 2:
        return before
    return line[: len(line) - len(line.lstrip())]


def _hanging(before: str) -> str:
    return " " * (display_width(before) + (0 if before.strip() else _OF_A_SENTENCE))
