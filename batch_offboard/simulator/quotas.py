"""The service's count of calls, by the four methods that a service may use.

Pure arithmetic on the arrival times that are passed in; it never reads a clock and never waits. How the real service
counts is not documented, so a client must work with each method.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

SECOND = 1_000_000_000  # internal times are whole nanoseconds: sums of floats would drift over an hour of calls

# A float of seconds since the epoch has a resolution of a quarter of a microsecond, so a call that is exactly on time
# may seem that much too early.
_RESOLUTION = 1_000


class QuotaMode(StrEnum):
    """How calls are counted against a limit per period."""

    SLIDING = "sliding"  # at most the limit in any period
    FIXED = "fixed"  # at most the limit in each whole period of the clock
    BUCKET = "bucket"  # a token bucket, refilled at the limit's rate up to the limit
    SMOOTH = "smooth"  # no burst: one call each period / limit


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A refused call: the limit that refused it, its period and the wait until the next call, in seconds."""

    limit: int
    period: int
    retry_after: int  # rounded up


class Window(Protocol):
    """One limit. `wait` and `take` are passed the arrival time in nanoseconds, which never decreases."""

    @property
    def limit(self) -> int: ...

    @property
    def period(self) -> int: ...

    def wait(self, now: int) -> int:
        """Nanoseconds until a call would be accepted; 0 if now."""

    def take(self, now: int) -> None:
        """Count a call."""


class SlidingWindow:
    """At most `limit` calls in any half-open interval of `period` nanoseconds."""

    def __init__(self, limit: int, period: int) -> None:
        self.limit, self.period = limit, period
        self._arrivals: deque[int] = deque(maxlen=limit)

    def wait(self, now: int) -> int:
        if len(self._arrivals) < self.limit:
            return 0
        return max(0, self._arrivals[0] + self.period - now)

    def take(self, now: int) -> None:
        self._arrivals.append(now)


class FixedWindow:
    """At most `limit` calls in each period, counted in whole periods from the epoch."""

    def __init__(self, limit: int, period: int) -> None:
        self.limit, self.period = limit, period
        self._index = -1
        self._count = 0

    def wait(self, now: int) -> int:
        if self._index_at(now) != self._index or self._count < self.limit:
            return 0
        return (self._index + 1) * self.period - now

    def take(self, now: int) -> None:
        index = self._index_at(now)
        self._count = self._count + 1 if index == self._index else 1
        self._index = index

    def _index_at(self, now: int) -> int:
        # A call that seems to arrive just before the change of periods belongs to the new one.
        return (now + _RESOLUTION) // self.period


class TokenBucket:
    """A bucket that starts full; a call takes one token, `limit` tokens are added per period.

    The level is an integer: the nanoseconds of refilling times `limit`, so that one token equals `period`.
    """

    def __init__(self, limit: int, period: int, size: int) -> None:
        self.limit, self.period = limit, period
        self._size = self._level = size
        self._since: int | None = None

    def wait(self, now: int) -> int:
        missing = self.period - self._level_at(now)
        return max(0, -(-missing // self.limit))

    def take(self, now: int) -> None:
        self._level = max(0, self._level_at(now) - self.period)
        self._since = now

    def _level_at(self, now: int) -> int:
        dripped = 0 if self._since is None else (now - self._since) * self.limit
        return min(self._size, self._level + dripped)


class Quota:
    """All limits of one group of operations: a call must pass each of them."""

    def __init__(self, windows: Sequence[Window], *, count_refused: bool = False) -> None:
        self._windows = tuple(windows)
        self._count_refused = count_refused
        self._latest = 0

    def admit(self, now: float) -> Exceeded | None:
        """Count a call that arrives at `now` (seconds since the epoch), or return the limit that refuses it."""
        self._latest = max(self._latest, round(now * SECOND))
        arrival = self._latest
        wait = max((window.wait(arrival) for window in self._windows), default=0)
        if wait <= _RESOLUTION:
            self._take(arrival)
            return None
        if self._count_refused:
            self._take(arrival)
        return self._exceeded(arrival)

    def _take(self, arrival: int) -> None:
        for window in self._windows:
            window.take(arrival)

    def _exceeded(self, arrival: int) -> Exceeded:
        tightest = max(self._windows, key=lambda window: window.wait(arrival))
        wait = tightest.wait(arrival)
        return Exceeded(tightest.limit, tightest.period // SECOND, max(1, -(-wait // SECOND)))


def make_quota(
    mode: QuotaMode, limits: Sequence[tuple[int, int]], *, tolerance: float = 0.0, count_refused: bool = False
) -> Quota:
    """A quota of (calls, seconds) limits; without limits every call is admitted.

    `tolerance`: by how many seconds a call may be early in the smooth mode.
    """
    windows = [_window(mode, limit, period * SECOND, round(tolerance * SECOND)) for limit, period in limits]
    return Quota(windows, count_refused=count_refused)


def _window(mode: QuotaMode, limit: int, period: int, tolerance: int) -> Window:
    if mode is QuotaMode.SLIDING:
        return SlidingWindow(limit, period)
    if mode is QuotaMode.FIXED:
        return FixedWindow(limit, period)
    if mode is QuotaMode.BUCKET:
        return TokenBucket(limit, period, size=limit * period)
    return TokenBucket(limit, period, size=period + tolerance * limit)
