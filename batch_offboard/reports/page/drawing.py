"""The page's pictures as SVG: the outcomes as one bar, and the calls against both windows of the quota.

Pure. Every picture has a text alternative. Sizes and colours are attributes and classes, since the page's policy allows
no style attributes. A picture has at most COLUMNS columns, however long the run was.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from math import ceil

from markupsafe import Markup

from batch_offboard.base.durations import spoken_duration
from batch_offboard.core.quota import QuotaLimits
from batch_offboard.reports.rows import Outcome
from batch_offboard.reports.timeline import MINUTE, Minutes, Timeline

COLUMNS = 360
LEAST_COLUMNS = 15  # so that the column of a run of one minute is not as wide as the picture
BREAK = 6  # space between two stretches, in columns
SMALLEST_SHARE = 0.6  # percent, so that three of 50,000 rows are still visible

LIMITS = QuotaLimits()  # the API's own, independent of the configured share

_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10_080, 43_200)  # minutes between two times
_LEFT, _RIGHT, _TOP, _HIGH, _BETWEEN, _BELOW = 44, 10, 22, 110, 34, 34
_LABEL_WIDTH = 64  # of a time on the axis, with its margins


def shares(counts: Sequence[int]) -> list[float]:
    """Percentages that add up to 100; every share above zero is wide enough to be visible."""
    total = sum(counts)
    if not total:
        return [0.0] * len(counts)
    raised = [max(100 * count / total, SMALLEST_SHARE) if count else 0.0 for count in counts]
    surplus = sum(raised) - 100
    widest = raised.index(max(raised))
    return [width - surplus if at == widest else width for at, width in enumerate(raised)]


def outcome_bar(outcomes: Mapping[Outcome, int]) -> Markup:
    """The counts as one bar, each outcome as wide as its share."""
    widths = shares(list(outcomes.values()))
    parts, at = [], 0.0
    for outcome, width in zip(outcomes, widths, strict=True):
        if width:
            parts.append(Markup('<rect class="fill-{}" x="{:.3f}%" width="{:.3f}%" height="100%"/>').format(
                outcome.value, at, width
            ))  # fmt: skip
        at += width
    words = ", ".join(f"{count} {_spoken(outcome)}" for outcome, count in outcomes.items() if count) or "no rows"
    bar = Markup('<svg class="bar" role="img" aria-label="{}" width="100%" height="26">{}</svg>')
    return bar.format(words, Markup().join(parts))


def timeline_picture(timeline: Timeline, width: int) -> Markup:
    """Calls per minute and per rolling hour, one above the other, over the same time."""
    plan = _layout(timeline, width)
    minutes = _Panel(_TOP, LIMITS.minute.calls, max(LIMITS.minute.calls, timeline.fullest_minute))
    hours = _Panel(_TOP + _HIGH + _BETWEEN, LIMITS.hour.calls, max(LIMITS.hour.calls, timeline.fullest_hour))
    own = "".join(_bar(plan, minutes, at, each.calls, 0) for at, each in plan.columns if each.calls)
    others = "".join(_bar(plan, minutes, at, each.others, each.calls) for at, each in plan.columns if each.others)
    parts = [
        *_scale(minutes, width, "Calls in each minute", f"{LIMITS.minute.calls} a minute"),
        *_scale(hours, width, "Calls in the hour before", f"{LIMITS.hour.calls:,} an hour"),
        Markup('<path class="others" d="{}"/>').format(others),
        Markup('<path class="own" d="{}"/>').format(own),
        *(Markup('<path class="hour" d="{}"/>').format(_area(plan, hours, part)) for part in plan.parts()),
        *_times(plan, hours.bottom),
        *_breaks(plan, (minutes, hours)),
        *_refusals(plan),
    ]
    picture = Markup('<svg class="w{0}" role="img" aria-label="{3}" viewBox="0 0 {0} {1}">{2}</svg>')
    return picture.format(width, hours.bottom + _BELOW, Markup().join(parts), spoken_timeline(timeline))


def spoken_timeline(timeline: Timeline) -> str:
    """The picture in a sentence."""
    said = (
        f"At most {timeline.fullest_minute} calls in any 60 seconds ({LIMITS.minute.calls} are allowed), and "
        f"{timeline.fullest_hour:,} in any hour ({LIMITS.hour.calls:,} are allowed)"
    )
    answers = "answer" if timeline.throttled == 1 else "answers"
    return f"{said}; {timeline.throttled or 'no'} {answers} asked to wait (429)."


# ── the layout ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Panel:
    """One of the two diagrams; `highest` is the value at its top."""

    top: int
    limit: int
    highest: int

    @property
    def bottom(self) -> int:
        return self.top + _HIGH

    def y(self, value: float) -> float:
        return self.bottom - _HIGH * value / (self.highest * 1.08)


@dataclass(frozen=True, slots=True)
class _Plan:
    """The positions: `columns` with their left edges, `breaks` with the duration of the gap that each represents."""

    right: float
    column: float
    columns: Sequence[tuple[float, Minutes]]
    breaks: Sequence[tuple[float, float]]
    minutes: int  # in each column

    def parts(self) -> Iterator[Sequence[tuple[float, Minutes]]]:
        """The columns from one break to the next."""
        edges = [0.0, *(at for at, _ in self.breaks), float("inf")]
        for left, right in pairwise(edges):
            yield [(at, each) for at, each in self.columns if left <= at < right]


def minutes_together(timeline: Timeline, columns: int = COLUMNS) -> int:
    """How many minutes share a column, for at most this number of columns."""
    room = max(1, columns - BREAK * (len(timeline.stretches) - 1))
    together = max(1, ceil(timeline.minutes / room))
    while sum(ceil(len(stretch.minutes) / together) for stretch in timeline.stretches) > room:
        together += 1
    return together


def _layout(timeline: Timeline, width: int) -> _Plan:
    together = minutes_together(timeline, min(COLUMNS, (width - _LEFT - _RIGHT) // 2))
    drawn = [list(stretch.columns(together)) for stretch in timeline.stretches]
    breaks = BREAK * max(0, len(drawn) - 1)
    column = (width - _LEFT - _RIGHT) / max(LEAST_COLUMNS, sum(map(len, drawn)) + breaks)
    columns, gaps, at = [], [], float(_LEFT)
    for number, stretch in enumerate(drawn):
        if number:
            silence = timeline.stretches[number].began - timeline.stretches[number - 1].ended
            gaps.append((at, silence))
            at += BREAK * column
        for each in stretch:
            columns.append((at, each))
            at += column
    return _Plan(width - _RIGHT, column, columns, gaps, together)


# ── the drawing ─────────────────────────────────────────────────────────────────────────────────────────


def _bar(plan: _Plan, panel: _Panel, at: float, value: int, below: int) -> str:
    gap = min(1.0, plan.column / 5)
    top, bottom = panel.y(value + below), panel.y(below)
    return f"M{at:.1f} {bottom:.1f}V{top:.1f}h{plan.column - gap:.1f}V{bottom:.1f}z"


def _area(plan: _Plan, panel: _Panel, columns: Sequence[tuple[float, Minutes]]) -> str:
    if not columns:
        return ""
    steps = "".join(f"L{at:.1f} {panel.y(each.hour):.1f}h{plan.column:.1f}" for at, each in columns)
    return f"M{columns[0][0]:.1f} {panel.bottom}{steps}V{panel.bottom}z"


def _scale(panel: _Panel, width: int, title: str, limit: str) -> Iterator[Markup]:
    """The panel's title, its axis with values, and the line of the quota's limit."""
    right, y = width - _RIGHT, panel.y(panel.limit)
    yield Markup('<text class="title" x="{}" y="{}">{}</text>').format(_LEFT, panel.top - 8, title)
    for value in (0, panel.limit // 2, panel.limit):
        yield Markup('<text x="{}" y="{:.1f}" text-anchor="end">{:,}</text>').format(
            _LEFT - 6, panel.y(value) + 4, value
        )
        yield Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(_LEFT, panel.y(value), right)
    yield Markup('<path class="limit" d="M{} {:.1f}H{}"/>').format(_LEFT, y, right)
    yield Markup('<text class="limit-word" x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
        right, panel.top - 8, limit
    )


def _times(plan: _Plan, bottom: int) -> Iterator[Markup]:
    """Times below the axis, as many as there is room for; the first of a new day has the date."""
    step = _step(plan)
    free, day = 0.0, ""
    for left, each in plan.columns:
        minute = int(each.at // MINUTE)
        into = -minute % step
        at = left + into / plan.minutes * plan.column
        if into >= plan.minutes or at < free or at > plan.right - _LABEL_WIDTH / 2:
            continue
        when = datetime.fromtimestamp((minute + into) * MINUTE, UTC)
        hour, date = when.strftime("%H:%M"), when.strftime("%d %b")
        yield Markup('<path class="tick" d="M{0:.1f} {1}v5"/><text x="{0:.1f}" y="{2}">{3}</text>').format(
            at, bottom, bottom + 17, hour
        )
        if date != day:
            yield Markup('<text class="date" x="{:.1f}" y="{}">{}</text>').format(at, bottom + 30, date)
        free, day = at + _LABEL_WIDTH, date


def _step(plan: _Plan) -> int:
    """Minutes between two times on the axis, so that they do not overlap."""
    wanted = _LABEL_WIDTH / plan.column * plan.minutes
    return next((step for step in _STEPS if step >= wanted), _STEPS[-1])


def _breaks(plan: _Plan, panels: Sequence[_Panel]) -> Iterator[Markup]:
    """A line in each panel where time is left out, and in the first one its duration, as vertical text that fits the
    panel's height, so that neither overlaps the titles."""
    first = panels[0]
    for at, silence in plan.breaks:
        middle = at + BREAK * plan.column / 2
        words = spoken_duration(silence) if silence > 0 else "clock set back"
        line = "".join(f"M{middle:.1f} {panel.top}V{panel.bottom}" for panel in panels)
        yield Markup(
            '<path class="break" d="{1}"/>'
            '<text class="silence" transform="translate({0:.1f} {2}) rotate(-90)" text-anchor="middle">{3}</text>'
        ).format(middle, line, (first.top + first.bottom) / 2, words)


def _refusals(plan: _Plan) -> Iterator[Markup]:
    """A mark at each column with a 429 response."""
    marks = "".join(
        f"M{at + plan.column / 2 - 5:.1f} {_TOP - 4}h10l-5 9z" for at, each in plan.columns if each.throttled
    )
    if marks:
        yield Markup('<path class="refused" d="{}"/>').format(marks)


def _spoken(outcome: Outcome) -> str:
    return outcome.value.replace("_", " ")
