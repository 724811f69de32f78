"""The audit record: who did what and when, each record chained to the one before it by a hash.

Pure. Changing, removing or moving a record breaks the chain at that place. Cutting off the end, or rebuilding the whole
chain, is detected with an anchor: the number and hash of a record, stored where the attacker has no access.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

GENESIS = "0" * 64  # stands for the hash of the record before the first


class Kind(StrEnum):
    """What a record is about."""

    PLANNED = "planned"  # a sheet became a batch
    APPROVED = "approved"  # a person approved a plan
    DENIED = "denied"  # a person denied it
    CLEARED = "cleared"  # the guards and the people agreed to send it
    REFUSED = "refused"  # one of them did not
    STARTED = "started"  # a run, a resumption, a repetition or a cancellation began
    ENDED = "ended"  # it ended; one that was killed has no such record
    INTENT = "intent"  # a call was about to be made
    OUTCOME = "outcome"  # its result
    SETTLED = "settled"  # the result of an unclear call, from the tenant's list or a person
    SKIPPED = "skipped"  # a row was taken out of a batch after it was planned
    RETRY = "retry"  # failed rows were made pending again
    FORGOTTEN = "forgotten"  # a plan that was never run was deleted


@dataclass(frozen=True, slots=True)
class Event:
    """An event to record. `at` is in seconds since the epoch, `content` is JSON-serializable."""

    kind: Kind
    at: float
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """One link of the chain. `at` is in whole microseconds since the epoch, `content` is canonical JSON, `previous` is
    the hash of the previous record."""

    number: int
    at: int
    kind: str
    content: str
    previous: str
    hash: str

    def as_dict(self) -> dict[str, int | str]:
        return {
            "number": self.number,
            "at": self.at,
            "kind": self.kind,
            "content": self.content,
            "previous": self.previous,
            "hash": self.hash,
        }


@dataclass(frozen=True, slots=True)
class Anchor:
    """Identifies one record and, by the chain, all before it: written as NUMBER:HASH."""

    number: int
    hash: str

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> "Anchor":
        """The anchor that `text` is. Raises ValueError if it is not one."""
        found = re.fullmatch(r"([1-9][0-9]{0,17}):([0-9a-f]{64})", text.strip().lower())
        if found is None:
            raise ValueError("an anchor is the number of a record, a colon, and its hash of 64 hexadecimal digits")
        return cls(int(found[1]), found[2])


START = Anchor(0, GENESIS)

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


def canonical(content: Mapping[str, Any] | Sequence[Any]) -> str:
    """The canonical JSON of a content: sorted keys, no whitespace, ASCII only, one line."""
    return _canonical(content)


def digest(number: int, at: int, kind: str, content: str, previous: str) -> str:
    """SHA-256 over all fields of a record, separated by line feeds."""
    whole = f"{number}\n{at}\n{kind}\n{content}\n{previous}"
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()


def instant(wall: float) -> int:
    """Seconds since the epoch in whole microseconds, since an integer has only one text form."""
    return round(wall * 1e6)


def chained(events: Iterable[Event], last: Anchor) -> Iterator[Record]:
    """The records of these events, to follow the record at `last`; `START` if there is none."""
    number, previous = last.number, last.hash
    for event in events:
        number += 1
        at, kind, content = instant(event.at), event.kind.value, canonical(event.content)
        own = digest(number, at, kind, content, previous)
        yield Record(number, at, kind, content, previous, own)
        previous = own


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a verification: how many records are intact, the last of them, and the first problem.

    `broken` is the number of the record with the problem, which may be one that is missing at the end.
    """

    records: int
    last: Anchor
    broken: int | None = None
    problem: str = ""

    @property
    def intact(self) -> bool:
        return self.broken is None


def verify(records: Iterable[Record], anchors: Sequence[Anchor] = ()) -> Finding:
    """Follow the chain from its start to the first problem, or to its end. It must contain all `anchors`."""
    expected: dict[int, set[str]] = {}
    for anchor in anchors:
        expected.setdefault(anchor.number, set()).add(anchor.hash)
    last = START
    for record in records:
        problem = _problem(record, last)
        if not problem and expected.pop(record.number, {record.hash}) != {record.hash}:
            problem = "is not the record that the anchor names; the chain was rebuilt"
        if problem:
            return Finding(last.number, last, last.number + 1, f"Record {last.number + 1} {problem}.")
        last = Anchor(record.number, record.hash)
    if not expected:
        return Finding(last.number, last)
    missing = min(expected)
    problem = f"The record ends with number {last.number}, but the anchor names number {missing}; the end was cut off."
    return Finding(last.number, last, last.number + 1, problem)


def _problem(record: Record, last: Anchor) -> str:
    if record.number != last.number + 1:
        return f"is missing; number {record.number} is in its place"
    if record.previous != last.hash:
        return "does not follow the one before it"
    if record.hash != digest(record.number, record.at, record.kind, record.content, record.previous):
        return "was changed: its content does not match its hash"
    return ""
