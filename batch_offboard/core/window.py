"""The hours in which unattended runs may send: weekdays, start and end in a named time zone, and frozen days.

Pure, except that without a named zone the machine's time zone is used. A window that ends on the next day (22:00 to
06:00) belongs to the day on which it opens. The hour that daylight saving time skips or repeats does not open a second
window; a window entirely within a skipped hour does not open on that day.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Final

from batch_offboard.base.clock import local_time

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

# How far ahead to look for the next opening; a window that never opens is a configuration error to report.
LOOK_AHEAD = 400  # days


@dataclass(frozen=True, slots=True)
class Span:
    """One opening of a window, in seconds since the epoch; the end is excluded."""

    opens: float
    closes: float


@dataclass(frozen=True, slots=True)
class Window:
    """When sending may start. `days` are weekdays (Monday is 0); the window does not open on `frozen` days; without
    `zone` the machine's time zone is used."""

    days: frozenset[int]
    start: time
    end: time
    zone: tzinfo | None
    frozen: frozenset[date] = frozenset()

    def span_at(self, now: float) -> Span | None:
        """The opening that contains this moment, or None."""
        return next((span for span in self._spans(now, before=2, ahead=1) if span.opens <= now < span.closes), None)

    def next_opening(self, now: float) -> Span | None:
        """The first opening after this moment; None if there is none for more than a year."""
        return next((span for span in self._spans(now, before=1, ahead=LOOK_AHEAD) if span.opens > now), None)

    def when_next(self, now: float) -> str:
        """When it opens next, as the end of a sentence, in the time of its zone."""
        coming = self.next_opening(now)
        return "it does not open again" if coming is None else f"it opens next at {self.shown(coming.opens)}"

    def shown(self, moment: float) -> str:
        """A moment in the time of its zone, with the offset from UTC: 2026-11-24 22:00+01:00."""
        return local_time(moment, self.zone, seconds=False)

    def openings_between(self, since: float, now: float) -> list[Span]:
        """The openings that started after `since` and are over at `now`, at most for the last LOOK_AHEAD days."""
        spans = self._spans(now, before=LOOK_AHEAD, ahead=1)
        return [span for span in spans if since < span.opens and span.closes <= now]

    def _spans(self, now: float, *, before: int, ahead: int) -> Iterator[Span]:
        today = datetime.fromtimestamp(now, self.zone).date()
        for offset in range(-before, ahead + 1):
            day = today + timedelta(days=offset)
            if day.weekday() in self.days and day not in self.frozen:
                span = self._span(day)
                if span.opens < span.closes:
                    yield span

    def _span(self, day: date) -> Span:
        """The opening of this day; if start and end are equal, it lasts a whole day."""
        last = day if self.end > self.start else day + timedelta(days=1)
        return Span(_moment(day, self.start, self.zone), _moment(last, self.end, self.zone))


def weekdays(text: str) -> frozenset[int]:
    """The days in `mon-fri`, `sat,sun`, `fri-mon` or `daily`, 0 for Monday. Raises ValueError."""
    words = text.strip().lower()
    if words == "daily":
        return frozenset(range(7))
    chosen: set[int] = set()
    for part in words.split(","):
        first, dash, last = (word.strip() for word in part.partition("-"))
        begin, end = DAYS.index(first), DAYS.index(last if dash else first)
        chosen.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return frozenset(chosen)


def _moment(day: date, at: time, zone: tzinfo | None) -> float:
    """The moment of this local time: the first one if clocks show it twice, and with the offset from before the change
    if they skip it (PEP 495, fold=0)."""
    return datetime.combine(day, at, zone).timestamp()
