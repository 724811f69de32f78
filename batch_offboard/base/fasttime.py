"""An event loop whose waits pass N times faster than the machine's time, for rehearsals.

Everything that takes the time from the loop (sleeps, deadlines, token buckets, the embedded tenant) speeds up
together. Only waits are shortened, not the work itself: otherwise, at high speeds, a busy machine would look like a
server that does not answer. Never used with a real tenant, whose quota would not speed up.
"""

import asyncio
import selectors
import time
from collections.abc import Callable

# Selectors wait in whole milliseconds; shorter waits are added up until they make one.
SHORTEST_WAIT = 0.001


class _ImpatientSelector(selectors.DefaultSelector):
    """Waits for a fraction of the timeout; `gained`: seconds that the loop's time is ahead of the machine's."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed
        self._owed = 0.0
        self.gained = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return super().select(0)
        begun = time.monotonic()
        owed = None if timeout is None else timeout / self._speed + self._owed
        events = super().select(0 if owed is not None and owed < SHORTEST_WAIT else owed)
        waited = time.monotonic() - begun
        if timeout is None:
            passed = waited * self._speed
        elif events:
            passed = min(timeout, waited * self._speed)
        else:
            passed = timeout
            self._owed = max(-SHORTEST_WAIT, (owed or 0.0) - waited)
        self.gained += passed - waited
        return events


class FastLoop(asyncio.SelectorEventLoop):
    """An event loop whose waits are `speed` times shorter than its clock shows."""

    def __init__(self, speed: float) -> None:
        self._impatient = _ImpatientSelector(speed)
        super().__init__(self._impatient)

    def time(self) -> float:
        return super().time() + self._impatient.gained


def loop_factory(speed: float) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop factory for `asyncio.Runner`; None is the default loop, at the machine's speed."""
    return None if speed == 1 else lambda: FastLoop(speed)
