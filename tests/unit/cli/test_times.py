"""Times as people type them: a clock time, a date with a time, a duration."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.errors import ExitCode, UsageError
from batch_offboard.cli.times import deadline, moment_of, seconds_of

BERLIN = timezone(timedelta(hours=1))
NOW = datetime(2026, 11, 24, 22, 15, 30, 500, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("0s", 0),
        ("45m", 2700),
        ("45min", 2700),
        ("2h", 7200),
        ("3d", 259_200),
        ("1h30m", 5400),
        ("1d2h3m4s", 93_784),
        ("30m1h", 5400),
        ("1h 30m", 5400),
        (" 2 h ", 7200),
        ("1 H 30 Min", 5400),
        ("999999s", 999_999),
    ],
)
def test_duration(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


NO_DURATIONS = [
    "", " ", "2", "h", "m5", "-5m", "+5m", "1.5h", "1,5h", "2 hours", "5mins", "1h30", "1h-30m", "1w", "½h", "１h",
    "٢h", "1234567s", "06:30", "2h!", "2hx", "x2h", "1e3s", "\ud800", "inf", "5 m in",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_DURATIONS)
def test_what_is_no_duration_is_called_so(text: str) -> None:
    with pytest.raises(UsageError, match="is not a duration; write one as 45m, 2h, 1h30m or 3d") as caught:
        seconds_of(text)
    assert caught.value.exit_code is ExitCode.USAGE
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        pytest.param("22:16", "2026-11-24T22:16:00+01:00", id="later today"),
        pytest.param("23:59", "2026-11-24T23:59:00+01:00", id="the last minute of today"),
        pytest.param("22:15", "2026-11-25T22:15:00+01:00", id="the minute that has begun is tomorrow's"),
        pytest.param("06:30", "2026-11-25T06:30:00+01:00", id="tomorrow morning"),
        pytest.param("6:30", "2026-11-25T06:30:00+01:00", id="without the zero"),
        pytest.param(" 06:30 ", "2026-11-25T06:30:00+01:00", id="blanks around"),
        pytest.param("00:00", "2026-11-25T00:00:00+01:00", id="midnight is the next one"),
        pytest.param("2026-11-25T06:30", "2026-11-25T06:30:00+01:00", id="a date and a time"),
        pytest.param(" 2026-11-25T06:30\n", "2026-11-25T06:30:00+01:00", id="a date with blanks around"),
        pytest.param("2026-11-25 06:30:15", "2026-11-25T06:30:15+01:00", id="with a blank between, and seconds"),
        pytest.param("2026-11-25T06:30Z", "2026-11-25T06:30:00+00:00", id="a time in UTC"),
        pytest.param("2026-11-25T06:30-05:00", "2026-11-25T06:30:00-05:00", id="a time in another zone"),
        pytest.param("2026-11-26", "2026-11-26T00:00:00+01:00", id="a date is its midnight"),
        pytest.param("2026-11-01T06:30", "2026-11-01T06:30:00+01:00", id="a time that has passed"),
    ],
)
def test_moment(text: str, moment: str) -> None:
    found = moment_of(text, NOW)
    assert found.isoformat() == moment


def test_the_next_time_of_day_is_across_the_month_and_the_year() -> None:
    new_years_eve = datetime(2026, 12, 31, 23, 0, tzinfo=BERLIN)
    assert moment_of("22:00", new_years_eve).isoformat() == "2027-01-01T22:00:00+01:00"


def test_this_very_minute_is_tomorrows() -> None:
    half_past_six = datetime(2026, 11, 24, 6, 30, tzinfo=BERLIN)
    assert moment_of("06:30", half_past_six) == half_past_six + timedelta(days=1)
    assert moment_of("06:30", half_past_six - timedelta(seconds=1)) == half_past_six


@pytest.mark.parametrize("text", ["24:00", "23:60", "99:99"])
def test_no_time_of_day(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time of day; write one as 06:30"):
        moment_of(text, NOW)


NO_TIMES = [
    "", "soon", "6", "6:3", "0630", "06:30:00", "-6:30", "６:30", "6.30", "6:30pm", "123:00", "2026-13-01T00:00",
    "2026-11-31", "25.11.2026", "11/25/2026", "2026-11-25T25:00", "1795509000", "45m", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_is_no_time_is_called_so(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time; write one as 06:30 or 2026-11-25T06:30") as caught:
        moment_of(text, NOW)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("until", "duration", "seconds_from_now"),
    [
        (None, None, None),
        (None, "2h", 7200.0),
        (None, "0s", 0.0),
        ("2026-11-24T22:15:31.0005+01:00", None, 1.0),
        ("22:16", None, 29.9995),
        ("2026-11-24T21:15:30.0005Z", None, 0.0),
    ],
)
def test_deadline(until: str | None, duration: str | None, seconds_from_now: float | None) -> None:
    found = deadline(until, duration, NOW)
    if seconds_from_now is None:
        assert found is None
    else:
        assert found == pytest.approx(NOW.timestamp() + seconds_from_now, abs=1e-6)


def test_two_ends_are_one_too_many() -> None:
    with pytest.raises(UsageError, match="--until and --for both name an end"):
        deadline("06:30", "2h", NOW)
    with pytest.raises(UsageError, match="--until and --for both name an end"):
        deadline("", "", NOW)


@given(st.text(max_size=20), st.sampled_from(["s", "h", "06:30", "2026-", "T06", "d", "1", ""]))
def test_any_text_is_a_time_or_a_sentence(text: str, more: str) -> None:
    for typed in (text, text + more, more + text):
        for until, duration in ((typed, None), (None, typed)):
            with suppress(UsageError):
                assert isinstance(deadline(until, duration, NOW), float)


@given(st.integers(0, 23), st.integers(0, 59), st.integers(0, 86_399))
def test_the_next_time_of_day_lies_within_a_day(hour: int, minute: int, second: int) -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC) + timedelta(seconds=second)
    found = moment_of(f"{hour:02}:{minute:02}", now)
    assert timedelta(0) < found - now <= timedelta(days=1)
    assert (found.hour, found.minute, found.second) == (hour, minute, 0)


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 9999), st.integers(0, 9999))
def test_the_parts_of_a_duration_add_up(days: int, hours: int, minutes: int, seconds: int) -> None:
    expected = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
    assert seconds_of(f"{days}d{hours}h{minutes}m{seconds}s") == expected
