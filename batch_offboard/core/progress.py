"""The progress of a run as values, and the interface of an observer that shows them."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Progress:
    """A snapshot of a run.

    Times are in seconds since the epoch on the run's clock, which in a rehearsal runs `speed` times as fast as the
    machine's. `minute` and `hour` are calls used and calls permitted in the two windows. `left` counts the jobs without
    an outcome, including those in flight.
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
    draining: bool = False  # no new call starts, those in flight are finished

    @property
    def done(self) -> int:
        """Jobs with an outcome, including those in doubt."""
        return max(0, self.total - self.left)


class Observer(Protocol):
    """Receives the events of a run. Never raises: a failure to show them must not stop the run.

    `started` is called first and `finished` last, also if the run raises (a terminal is restored there). `changed` is
    cheap: it is called at every change, and about once a second without one so that a countdown moves.
    """

    def started(self, batch_id: str, progress: Progress) -> None: ...

    def changed(self, progress: Progress) -> None: ...

    def said(self, text: str) -> None: ...

    def finished(self, progress: Progress) -> None: ...
