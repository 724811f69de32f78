"""The page's content: sentences, numbers and tables from the batch's facts and counts. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from batch_offboard.base.clock import readable_utc
from batch_offboard.base.durations import spoken_duration
from batch_offboard.core.plan import Reason
from batch_offboard.reports.history import History
from batch_offboard.reports.page.attention import Group
from batch_offboard.reports.page.drawing import (
    LIMITS,
    minutes_together,
    outcome_bar,
    spoken_timeline,
    timeline_picture,
)
from batch_offboard.reports.rows import (
    SIGNS,
    Outcome,
    PlannedDevices,
    ReasonCount,
    ReportHead,
    Step,
    Summary,
    next_steps,
    planned_headline,
    recent_words,
)
from batch_offboard.reports.timeline import MINUTE, Minutes, Run, Timeline

WIDE, NARROW = 1080, 360  # pixels of the timeline on a screen and on a phone
TIMES_LISTED = 48
RUNS_LISTED = 12
DIFFERENCES_LISTED = 50
PUNCTUAL = 0.02  # a run is as long as expected if it differs by less than this share, or by a few seconds

_STATES = {
    "planned": "Planned, nothing sent yet",
    "running": "Still running when this was written",
    "stopped": "Not finished",
    "finished": "Finished",
}


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """How many rows have this outcome. `share` is a percentage as text."""

    outcome: str
    word: str
    sign: str
    rows: int
    share: str


@dataclass(frozen=True, slots=True)
class Page:
    """All values for the template. Facts are pairs of a name and a text."""

    head: ReportHead
    history: History
    summary: Summary
    state: str
    headline: str
    bar: Markup
    outcomes: Sequence[OutcomeCount]
    steps: Sequence[Step]
    groups: Sequence[Group]
    reasons: Sequence[ReasonCount]
    facts: Sequence[tuple[str, str]]
    runs: Sequence[tuple[str, ...]]
    pictures: Sequence[Markup]
    timeline: str
    expected: str
    times: Sequence[tuple[str, ...]]
    statuses: Sequence[tuple[str, int]]
    differences: Sequence[str]
    elsewhere: str


def page_of(head: ReportHead, summary: Summary, groups: Sequence[Group]) -> Page:
    """The values for the whole page."""
    history, timeline = head.history, head.history.timeline
    statuses = sorted(history.actions.statuses.items(), key=lambda item: (-item[1], item[0]))
    return Page(
        head=head,
        history=history,
        summary=summary,
        state=_STATES.get(head.state, head.state),
        headline=headline(head, summary, groups),
        bar=outcome_bar(summary.outcomes),
        outcomes=[_counted(outcome, rows, summary.rows) for outcome, rows in summary.outcomes.items()],
        steps=list(_steps(head, summary)),
        groups=groups,
        reasons=summary.reasons,
        facts=[(name, text) for name, text in _facts(head) if text],
        runs=list(_run_lines(head)),
        pictures=[timeline_picture(timeline, width) for width in (WIDE, NARROW)] if timeline.stretches else [],
        timeline=spoken_timeline(timeline),
        expected=_expected(head),
        times=list(_times(timeline)),
        statuses=statuses,
        differences=list(_differences(history)),
        elsewhere=elsewhere(head),
    )


def headline(head: ReportHead, summary: Summary, groups: Sequence[Group]) -> str:
    """How the rows ended, or what a plan would do, in a few sentences."""
    submitted, rows = summary.outcomes[Outcome.SUBMITTED], summary.rows
    troubled = sum(group.count for group in groups)
    if not rows:
        return "There are no rows."
    if summary.planned is not None:
        return " ".join(_plan_sentences(head, summary.planned, troubled))
    begin = f"All {rows:,} rows were submitted" if submitted == rows else f"{submitted:,} of {rows:,} rows submitted"
    if not troubled:
        return f"{begin}; none needs attention."
    return f"{begin}; {troubled:,} {_needs(troubled)} attention."


def _plan_sentences(head: ReportHead, planned: PlannedDevices, troubled: int) -> Iterator[str]:
    yield planned_headline(planned)
    if planned.known:
        yield recent_words(planned)
    if planned.devices and head.expected is not None:
        yield f"A run takes about {_expected(head)}."
    if troubled:
        yield f"{troubled:,} {'row is' if troubled == 1 else 'rows are'} skipped and {_needs(troubled)} attention."


def _expected(head: ReportHead) -> str:
    return "" if head.expected is None else spoken_duration(head.expected)


def _needs(number: int) -> str:
    return "needs" if number == 1 else "need"


def elsewhere(head: ReportHead) -> str:
    """Where all rows are, for people who cannot use the page's table."""
    if head.beside:
        *others, last = head.beside
        before = f"{', '.join(others)} and " if others else ""
        return f"All rows are also in {before}{last}."
    return f"`batch-offboard report {head.batch_id} --format csv` writes all rows as a table."


def outcome_word(outcome: Outcome) -> str:
    return outcome.value.replace("_", " ")


def trouble_word(trouble: str) -> str:
    """A reason of ours as words for a heading; a code of the API stays as it is."""
    return trouble.replace("_", " ") if trouble in list(Reason) else trouble or "no reason was given"


