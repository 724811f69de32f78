"""How far a run is, as values, and whoever shows them."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Progress:
    """One moment of a run.

    Times are seconds since the epoch on the run's own clock, which is not the machine's in a rehearsal:
    `speed` says how many of its seconds pass in one of ours. `minute` and `hour` are calls used and calls
    allowed in the two windows. `left` are the jobs whose outcome is not known, those in flight included.
    """

    total: int
    submitted: int
    failed: int
    in_doubt: int
    left: int
    in_flight: int
    minute: tuple[int, int]
    hour: tuple[int, int]
    waiting_for: str | None  # "minute quota", "Retry-After of the server", …; None while calls are going out
    waiting_until: float | None
    eta: float | None
    now: float
    simulated: bool = False
    speed: float = 1.0
    draining: bool = False  # nothing new starts, calls in flight are being finished

    @property
    def done(self) -> int:
        """Jobs whose outcome is known, be it a doubt."""
        return max(0, self.total - self.left)


class Observer(Protocol):
    """Told of a run by whoever runs it. Never raises: nobody looking is no reason to stop.

    `started` comes first and `finished` last, also when the run ends with an exception (a terminal is put in
    order there). `changed` is cheap; call it at every change and about once a second while nothing changes,
    so that a countdown moves.
    """

    def started(self, batch_id: str, progress: Progress) -> None: ...

    def changed(self, progress: Progress) -> None: ...

    def said(self, text: str) -> None: ...

    def finished(self, progress: Progress) -> None: ...
