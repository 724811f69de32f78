"""When a window is open: across midnight, on frozen days, at the ends of a week, and when clocks are changed."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from batch_offboard.core.window import LOOK_AHEAD, Span, Window, weekdays

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = 3600.0
EVERY_DAY = frozenset(range(7))
WORK_DAYS = frozenset(range(5))


def window(
    start: str = "22:00",
    end: str = "06:00",
    days: frozenset[int] = EVERY_DAY,
    frozen: frozenset[date] = frozenset(),
    zone: ZoneInfo = BERLIN,
) -> Window:
    return Window(days, time.fromisoformat(start), time.fromisoformat(end), zone, frozen)


def at(text: str, *, later: bool = False) -> float:
    """The moment of this local time in Berlin; the earlier one if there are two."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=int(later)).timestamp()


def shown(span: Span | None) -> tuple[str, str] | None:
    """An opening in Berlin's local time, with the offset from UTC."""
    if span is None:
        return None
    opens, closes = (datetime.fromtimestamp(moment, BERLIN) for moment in (span.opens, span.closes))
    return (opens.isoformat(timespec="minutes"), closes.isoformat(timespec="minutes"))


def test_a_window_within_a_day_holds_from_its_first_second_to_before_its_last() -> None:
    hours = window("08:00", "17:30")
    inside = [at("2026-11-24T08:00:00"), at("2026-11-24T17:29:59")]
    outside = [at("2026-11-24T07:59:59"), at("2026-11-24T17:30:00"), at("2026-11-24T00:00:00")]
    assert all(hours.span_at(moment) for moment in inside)
    assert not any(hours.span_at(moment) for moment in outside)


def test_a_window_across_midnight_is_one_opening() -> None:
    night = window().span_at(at("2026-11-24T23:59:59"))
    assert shown(night) == ("2026-11-24T22:00+01:00", "2026-11-25T06:00+01:00")
    assert window().span_at(at("2026-11-25T00:00:00")) == night
    assert window().span_at(at("2026-11-25T05:59:59")) == night
    assert window().span_at(at("2026-11-25T06:00:00")) is None


def test_a_night_belongs_to_the_day_on_which_it_opens() -> None:
    hours = window(days=WORK_DAYS)
    assert hours.span_at(at("2026-11-28T05:00:00")) is not None  # Saturday morning, of Friday's night
    assert hours.span_at(at("2026-11-28T23:00:00")) is None
    assert hours.span_at(at("2026-11-30T05:00:00")) is None  # Monday morning, of Sunday's night
    assert hours.span_at(at("2026-11-30T22:00:00")) is not None


def test_over_the_week_end_the_next_opening_is_on_monday() -> None:
    coming = window(days=WORK_DAYS).next_opening(at("2026-11-27T23:00:00"))
    assert shown(coming) == ("2026-11-30T22:00+01:00", "2026-12-01T06:00+01:00")


def test_on_a_frozen_day_no_window_opens_and_one_from_the_day_before_goes_on() -> None:
    hours = window(frozen=frozenset({date(2026, 12, 24)}))
    assert hours.span_at(at("2026-12-24T05:00:00")) is not None
    assert hours.span_at(at("2026-12-24T22:30:00")) is None
    assert hours.span_at(at("2026-12-25T05:00:00")) is None
    assert shown(hours.next_opening(at("2026-12-24T12:00:00"))) == ("2026-12-25T22:00+01:00", "2026-12-26T06:00+01:00")


def test_from_a_time_to_itself_is_a_whole_day() -> None:
    hours = window("06:00", "06:00", days=frozenset({0}))
    opening = hours.span_at(at("2026-11-30T06:00:00"))
    assert shown(opening) == ("2026-11-30T06:00+01:00", "2026-12-01T06:00+01:00")
    assert hours.span_at(at("2026-12-01T06:00:00")) is None


@pytest.mark.fault(49, "The window ends when clocks show its end.")
@pytest.mark.parametrize(
    ("evening", "hours"), [("2026-03-27", 8), ("2026-03-28", 7), ("2026-10-23", 8), ("2026-10-24", 9)]
)
def test_a_night_in_which_clocks_are_changed_ends_when_they_show_its_end(evening: str, hours: int) -> None:
    night = window().span_at(at(f"{evening}T23:00:00"))
    assert night is not None
    assert night.closes - night.opens == hours * HOUR


@pytest.mark.fault(49, "One window, not two.")
def test_the_hour_that_comes_twice_opens_no_second_window() -> None:
    hours = window("02:15", "02:45")
    assert hours.span_at(at("2026-10-25T02:30:00")) is not None
    assert hours.span_at(at("2026-10-25T02:30:00", later=True)) is None
    following = hours.next_opening(at("2026-10-25T02:30:00"))
    assert shown(following) == ("2026-10-26T02:15+01:00", "2026-10-26T02:45+01:00")


def test_an_end_in_the_hour_that_comes_twice_is_its_first() -> None:
    night = window("22:00", "02:30").span_at(at("2026-10-25T01:00:00"))
    assert shown(night) == ("2026-10-24T22:00+02:00", "2026-10-25T02:30+02:00")


@pytest.mark.fault(49, "The window opens.")
def test_a_window_that_begins_in_the_hour_that_is_skipped_opens_as_long_after_midnight_as_ever() -> None:
    opening = window("02:30", "05:00").span_at(at("2026-03-29T04:00:00"))
    assert shown(opening) == ("2026-03-29T03:30+02:00", "2026-03-29T05:00+02:00")


