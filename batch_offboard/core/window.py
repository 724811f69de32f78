"""The hours in which unattended runs may send: weekdays, from and to in a named time zone, and days that are frozen.

Pure; only where no zone is named, the machine's own rules say what its clocks show. A window that ends on the next day
(22:00 to 06:00) belongs to the day on which it opens. The hour that daylight saving time skips or repeats opens no
second window; one that lies wholly in a skipped hour does not open on that day.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Final

from batch_offboard.base.clock import local_time

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

# The next opening is looked for so far ahead; a window that never opens is a mistake that somebody has to see.
LOOK_AHEAD = 400  # days


@dataclass(frozen=True, slots=True)
class Span:
    """One opening of a window: seconds since the epoch, the end not included."""

    opens: float
    closes: float


@dataclass(frozen=True, slots=True)
class Window:
    """When sending may begin. `days` are numbers of weekdays (Monday is 0), `frozen` days on which none opens; without
    a `zone` it is the machine's own."""

    days: frozenset[int]
    start: time
    end: time
    zone: tzinfo | None
    frozen: frozenset[date] = frozenset()

    def span_at(self, now: float) -> Span | None:
        """The opening that holds at this moment, or None."""
        return next((span for span in self._spans(now, before=2, ahead=1) if span.opens <= now < span.closes), None)

    def next_opening(self, now: float) -> Span | None:
        """The first opening that begins after this moment; None if none does for more than a year."""
        return next((span for span in self._spans(now, before=1, ahead=LOOK_AHEAD) if span.opens > now), None)

    def when_next(self, now: float) -> str:
        """When it opens next, in words that end a sentence, as clocks in its zone will show it."""
        coming = self.next_opening(now)
        return "it does not open again" if coming is None else f"it opens next at {self.shown(coming.opens)}"

    def shown(self, moment: float) -> str:
        """A moment as people in the zone write it, with the offset from UTC: 2026-11-24 22:00+01:00."""
        return local_time(moment, self.zone, seconds=False)

    def openings_between(self, since: float, now: float) -> list[Span]:
        """The openings that began after `since` and are over at `now`, those of the last year or so."""
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
        """From a time to itself is a whole day."""
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
    """The moment at which clocks in the zone show this time: of a time that they show twice the first, and of one that
    they skip as long after midnight as on any other day (PEP 495, fold=0)."""
    return datetime.combine(day, at, zone).timestamp()
