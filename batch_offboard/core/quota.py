"""The quota's arithmetic: when may the next call be made, and how long do many calls take?

Pure: the time is passed in, in ticks (seconds of a monotonic clock). The call log alone guarantees the quota: a call
holds a slot of each window from before it is sent until `period` after it *ended*. Whichever moment in between the
server counts as its arrival, and whether it uses fixed windows, sliding windows or a bucket of the same size, it never
sees more calls than the quota. Pacing only spreads the calls within that limit.
"""

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

# Two machines' clocks may drift apart at the rate at which NTP slews them, 500 parts per million.
CLOCK_DRIFT = 0.0005

# The log frees a slot a little later than `period`, since the duration of the call is added. Pacing at the quota's
# exact rate would add its own last minute to that delay, and the run would end late by both.
DRIP = 1.5

# A 429 that the log does not explain means that others use the same quota: each reduces the pace by a quarter.
STEP = 0.75
STEPS_REMEMBERED = 24 * 3600.0  # seconds
MOST_STEPS = 100  # the slowest pace is reached long before, and a few thousand would overflow a float

TYPICAL_LATENCY = 0.2  # seconds; the assumed duration of a call before any was measured

DEFAULT_HOLD = 60.0  # seconds, for a 429 that does not say how long to wait


@dataclass(frozen=True, slots=True)
class Window:
    """At most `calls` in any `period` seconds."""

    calls: int
    period: float
    name: str

    @property
    def held(self) -> float:
        """Seconds for which a call holds its slot after it has ended."""
        return self.period * (1 + CLOCK_DRIFT)


@dataclass(frozen=True, slots=True)
class QuotaLimits:
    """A configured quota: calls per minute, calls per hour, and the size of the burst.

    `share` (0 to 1) is our part of the quota; the rest is left to other programs of the same application.
    """

    per_minute: int = 100
    per_hour: int = 1500
    burst: int = 1
    share: float = 1.0

    @property
    def minute(self) -> Window:
        return Window(max(1, int(self.per_minute * self.share)), 60.0, "minute")

    @property
    def hour(self) -> Window:
        return Window(max(1, int(self.per_hour * self.share)), 3600.0, "hour")

    @property
    def windows(self) -> tuple[Window, Window]:
        return (self.minute, self.hour)

    def interval(self, steps: int) -> float:
        """Seconds between two calls once the burst is used up, with the pace reduced by `steps`.

        Never longer than the hour's mean interval, since the hour's window enforces that anyway.
        """
        quickest = self.minute.period / (self.minute.calls * DRIP)
        slowest = max(quickest, self.hour.period / self.hour.calls)
        return min(quickest / STEP ** min(steps, MOST_STEPS), slowest)


class CallLog:
    """Which slots of the windows are taken. Times are in ticks; an open call holds its slots until it ends."""

    def __init__(self, windows: Sequence[Window], ended: Iterable[float] = ()) -> None:
        self._windows = tuple(windows)
        self._longest = max(window.held for window in self._windows)
        self._ended = sorted(ended)
        self._open = 0

    @property
    def ended(self) -> Sequence[float]:
        """The ticks at which calls ended, ascending, at least for the length of the longest window."""
        return tuple(self._ended)

    def start(self) -> None:
        self._open += 1

    def give_back(self) -> None:
        """Free the slots of a call that was not made."""
        self._open -= 1

    def end(self, at: float) -> None:
        self._open -= 1
        insort(self._ended, at)
        # Old entries are deleted in large batches, since deleting moves the whole list.
        stale = bisect_right(self._ended, at - self._longest)
        if stale > 1024:
            del self._ended[:stale]

    def used(self, window: Window, now: float) -> int:
        return self._open + len(self._ended) - bisect_right(self._ended, now - window.held)

    def full(self, now: float) -> bool:
        return any(self.used(window, now) >= window.calls for window in self._windows)

    def free_at(self, now: float, *windows: Window) -> float:
        """When each of these windows, by default all, has a free slot: `now`, later, or inf if that depends on when an
        open call ends."""
        return max(self._window_free_at(window, now) for window in windows or self._windows)

    def blocking(self, now: float) -> Window | None:
        """The window that delays the next call most, or None if it may be made now."""
        at, window = max(((self._window_free_at(w, now), w) for w in self._windows), key=lambda pair: pair[0])
        return window if at > now else None

    def _window_free_at(self, window: Window, now: float) -> float:
        surplus = self.used(window, now) - window.calls
        if surplus < 0:
            return now
        oldest = bisect_right(self._ended, now - window.held)
        last_to_expire = oldest + surplus
        return self._ended[last_to_expire] + window.held if last_to_expire < len(self._ended) else inf


