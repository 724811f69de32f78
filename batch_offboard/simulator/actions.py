"""A machine action. Its status at a given time is computed, never stored.

An action's course depends only on the seed, its ID and the device, so the same rehearsal always ends in the same way,
and another process can continue an action.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from batch_offboard.simulator.timestamps import stamp

DAY = 86_400.0


class ActionStatus(StrEnum):
    """The service's statuses, in its spelling."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    TIME_OUT = "TimeOut"
    CANCELLED = "Cancelled"


OPEN = frozenset({ActionStatus.PENDING, ActionStatus.IN_PROGRESS})


@dataclass(frozen=True, slots=True)
class Pace:
    """How devices execute their actions; ranges and times in seconds, shares from 0 to 1.

    An inactive device, and one of the share `timed_out`, never picks up its action, which ends as `TimeOut` after
    `time_out_after`. How long the real service waits is not documented; for other actions it is three days.
    """

    pick_up: tuple[float, float] = (5.0, 60.0)
    work: tuple[float, float] = (5.0, 120.0)
    failed: float = 0.0
    timed_out: float = 0.0
    time_out_after: float = 3 * DAY


@dataclass(frozen=True, slots=True)
class Course:
    """The course of an action if it is not cancelled; times in seconds since the epoch."""

    picked_up: float
    ended: float
    end: ActionStatus


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Who cancelled an action, when and why."""

    at: float
    requestor: str
    comment: str


@dataclass(slots=True)
class Action:
    """A machine action as the service stores it."""

    id: str
    machine_id: str
    computer_name: str | None
    comment: str
    requestor: str
    created: float
    course: Course
    type: str = "Offboard"
    cancellation: Cancellation | None = None

    def status(self, at: float) -> ActionStatus:
        """The status at a given time, which may be in the past."""
        if self._cancelled(at):
            return ActionStatus.CANCELLED
        if at >= self.course.ended:
            return self.course.end
        return ActionStatus.IN_PROGRESS if at >= self.course.picked_up else ActionStatus.PENDING

    def is_open(self, at: float) -> bool:
        return self.status(at) in OPEN

    def as_json(self, at: float) -> dict[str, object]:
        """The object as the service returns it at a given time, with every field of recorded answers."""
        status = self.status(at)
        taken_back = self.cancellation if self._cancelled(at) else None
        failed = status is ActionStatus.FAILED
        return {
            "id": self.id,
            "type": self.type,
            "title": None,
            "requestor": self.requestor,
            "requestorComment": self.comment,
            "status": str(status),
            "machineId": self.machine_id,
            "computerDnsName": self.computer_name,
            "creationDateTimeUtc": stamp(self.created),
            "lastUpdateDateTimeUtc": stamp(self._last_change(at)),
            "cancellationRequestor": taken_back.requestor if taken_back else None,
            "cancellationComment": taken_back.comment if taken_back else None,
            "cancellationDateTimeUtc": stamp(taken_back.at) if taken_back else None,
            "errorHResult": -2147024891 if failed else 0,  # access denied, as a Windows HRESULT
            "scope": None,
            "externalId": None,
            "requestSource": "PublicApi",
            "relatedFileInfo": None,
            "commands": [],
            "troubleshootInfo": "The sensor service could not be stopped" if failed else None,
        }

    def _cancelled(self, at: float) -> bool:
        return self.cancellation is not None and at >= self.cancellation.at

    def _last_change(self, at: float) -> float:
        if self.cancellation is not None and self._cancelled(at):
            return self.cancellation.at
        changes = (self.created, self.course.picked_up, self.course.ended)
        return max(change for change in changes if change <= max(at, self.created))


def course_of(action_id: str, created: float, seed: int, pace: Pace, *, inactive: bool) -> Course:
    """The course of this action; always the same for the same arguments."""
    draw = Random(f"{seed}/{action_id}")  # noqa: S311  # a rehearsal must be repeatable; nothing here is secret
    fate = draw.random()
    picked_up = created + draw.uniform(*pace.pick_up)
    ended = picked_up + draw.uniform(*pace.work)
    if inactive or fate < pace.timed_out:
        return Course(math.inf, created + pace.time_out_after, ActionStatus.TIME_OUT)
    failed = fate < pace.timed_out + pace.failed
    return Course(picked_up, ended, ActionStatus.FAILED if failed else ActionStatus.SUCCEEDED)
