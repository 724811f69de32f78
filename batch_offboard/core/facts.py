"""What the look-up says of a device that its row keeps: for whoever reads the plan, and no reason to refuse the device.

Pure values.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

EXAMPLES_KEPT = 3  # rows named for each caution


class Caution(StrEnum):
    """What an operator should know of a device that is going to be offboarded; no reason to refuse it."""

    SEEN_RECENTLY = "seen_recently"
    INACTIVE = "inactive"
    DEFENDER_FOR_CLOUD = "defender_for_cloud"
    OFFBOARDED_BEFORE = "offboarded_before"
    SENT_AGAIN = "sent_again"


# What follows a number of devices: of one, and of several.
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
    """What follows this number of devices."""
    one, several = CAUTIONS[caution]
    return one if devices == 1 else several


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What the look-up said of one device, as its row keeps it. `last_seen` is in seconds since the epoch."""

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
    """What is worth knowing of one device, but when it was seen, which stands beside it."""
    told = [each for each in facts.cautions if each is not Caution.SEEN_RECENTLY]
    return "; ".join(caution_words(each, 1) for each in told)


@dataclass(frozen=True, slots=True)
class CautionCount:
    """How many devices an operator should know something of, with the first rows."""

    devices: int
    rows: tuple[int, ...]


def count_cautions(marked: Iterable[tuple[int, Iterable[Caution]]]) -> dict[Caution, CautionCount]:
    """The cautions of these rows, which come in the sheet's order, in the order of the table."""
    devices: Counter[Caution] = Counter()
    rows: defaultdict[Caution, list[int]] = defaultdict(list)
    for row, cautions in marked:
        for caution in cautions:
            devices[caution] += 1
            if len(rows[caution]) < EXAMPLES_KEPT:
                rows[caution].append(row)
    return {caution: CautionCount(devices[caution], tuple(rows[caution])) for caution in Caution if devices[caution]}