@dataclass(slots=True)
class Holds:
    """What 429 answers require: no call until a time, and a slower pace for a day.

    `steps` are the ticks of the 429 answers that the log did not explain.
    """

    until: float = -inf
    steps: list[float] = field(default_factory=list)

    def pace(self, now: float) -> int:
        """By how many steps the pace is reduced."""
        return sum(1 for at in self.steps if now - at < STEPS_REMEMBERED)

    def throttled(self, now: float, *, started: float, wait: float, explained: bool) -> bool:
        """Record a 429 of a call that started at `started`; true if it reduces the pace.

        A call that was in flight at an earlier 429 belongs to the same incident and does not reduce it again.
        """
        self.until = max(self.until, now + wait)
        stepped = not explained and (not self.steps or started > self.steps[-1])
        if stepped:
            self.steps.append(now)
            del self.steps[:-MOST_STEPS]
        return stepped


def bucket_level(capacity: float, period: float, calls: Iterable[float], now: float) -> float:
    """The level at `now` of a leaky bucket that received one drop at each of the ticks in `calls` (ascending)."""
    level, last = 0.0, -inf
    for at in calls:
        level = max(0.0, level - (at - last) * capacity / period) + 1 if last > -inf else 1.0
        last = at
    return max(0.0, level - (now - last) * capacity / period) if last > -inf else 0.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds from now until the first call, the last call, and the end of the last call."""

    first_call: float
    last_call: float
    end: float


@dataclass(slots=True)
class _Line:
    """The calls in flight in a forecast, oldest first."""

    log: CallLog
    ends: deque[float] = field(default_factory=deque)

    def settle(self, now: float) -> None:
        while self.ends and self.ends[0] <= now:
            self.log.end(self.ends.popleft())

    def begin(self, now: float, latency: float) -> None:
        self.log.start()
        self.ends.append(now + latency)


def forecast(
    limits: QuotaLimits,
    calls: int,
    *,
    ended: Iterable[float] = (),
    now: float = 0.0,
    hold_until: float = -inf,
    steps: int = 0,
    latency: float = TYPICAL_LATENCY,
    workers: int = 8,
) -> Forecast:
    """Simulate `calls` calls against the quota with the arithmetic that also admits the real ones.

    `ended` are the ticks of earlier calls, `latency` is the duration of a call in seconds. After two full hours the
    schedule repeats every hour, so whole hours are skipped instead of simulated.
    """
    if calls <= 0:
        return Forecast(0.0, 0.0, 0.0)
    hour = limits.hour
    skipped = max(0, (calls - 2 * hour.calls) // hour.calls - 1)
    line = _Line(CallLog(limits.windows, ended))
    first = last = max(now, hold_until)
    interval = limits.interval(steps)
    for number in range(calls - skipped * hour.calls):
        earliest = last + (interval if number >= limits.burst else 0.0)
        last = _admit(line, earliest, workers)
        first = last if number == 0 else first
        line.begin(last, latency)
    last += skipped * (hour.held + latency)
    return Forecast(first - now, last - now, last + latency - now)


def _admit(line: _Line, earliest: float, workers: int) -> float:
    """The first moment from `earliest` on at which a worker and a slot of each window are free."""
    at = earliest
    line.settle(at)
    while True:
        free = line.log.free_at(at)
        if len(line.ends) >= workers or free == inf:
            at = max(at, line.ends[0])
        elif free > at:
            at = free
        else:
            return at
        line.settle(at)