def _counted(outcome: Outcome, rows: int, total: int) -> OutcomeCount:
    share = 100 * rows / total if total else 0.0
    return OutcomeCount(outcome.value, outcome_word(outcome), SIGNS[outcome], rows, share_words(share))


def share_words(share: float) -> str:
    """A percentage that is rounded to 0 or 100 only if it is exact."""
    if 0 < share < 1:
        return "under 1 %"
    return "over 99 %" if 99.5 <= share < 100 else f"{share:.0f} %"


def _steps(head: ReportHead, summary: Summary) -> Iterator[Step]:
    """The commands to type next; failed rows can also be repaired in a workbook and fed back."""
    count = summary.outcomes
    if head.refusals:
        return
    open_actions = head.history.actions.open
    for step in next_steps(
        head.batch_id,
        head.state,
        count,
        open_actions=open_actions,
        part_sent=head.part_sent,
    ):
        yield step
        if " retry " in step.command and head.table:
            rehearsal = " --simulate" if head.simulated else ""
            yield Step(
                f"batch-offboard run {head.table} --only failed{rehearsal}",
                "instead, when rows were repaired in that file",
            )


def _facts(head: ReportHead) -> Iterator[tuple[str, str]]:
    history, lookup = head.history, head.history.lookup
    yield "Batch", head.batch_id
    yield "Sheet", f"{head.source_name} ({history.source_kind})" if history.source_kind else head.source_name
    yield "Its SHA-256", head.source_sha256
    yield "Options", " ".join(history.options)
    yield "Guards overridden", "; ".join(head.overrides)
    yield "Tenant and application", head.tenant
    yield "API", head.api_url
    yield "Comment", head.comment
    yield "Planned", said_moment(head.planned_at)
    yield "Look-up", _lookup_words(head)
    yield "Of these devices", "; ".join(lookup.cautions)
    yield "Planned by", head.planned_by
    yield "Approved by", ", ".join(head.approved_by)
    yield "Denied by", "; ".join(head.denied)
    yield "Started", said_moment(head.started_at)
    yield "Ended", said_moment(head.ended_at)
    yield "Run by", ", ".join(head.run_by)
    yield "Expected duration", _expected(head)
    yield "Stopped because", history.halted_because
    yield "Report written", said_moment(head.written_at)
    yield "Audit record", head.audit
    yield "batch-offboard", head.tool_version


def said_moment(at: float | None) -> str:
    """A time as shown to readers of a file."""
    return "" if at is None else readable_utc(at)


def _lookup_words(head: ReportHead) -> str:
    lookup = head.history.lookup
    if lookup.why_not:
        return f"not done: {lookup.why_not}"
    if lookup.devices is None:
        return ""
    words = f"{lookup.devices:,} devices in the tenant, {lookup.onboarded or 0:,} onboarded, {said_moment(lookup.at)}"
    return f"{words}; machine actions not read: {lookup.no_actions}" if lookup.no_actions else words


def _run_lines(head: ReportHead) -> Iterator[tuple[str, ...]]:
    """For each run: when it began, its calls, its duration, the expected duration, and the difference in words."""
    runs = head.history.runs[-RUNS_LISTED:]
    for number, run in enumerate(runs, 1):
        devices = "device" if run.start.calls == 1 else "devices"
        yield (
            said_moment(run.start.at),
            f"{run.calls:,} for {run.start.calls:,} {devices}",
            "–" if run.took is None else spoken_duration(run.took),
            spoken_duration(run.start.expected),
            _punctuality(run, stopped=number == len(runs) and bool(head.history.halted_because)),
        )


def _punctuality(run: Run, *, stopped: bool) -> str:
    if run.took is None:
        return "no call was made"
    if stopped or run.calls < run.start.calls:
        return "stopped before the end"
    late = run.took - run.start.expected
    if abs(late) <= max(5.0, PUNCTUAL * run.start.expected):
        return "as expected"
    return f"{spoken_duration(abs(late))} {'longer' if late > 0 else 'shorter'}"


def _times(timeline: Timeline) -> Iterator[tuple[str, ...]]:
    """The timeline as a table: start, busiest minute, fullest hour, 429 responses."""
    together = max(minutes_together(timeline, TIMES_LISTED), 1)
    for stretch in timeline.stretches:
        for each in stretch.columns(together):
            yield (said_moment(each.at), _busiest(each), f"{each.hour:,}", f"{each.throttled:,}")


def _busiest(minutes: Minutes) -> str:
    others = f" and {minutes.others} of others" if minutes.others else ""
    return f"{minutes.calls}{others}"


def times_title(timeline: Timeline) -> str:
    """What a line of that table means."""
    together = max(minutes_together(timeline, TIMES_LISTED), 1)
    line, minute, hour = spoken_duration(together * MINUTE), LIMITS.minute.calls, LIMITS.hour.calls
    return f"Each line is {line}; allowed are {minute} calls a minute and {hour:,} an hour."


def _differences(history: History) -> Iterator[str]:
    found = history.actions.differences or ()
    yield from found[:DIFFERENCES_LISTED]
    if len(found) > DIFFERENCES_LISTED:
        yield f"And {len(found) - DIFFERENCES_LISTED} more; `batch-offboard show BATCH --json` lists them all."
