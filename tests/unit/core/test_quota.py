"""The quota's arithmetic against brute force, and the forecast against the best possible schedule."""

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.core.quota import (
    CLOCK_DRIFT,
    CallLog,
    Forecast,
    Holds,
    QuotaLimits,
    Window,
    bucket_level,
    forecast,
)

MINUTE = Window(3, 60.0, "minute")
HOUR = Window(5, 3600.0, "hour")


def best_possible(calls: int) -> float:
    """The last call's time under sliding windows of 100 in 60 s and 1,500 in 3,600 s."""
    return 3600.0 * ((calls - 1) // 1500) + 60.0 * (((calls - 1) % 1500) // 100)


def most_in_any(times: list[float], period: float) -> int:
    """The largest number of `times` in one half-open interval of `period`."""
    return max(sum(1 for other in times if at <= other < at + period) for at in times)


def test_a_new_log_is_free_at_once() -> None:
    assert CallLog([MINUTE, HOUR]).free_at(7.0) == 7.0


def test_a_full_window_is_free_again_a_period_after_its_oldest_call_ended() -> None:
    log = CallLog([MINUTE])
    for end in (10.0, 11.0, 12.0):
        log.start()
        log.end(end)
    assert log.free_at(20.0) == 10.0 + 60 * (1 + CLOCK_DRIFT)


def test_an_open_call_holds_its_slot_however_long_it_lasts() -> None:
    log = CallLog([Window(1, 60.0, "minute")])
    log.start()
    assert log.free_at(10_000.0) == inf
    log.end(10_000.0)
    assert log.free_at(10_000.0) == 10_000.0 + 60 * (1 + CLOCK_DRIFT)


def test_calls_of_an_earlier_run_count() -> None:
    assert CallLog([Window(2, 60.0, "minute")], [1.0, 2.0]).free_at(3.0) == 1.0 + 60 * (1 + CLOCK_DRIFT)


def test_the_window_that_blocks_longest_is_named() -> None:
    log = CallLog([MINUTE, HOUR], [0.0] * 5)
    blocking = log.blocking(1.0)
    assert blocking is not None
    assert blocking.name == "hour"


def test_nothing_blocks_an_empty_log() -> None:
    assert CallLog([MINUTE, HOUR]).blocking(0.0) is None


def test_a_log_that_has_forgotten_old_calls_still_counts_the_recent_ones() -> None:
    log = CallLog([MINUTE])
    for number in range(3000):
        log.start()
        log.end(number * 30.0)
    assert log.used(MINUTE, 2999 * 30.0) == 3
    assert len(log.ended) < 2000


@given(
    latencies=st.lists(st.floats(0.0, 200.0), min_size=1, max_size=60),
    gaps=st.lists(st.floats(0.0, 40.0), min_size=60, max_size=60),
    share=st.floats(0.0, 1.0),
)
def test_no_arrival_between_start_and_end_overfills_a_window(
    latencies: list[float], gaps: list[float], share: float
) -> None:
    log, now, arrivals = CallLog([MINUTE, HOUR]), 0.0, []
    for latency, gap in zip(latencies, gaps, strict=False):
        now = max(now + gap, log.free_at(now + gap))
        log.start()
        arrivals.append(now + share * latency)
        now += latency
        log.end(now)
    assert most_in_any(arrivals, 60.0) <= 3
    assert most_in_any(arrivals, 3600.0) <= 5


@given(ended=st.lists(st.floats(0.0, 8000.0), max_size=30), now=st.floats(8000.0, 9000.0), limit=st.integers(1, 8))
def test_free_at_is_the_first_moment_with_a_free_slot(ended: list[float], now: float, limit: int) -> None:
    window = Window(limit, 3600.0, "hour")
    free = CallLog([window], ended).free_at(now)
    held = window.held

    def taken(at: float) -> int:
        return sum(1 for end in ended if end > at - held)

    assert taken(free + 1e-6) < limit
    earlier = [at for at in (now, *(end + held for end in ended)) if now <= at < free - 1e-6]
    assert all(taken(at) >= limit for at in earlier)


def test_a_share_leaves_the_rest_of_the_quota_to_others() -> None:
    limits = QuotaLimits(100, 1500, share=0.25)
    assert [window.calls for window in limits.windows] == [25, 375]


def test_the_smallest_share_is_one_call_of_each_window() -> None:
    assert [(each.calls, each.name) for each in QuotaLimits(share=0.001).windows] == [(1, "minute"), (1, "hour")]


def test_the_pace_steps_down_but_never_below_the_hours_mean() -> None:
    limits = QuotaLimits()
    intervals = [limits.interval(steps) for steps in range(12)]
    assert intervals[0] == pytest.approx(0.4)
    assert all(slower >= quicker for quicker, slower in pairwise(intervals))
    assert intervals[-1] == pytest.approx(2.4)


def test_an_unexplained_429_takes_the_pace_down_once_for_all_calls_then_in_flight() -> None:
    holds = Holds()
    assert holds.throttled(100.0, started=99.0, wait=60.0, explained=False)
    assert not holds.throttled(101.0, started=99.5, wait=60.0, explained=False)
    assert holds.pace(102.0) == 1
    assert holds.throttled(200.0, started=199.0, wait=60.0, explained=False)
    assert holds.pace(201.0) == 2


def test_a_call_that_began_as_an_earlier_429_came_was_on_its_way_with_it() -> None:
    holds = Holds(steps=[100.0])
    assert not holds.throttled(101.0, started=100.0, wait=60.0, explained=False)


def test_a_429_that_the_log_explains_leaves_the_pace() -> None:
    holds = Holds()
    assert not holds.throttled(100.0, started=99.0, wait=60.0, explained=True)
    assert (holds.pace(101.0), holds.until) == (0, 160.0)


def test_a_429_is_forgotten_after_a_day() -> None:
    holds = Holds(steps=[100.0])
    assert holds.pace(100.0 + 86_399) == 1
    assert holds.pace(100.0 + 86_400) == 0


def test_a_shorter_wait_does_not_cut_a_longer_one_short() -> None:
    holds = Holds()
    holds.throttled(0.0, started=0.0, wait=100.0, explained=True)
    holds.throttled(1.0, started=0.0, wait=5.0, explained=True)
    assert holds.until == 100.0


def test_a_bucket_fills_with_calls_and_leaks_with_time() -> None:
    assert bucket_level(1500, 3600.0, [0.0] * 10, 0.0) == pytest.approx(10)
    assert bucket_level(1500, 3600.0, [0.0] * 10, 12.0) == pytest.approx(5)
    assert bucket_level(1500, 3600.0, [], 5.0) == 0
    assert bucket_level(1500, 3600.0, [0.0, 100.0], 100.0) == pytest.approx(1)
    assert bucket_level(1500, 3600.0, [100.0, 100.0, 102.4], 104.8) == pytest.approx(1)
    assert bucket_level(1500, 3600.0, [100.0], 9999.0) == 0


@pytest.mark.parametrize("latency", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("calls", [1, 5, 50, 100, 101, 300, 500, 1000, 1500, 1501, 1600, 3000, 10_000, 50_000])
def test_the_last_call_is_within_a_minute_and_a_percent_of_the_best_possible(calls: int, latency: float) -> None:
    best = best_possible(calls)
    last = forecast(QuotaLimits(), calls, latency=latency).last_call
    assert best * 0.999 <= last <= best * 1.01 + 60.0


@given(calls=st.integers(1, 12_000), latency=st.floats(0.01, 3.0))
def test_skipping_whole_hours_changes_no_forecast(calls: int, latency: float) -> None:
    small = QuotaLimits(10, 60)
    hours, rest = divmod(calls, 60)
    whole = forecast(small, calls, latency=latency).last_call
    played = forecast(small, min(calls, 3 * 60 + rest), latency=latency).last_call
    skipped = max(0, hours - 3) if calls > 3 * 60 + rest else 0
    assert whole == pytest.approx(played + skipped * (3600 * (1 + CLOCK_DRIFT) + latency), abs=latency * 10 + 1)


def test_nothing_to_send_takes_no_time() -> None:
    assert forecast(QuotaLimits(), 0, now=70.0) == Forecast(0.0, 0.0, 0.0)


def test_a_forecast_is_told_from_now_on_and_ends_with_the_last_answer() -> None:
    assert forecast(QuotaLimits(), 1, now=70.0).end == pytest.approx(0.2)
    later = forecast(QuotaLimits(), 5, now=70.0, latency=3.0)
    assert (later.first_call, later.last_call, later.end) == pytest.approx((0.0, 1.6, 4.6))


def test_a_burst_goes_at_once_and_the_next_call_an_interval_later() -> None:
    assert forecast(QuotaLimits(burst=3), 3).last_call == 0.0
    assert forecast(QuotaLimits(burst=3), 4).last_call == 0.4


def test_eight_calls_are_under_way_at_once_unless_another_number_is_said() -> None:
    assert forecast(QuotaLimits(burst=20), 8, latency=100.0).last_call == 0.0
    assert forecast(QuotaLimits(burst=20), 9, latency=100.0).last_call == 100.0


def test_a_call_under_way_keeps_the_next_from_a_window_of_one() -> None:
    last = forecast(QuotaLimits(per_minute=1, burst=5), 2, latency=10.0).last_call
    assert last == pytest.approx(10.0 + 60 * (1 + CLOCK_DRIFT))


def test_a_hold_delays_the_first_call_of_a_forecast() -> None:
    assert forecast(QuotaLimits(), 1, now=10.0, hold_until=70.0).first_call == 60.0


def test_calls_of_the_last_hour_delay_a_forecast() -> None:
    used_up = [0.0] * 1500
    assert forecast(QuotaLimits(), 1, ended=used_up, now=600.0).first_call == pytest.approx(3000, abs=5)
    assert forecast(QuotaLimits(), 1, ended=used_up).first_call == 3600 * (1 + CLOCK_DRIFT)


def test_few_workers_and_slow_calls_set_the_pace() -> None:
    assert forecast(QuotaLimits(), 11, latency=30.0, workers=1).last_call == pytest.approx(300.0)


@pytest.mark.parametrize("steps", [7, 100, 2_600, 10**6])
def test_however_many_steps_the_pace_is_down_it_is_the_hours_own_mean(steps: int) -> None:
    assert QuotaLimits().interval(steps) == 2.4


def test_a_day_of_429s_is_remembered_by_the_latest() -> None:
    holds = Holds()
    for second in range(3000):
        assert holds.throttled(second, started=second, wait=0.0, explained=False)
    assert holds.pace(2999 + 24 * 3600 - 1) == 1
    assert QuotaLimits().interval(holds.pace(2999)) == 2.4