def test_a_window_that_is_over_before_it_begins_does_not_open_on_that_day() -> None:
    hours = window("02:30", "03:15")
    assert hours.span_at(at("2026-03-29T03:10:00")) is None
    assert shown(hours.next_opening(at("2026-03-28T12:00:00"))) == ("2026-03-30T02:30+02:00", "2026-03-30T03:15+02:00")
    over = hours.openings_between(at("2026-03-28T12:00:00"), at("2026-03-30T12:00:00"))
    assert [shown(span) for span in over] == [("2026-03-30T02:30+02:00", "2026-03-30T03:15+02:00")]


def test_openings_that_are_over_are_those_that_began_after_a_moment_and_have_ended() -> None:
    since, now = at("2026-11-23T22:00:05"), at("2026-11-26T23:00:00")
    over = window().openings_between(since, now)
    assert [shown(span) for span in over] == [
        ("2026-11-24T22:00+01:00", "2026-11-25T06:00+01:00"),
        ("2026-11-25T22:00+01:00", "2026-11-26T06:00+01:00"),
    ]
    assert window().openings_between(at("2026-11-25T22:00:05"), now) == []


def test_a_window_that_never_opens_has_no_next_opening() -> None:
    days = frozenset(date(2026, 11, 24) + timedelta(days=offset) for offset in range(-2, LOOK_AHEAD + 3))
    assert window(frozen=days).next_opening(at("2026-11-24T12:00:00")) is None
    assert window(days=frozenset()).next_opening(at("2026-11-24T12:00:00")) is None


def test_without_a_zone_the_machines_own_clocks_count() -> None:
    now = datetime(2026, 11, 24, 12, 0).astimezone()
    hours = Window(EVERY_DAY, time(11, 30), time(12, 30), None)
    assert hours.span_at(now.timestamp()) == Span(now.timestamp() - HOUR / 2, now.timestamp() + HOUR / 2)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon-fri", {0, 1, 2, 3, 4}),
        ("Mon, WED ,sat", {0, 2, 5}),
        ("fri-mon", {4, 5, 6, 0}),
        ("sun-sun", {6}),
        ("daily", set(range(7))),
    ],
)
def test_days_are_written_as_names_and_ranges(text: str, days: set[int]) -> None:
    assert weekdays(text) == days


@pytest.mark.parametrize("text", ["", "mon,", "-fri", "mon-", "monday", "1-5", "daily,mon", "mon-wed-fri"])
def test_what_names_no_days_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="tuple"):
        weekdays(text)


# -- what holds for every window and every moment --

ZONES = [UTC, BERLIN, *map(ZoneInfo, ("America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Casablanca"))]
TIMES = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))
DATES = st.dates(date(2026, 1, 1), date(2027, 12, 31))
WINDOWS = st.builds(
    Window, st.frozensets(st.integers(0, 6)), TIMES, TIMES, st.sampled_from(ZONES), st.frozensets(DATES, max_size=3)
)
MOMENTS = st.floats(at("2026-01-05T00:00:00"), at("2027-12-20T00:00:00"))


@given(WINDOWS, MOMENTS)
def test_an_opening_holds_the_moment_for_which_it_is_named_and_none_other_does(hours: Window, now: float) -> None:
    coming = hours.next_opening(now)
    assert coming is None or now < coming.opens < coming.closes
    span = hours.span_at(now)
    if span is not None:
        assert span.opens <= now < span.closes
        assert hours.span_at(span.opens) == span
        assert coming is None or span.closes <= coming.opens


@given(WINDOWS, MOMENTS, st.floats(0, 1))
def test_between_now_and_the_next_opening_nothing_opens(hours: Window, now: float, share: float) -> None:
    coming = hours.next_opening(now)
    assume(coming is not None)
    assert coming is not None
    between = now + share * (coming.opens - now)
    span = hours.span_at(between)
    assert span is None or span.opens <= now or span == coming


@given(WINDOWS, MOMENTS, st.floats(0, 30 * 24 * HOUR))
def test_openings_that_are_over_are_in_order_and_apart(hours: Window, now: float, length: float) -> None:
    over = hours.openings_between(now - length, now)
    assert all(one.closes <= two.opens for one, two in pairwise(over))
    assert all(now - length < span.opens < span.closes <= now for span in over)
    assert all(hours.span_at(span.closes - 1e-3) == span for span in over)


@given(WINDOWS, MOMENTS)
def test_away_from_changed_clocks_a_window_is_what_they_show(hours: Window, now: float) -> None:
    """Compared with the simple rule: today's window if it has started, or yesterday's if it ends after midnight."""
    here = datetime.fromtimestamp(now, hours.zone)
    around = [datetime.fromtimestamp(now + step * 12 * HOUR, hours.zone).utcoffset() for step in range(-6, 7)]
    assume(len(set(around)) == 1)

    def opens_on(day: date) -> bool:
        return day.weekday() in hours.days and day not in hours.frozen

    today, yesterday, clock = here.date(), here.date() - timedelta(days=1), here.time()
    overnight = hours.end <= hours.start
    begun = opens_on(today) and clock >= hours.start and (overnight or clock < hours.end)
    left_over = overnight and opens_on(yesterday) and clock < hours.end
    assert (hours.span_at(now) is not None) == (begun or left_over)
