"""When the calls of a batch were made: the number of calls in each minute and each rolling hour, and each run.

Pure: calls are added one by one, in the order in which they began, and are not kept; only one entry for each minute of
work is kept. Times are seconds since the epoch, as in the journal.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

MINUTE, HOUR = 60.0, 3600.0  # seconds

# Waiting for the quota takes an hour at most; a longer gap means that the work was interrupted.
IDLE = 90 * MINUTE
STRETCHES = 12  # shown with breaks between them; if there are more, the shorter gaps are drawn to scale


@dataclass(frozen=True, slots=True)
class Call:
    """One call that used the quota. `own`: of the reported batch; other batches use the same quota."""

    began: float
    ended: float | None
    throttled: bool = False
    own: bool = True


@dataclass(frozen=True, slots=True)
class Start:
    """When a run began, with how many calls, and the seconds that these were expected to take."""

    at: float
    calls: int
    expected: float


@dataclass(slots=True)
class Run:
    """The result of a run: its own calls, and the end of the last of them."""

    start: Start
    calls: int = 0
    ended: float | None = None

    @property
    def took(self) -> float | None:
        """Seconds from the run's beginning to the end of its last call."""
        return None if self.ended is None else max(0.0, self.ended - self.start.at)


@dataclass(slots=True)
class Minutes:
    """One minute of the clock, or several together. `calls` and `others` are those of the busiest minute, `hour` the
    most calls in any 3,600 seconds that ended here, `throttled` the number of 429 responses."""

    at: float
    calls: int = 0
    others: int = 0
    hour: int = 0
    throttled: int = 0

    def join(self, later: "Minutes") -> None:
        if later.calls + later.others > self.calls + self.others:
            self.calls, self.others = later.calls, later.others
        self.hour = max(self.hour, later.hour)
        self.throttled += later.throttled


@dataclass(slots=True)
class Stretch:
    """Work without a long gap: every minute from its first call to its last."""

    minutes: list[Minutes] = field(default_factory=list)

    @property
    def began(self) -> float:
        return self.minutes[0].at

    @property
    def ended(self) -> float:
        return self.minutes[-1].at + MINUTE

    def columns(self, width: int) -> Iterator[Minutes]:
        """Its minutes, grouped by `width`."""
        for at in range(0, len(self.minutes), width):
            column = Minutes(self.minutes[at].at)
            for minute in self.minutes[at : at + width]:
                column.join(minute)
            yield column


@dataclass(frozen=True, slots=True)
class Timeline:
    """The whole timeline. `fullest_minute` and `fullest_hour` are the most calls of all batches in 60 and 3,600 s."""

    stretches: Sequence[Stretch] = ()
    calls: int = 0
    others: int = 0
    throttled: int = 0
    fullest_minute: int = 0
    fullest_hour: int = 0

    @property
    def minutes(self) -> int:
        return sum(len(stretch.minutes) for stretch in self.stretches)


class Chronicle:
    """Builds the timeline and the runs from the calls. A clock that was set back begins a new stretch."""

    def __init__(self, starts: Sequence[Start] = ()) -> None:
        self._runs = [Run(start) for start in sorted(starts, key=lambda start: start.at)]
        self._stretches: list[Stretch] = []
        self._last = 0.0
        self._minute, self._hour = _Rolling(MINUTE), _Rolling(HOUR)
        self._calls = self._others = self._throttled = 0

    def add(self, call: Call) -> None:
        if not self._stretches or not 0 <= call.began - self._last <= IDLE:
            self._begin(call.began)
        self._fill(call.began)
        self._last = call.began
        self._minute.add(call.began)
        minute = self._stretches[-1].minutes[-1]
        minute.hour = max(minute.hour, self._hour.add(call.began))
        minute.throttled += call.throttled
        self._throttled += call.throttled
        if call.own:
            minute.calls += 1
            self._calls += 1
            self._note_run(call)
        else:
            minute.others += 1
            self._others += 1

    def timeline(self) -> Timeline:
        return Timeline(
            _joined(self._stretches),
            self._calls,
            self._others,
            self._throttled,
            self._minute.most,
            self._hour.most,
        )

    def runs(self) -> Sequence[Run]:
        return tuple(self._runs)

    def _begin(self, at: float) -> None:
        if at < self._last:
            self._minute.forget()
            self._hour.forget()
        self._stretches.append(Stretch([Minutes(_floor(at))]))

    def _fill(self, until: float) -> None:
        """Add minutes without a call, in which the rolling hour decreases."""
        minutes = self._stretches[-1].minutes
        while minutes[-1].at + MINUTE <= until:
            at = minutes[-1].at + MINUTE
            minutes.append(Minutes(at, hour=self._hour.at(at)))

    def _note_run(self, call: Call) -> None:
        at = bisect_right(self._runs, call.began, key=lambda run: run.start.at) - 1
        if at >= 0:
            run = self._runs[at]
            run.calls += 1
            run.ended = max(run.ended or 0.0, call.ended or call.began)


class _Rolling:
    """How many calls began in the last `period` seconds, and the maximum so far."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._began: deque[float] = deque()
        self.most = 0

    def add(self, began: float) -> int:
        self._began.append(began)
        self.most = max(self.most, self.at(began))
        return len(self._began)

    def at(self, now: float) -> int:
        while self._began and self._began[0] <= now - self._period:
            self._began.popleft()
        return len(self._began)

    def forget(self) -> None:
        self._began.clear()


def _floor(at: float) -> float:
    return at - at % MINUTE


def _joined(stretches: Sequence[Stretch]) -> Sequence[Stretch]:
    """At most STRETCHES stretches: those with the shortest gaps between them are joined."""
    joined = list(stretches)
    while len(joined) > STRETCHES:
        at = min(range(1, len(joined)), key=lambda at: abs(joined[at].began - joined[at - 1].ended))
        joined[at - 1 : at + 1] = [Stretch([*joined[at - 1].minutes, *joined[at].minutes])]
    return tuple(joined)
