"""The permission to make one call, and the recorded calls of a quota; `calls.gate` issues slots."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from batch_offboard.base.clock import Moment
from batch_offboard.base.errors import BatchOffboardError


@dataclass(frozen=True, slots=True)
class CallHistory:
    """What the journal stores about one quota: when its calls ended, and what its 429 answers required.

    `holds` are pairs of the time of a 429 and the seconds to wait from then, `steps` the times of those that the call
    log did not explain.
    """

    ended: Sequence[Moment] = ()
    holds: Sequence[tuple[Moment, float]] = ()
    steps: Sequence[Moment] = ()


class Slot:
    """The permission to make one call. The client uses it up, and sets `sent` before the first byte is sent: while that
    is false, the server cannot have received anything of the call."""

    __slots__ = ("_used", "is_too_late", "sent", "taken_at")

    def __init__(self, taken_at: Moment) -> None:
        self.taken_at = taken_at
        # Called right before the first byte, which is not sent if this returns true.
        self.is_too_late: Callable[[], bool] = lambda: False
        self.sent = False
        self._used = False

    def use(self) -> None:
        if self._used:
            raise BatchOffboardError("A slot of the quota cannot be used twice; this is a bug in the program.")
        self._used = True


@dataclass(frozen=True, slots=True)
class Standing:
    """How many slots of each window are taken, and why and until when (ticks) the next call waits, if it does."""

    minute: tuple[int, int]
    hour: tuple[int, int]
    waiting_for: str | None
    waiting_until: float | None
