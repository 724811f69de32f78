"""What the look-up found about a device and its row keeps. It informs readers of the plan; it never refuses a device.

Pure values.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

EXAMPLES_KEPT = 3  # rows named for each caution


class Caution(StrEnum):
    """What an operator should know about a device to be offboarded; not a reason to refuse it."""

    SEEN_RECENTLY = "seen_recently"
    INACTIVE = "inactive"
    DEFENDER_FOR_CLOUD = "defender_for_cloud"
    OFFBOARDED_BEFORE = "offboarded_before"
    SENT_AGAIN = "sent_again"


# The phrase after a number of devices: singular and plural.
CAUTIONS: Mapping[Caution, tuple[str, str]] = {
    Caution.SEEN_RECENTLY: (
        "was seen in the last 7 days and may still be in use",
        "were seen in the last 7 days and may still be in use",
    ),
    Caution.INACTIVE: (
        "is inactive: its action waits until it connects, or expires",
        "are inactive: their actions wait until they connect, or expire",
    ),
    Caution.DEFENDER_FOR_CLOUD: (
        "is a virtual machine that Defender for Cloud may onboard again",
        "are virtual machines that Defender for Cloud may onboard again",
    ),
    Caution.OFFBOARDED_BEFORE: (
        "has an earlier offboard action that succeeded",
        "have an earlier offboard action that succeeded",
    ),
    Caution.SENT_AGAIN: ("was sent before and is sent again", "were sent before and are sent again"),
}


def caution_words(caution: Caution, devices: int) -> str:
    """The phrase to put after this number of devices."""
    one, several = CAUTIONS[caution]
    return one if devices == 1 else several


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What the look-up found about one device, as its row keeps it. `last_seen` is in seconds since the epoch."""

    platform: str
    group: str
    tags: tuple[str, ...]
    last_seen: float | None
    cautions: tuple[Caution, ...] = ()

    def as_json(self) -> list[Any]:
        return [self.platform, self.group, list(self.tags), self.last_seen, list(self.cautions)]

    @classmethod
    def from_json(cls, value: Sequence[Any]) -> "DeviceFacts":
        platform, group, tags, last_seen, cautions = value
        return cls(platform, group, tuple(tags), last_seen, tuple(map(Caution, cautions)))


def remarks(facts: DeviceFacts) -> str:
    """The cautions of one device as text, except when it was seen, which is shown in its own column."""
    shown = [each for each in facts.cautions if each is not Caution.SEEN_RECENTLY]
    return "; ".join(caution_words(each, 1) for each in shown)


@dataclass(frozen=True, slots=True)
class CautionCount:
    """How many devices have a caution, with the first of their rows."""

    devices: int
    rows: tuple[int, ...]


def count_cautions(marked: Iterable[tuple[int, Iterable[Caution]]]) -> dict[Caution, CautionCount]:
    """The cautions of these rows (in the sheet's order), counted, in the order of `Caution`."""
    devices: Counter[Caution] = Counter()
    rows: defaultdict[Caution, list[int]] = defaultdict(list)
    for row, cautions in marked:
        for caution in cautions:
            devices[caution] += 1
            if len(rows[caution]) < EXAMPLES_KEPT:
                rows[caution].append(row)
    return {caution: CautionCount(devices[caution], tuple(rows[caution])) for caution in Caution if devices[caution]}
