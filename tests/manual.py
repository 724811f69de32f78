"""The documents of the project: the commands and outputs that they show, and the rest of their text.

A block marked `console` whose lines begin with `$ ` is a session: commands, each with what it prints.
"""

import io
import re
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from batch_offboard.cli.entry import run_command_line

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
SHOWN_FOLDER = "/home/ann/leavers"  # stands for the folder in which a session ran

_BATCH = r"sim-[0-9]{8}-[0-9]{4}-[a-z]{4}"

# What differs from run to run, and its replacement.
_VARYING = [
    (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}[+-][0-9:]{5}"), "TIME"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "ACTION"),
    (re.compile(_BATCH), "BATCH"),
    (re.compile(r"(Pending|InProgress) when last seen"), "OPEN when last seen"),
]
# Progress lines: how many of them there are depends on the machine's speed.
_IN_BETWEEN = re.compile(r"^TIME .*([0-9]+ left(, waiting for .*)?|; next look in [0-9]+ s)$")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One command of a session, and what it prints on both streams."""

    arguments: tuple[str, ...]
    printed: str


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, kind: str) -> list[str]:
    """The contents of the page's blocks of a kind, without the indent of a list around them."""
    found = re.findall(rf"^( *)```{kind}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return ["".join(line.removeprefix(indent) for line in body.splitlines(keepends=True)) for indent, body in found]


def sessions(text: str) -> list[list[Exchange]]:
    return [list(_exchanges(block)) for block in blocks(text, "console") if block.startswith("$ ")]


def _exchanges(block: str) -> Iterator[Exchange]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, printed = part.partition("\n")
        program, *arguments = command.split()
        assert program == "batch-offboard", f"a session is of batch-offboard alone: {command}"
        yield Exchange(tuple(arguments), printed)


class Replay:
    """Types a page's sessions again, one after the other; each batch ID of the page stands for the one created now."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._batches: dict[str, str] = {}

    def type(self, exchange: Exchange) -> str:
        """What the command prints now, with the page's folder and batch IDs."""
        arguments = [self._batches.get(word, word) for word in exchange.arguments]
        printed = io.StringIO()
        with redirect_stdout(printed), redirect_stderr(printed):
            run_command_line(arguments)
        text = printed.getvalue().replace(str(self._folder), SHOWN_FOLDER)
        shown, now = (list(dict.fromkeys(re.findall(_BATCH, each))) for each in (exchange.printed, text))
        self._batches.update(zip(shown, now, strict=False))
        return text


def masked(text: str) -> str:
    """The text without what differs from run to run."""
    for pattern, word in _VARYING:
        text = pattern.sub(word, text)
    return "\n".join(line for line in text.splitlines() if not _IN_BETWEEN.match(line))
