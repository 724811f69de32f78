"""How much time has certainly gone by, whatever clocks and boots say."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.clock import (
    UNKNOWN,
    LoopClock,
    Moment,
    SystemClock,
    exact_utc,
    iso_utc,
    local_time,
    readable_utc,
    seconds_since,
    stamp,
    time_of_day,
    wall_of,
)
from batch_offboard.cli.times import moment_of

AT = 1_795_508_131.0  # 2026-11-24T08:15:31Z

moments = st.builds(
    Moment,
    wall=st.floats(-1e12, 1e12),
    ticks=st.floats(0, 1e9),
    boot=st.sampled_from(["boot-1", "boot-2", f"{UNKNOWN}1", f"{UNKNOWN}2"]),
)


@pytest.mark.fault(21, "The quota is counted in ticks that advance while the machine sleeps.")
@pytest.mark.parametrize(
    ("then", "now", "gone"),
    [
        (Moment(1000, 50, "a"), Moment(1010, 60, "a"), 10),
        (Moment(1000, 50, "a"), Moment(5000, 60, "a"), 10),  # the calendar was put forward
        (Moment(1000, 50, "a"), Moment(-5000, 60, "a"), 10),  # and back
        (Moment(1000, 50, "a"), Moment(1000, 40, "a"), 0),  # ticks that run backwards prove nothing
        (Moment(1000, 9e6, "a"), Moment(1030, 20, "b"), 30),
        (Moment(1000, 9e6, "a"), Moment(900, 20, "b"), 20),  # a boot later, and the calendar went back
        (Moment(1000, 9e6, "a"), Moment(900, 20, f"{UNKNOWN}1"), 0),
        (Moment(1000, 9e6, f"{UNKNOWN}1"), Moment(900, 20, "b"), 0),
        (Moment(1000, 9e6, f"{UNKNOWN}1"), Moment(1030, 20, f"{UNKNOWN}2"), 30),
    ],
)
def test_ticks_count_within_a_boot_and_the_calendar_across_boots(then: Moment, now: Moment, gone: float) -> None:
    assert seconds_since(then, now) == gone


@given(moments, moments)
def test_time_never_goes_backwards(then: Moment, now: Moment) -> None:
    assert seconds_since(then, now) >= 0


@pytest.mark.fault(46, "The quota is not affected.")
@given(moments, st.floats(0, 1e6), st.floats(-1e12, 1e12))
def test_a_change_of_the_calendar_moves_nothing_within_a_boot(then: Moment, gone: float, wall: float) -> None:
    now = Moment(wall, then.ticks + gone, then.boot)
    assert seconds_since(then, now) == pytest.approx(gone, abs=1e-6)


def test_the_machines_clock_goes_forward_in_one_boot() -> None:
    one, two = SystemClock().now(), SystemClock().now()
    assert two.ticks >= one.ticks
    if not one.boot.startswith(UNKNOWN):
        assert one.boot == two.boot


@pytest.mark.looptime
async def test_the_loops_clock_shows_the_loops_time_from_its_origin_on() -> None:
    await asyncio.sleep(100)
    clock = LoopClock(5000.0)
    await asyncio.sleep(7)
    now = clock.now()
    assert (now.wall, now.ticks) == (5007.0, 7.0)
    assert now.boot != LoopClock(5000.0).now().boot


@pytest.mark.fault(50, "Times beyond 2038 are supported.")
@pytest.mark.parametrize(
    ("wall", "text"),
    [(0, "1970-01-01T00:00:00Z"), (1_795_500_000.9, "2026-11-24T06:00:00Z"), (2**31, "2038-01-19T03:14:08Z")],
)
def test_times_in_files_are_utc_to_the_second(wall: float, text: str) -> None:
    assert iso_utc(wall) == text


@given(st.floats(0, 4e9), st.integers(-14 * 60, 14 * 60))
def test_a_time_for_people_names_its_moment_in_every_zone_and_can_be_typed_again(wall: float, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    shown = local_time(wall, zone)
    assert moment_of(shown, datetime.now(UTC)).timestamp() == int(wall)
    assert shown[-6:] == f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    assert iso_utc(wall_of(iso_utc(wall))) == iso_utc(wall)
    assert readable_utc(wall).replace(" ", "T") == iso_utc(wall)


@pytest.mark.parametrize(
    ("wall", "text"),
    [(AT, "09:15:31+01:00"), (AT + 86_400, "2026-11-25 09:15:31+01:00"), (AT - 9 * 3600, "00:15:31+01:00")],
)
def test_a_time_of_another_day_has_its_date(wall: float, text: str) -> None:
    assert time_of_day(wall, AT) == text


def test_records_and_names_have_utc_as_well() -> None:
    assert exact_utc(1_795_508_131_250_001) == "2026-11-24T08:15:31.250001Z"
    assert exact_utc(1_795_508_131_000_000) == "2026-11-24T08:15:31.000000Z"
    assert exact_utc(1_795_508_131_250_001, "milliseconds") == "2026-11-24T08:15:31.250Z"
    assert stamp(AT) == "20261124-0815"
