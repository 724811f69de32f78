"""An event loop whose time passes N times faster than the machine's, for rehearsals.

Everything that asks the loop for the time (sleeps, deadlines, token buckets, the embedded tenant) speeds up
together. Never used with a real tenant: its quota would not speed up.
"""

import asyncio
import selectors
from collections.abc import Callable


class _ImpatientSelector(selectors.DefaultSelector):
    """Waits for the machine's part of a wait in the loop's time."""

    speed = 1.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(None if timeout is None else timeout / self.speed)


class FastLoop(asyncio.SelectorEventLoop):
    """Its clock shows the machine's seconds times `speed`."""

    def __init__(self, speed: float) -> None:
        selector = _ImpatientSelector()
        selector.speed = speed
        self._speed = speed
        super().__init__(selector)

    def time(self) -> float:
        return super().time() * self._speed


def loop_factory(speed: float) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What `asyncio.Runner` makes its loop with; None is its own choice, at the machine's speed."""
    return None if speed == 1 else lambda: FastLoop(speed)
