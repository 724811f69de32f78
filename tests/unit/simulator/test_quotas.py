"""The service's count of calls, each method compared with a brute-force count."""

from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.simulator.quotas import Exceeded, QuotaMode, make_quota

ORIGIN = 1_800_000_000  # an ordinary time since the epoch, whole minutes and hours

Admits = Callable[[list[int], int, int, int], bool]  # accepted so far, now, limit, period


def sliding(accepted: list[int], now: int, limit: int, period: int) -> bool:
    return sum(1 for then in accepted if now - period < then <= now) < limit


def fixed(accepted: list[int], now: int, limit: int, period: int) -> bool:
    return sum(1 for then in accepted if then // period == now // period) < limit


def dripping(accepted: list[int], now: int, limit: int, period: int, size: Fraction) -> bool:
    """Replay the bucket from its start in exact fractions."""
    level, since = size, None
    for then in [*accepted, now]:
        if since is not None:
            level = min(size, level + Fraction((then - since) * limit, period))
        if then is now:
            break
        level, since = level - 1, then
    return level >= 1


def bucket(accepted: list[int], now: int, limit: int, period: int) -> bool:
    return dripping(accepted, now, limit, period, Fraction(limit))


def smooth(accepted: list[int], now: int, limit: int, period: int) -> bool:
    return not accepted or (now - accepted[-1]) * limit >= period


MODES = [
    (QuotaMode.SLIDING, sliding),
    (QuotaMode.FIXED, fixed),
    (QuotaMode.BUCKET, bucket),
    (QuotaMode.SMOOTH, smooth),
]
gaps = st.lists(st.integers(min_value=0, max_value=20), min_size=1, max_size=60)
limits = st.integers(min_value=1, max_value=6)
periods = st.integers(min_value=1, max_value=40)


@pytest.mark.parametrize(("mode", "admits"), MODES)
@given(gaps=gaps, limit=limits, period=periods)
def test_each_mode_admits_what_brute_force_admits(
    mode: QuotaMode, admits: Admits, gaps: list[int], limit: int, period: int
) -> None:
    quota = make_quota(mode, [(limit, period)])
    accepted: list[int] = []
    now = ORIGIN
    for gap in gaps:
        now += gap
        expected = admits(accepted, now, limit, period)
        assert (quota.admit(now) is None) == expected
        if expected:
            accepted.append(now)


@pytest.mark.parametrize(("mode", "admits"), MODES)
@given(gaps=gaps, limit=limits, period=periods)
def test_retry_after_is_the_first_second_at_which_the_next_call_is_admitted(
    mode: QuotaMode, admits: Admits, gaps: list[int], limit: int, period: int
) -> None:
    quota = make_quota(mode, [(limit, period)])
    accepted: list[int] = []
    now = ORIGIN
    for gap in gaps:
        now += gap
        refused = quota.admit(now)
        if refused is None:
            accepted.append(now)
        else:
            first = next(wait for wait in range(1, 100) if admits(accepted, now + wait, limit, period))
            assert refused.retry_after == first


@given(gaps=gaps, short=limits, long=limits)
def test_two_limits_together_never_let_either_be_exceeded(gaps: list[int], short: int, long: int) -> None:
    quota = make_quota(QuotaMode.SLIDING, [(short, 5), (long, 50)])
    accepted: list[int] = []
    now = ORIGIN
    for gap in gaps:
        now += gap
        expected = sliding(accepted, now, short, 5) and sliding(accepted, now, long, 50)
        assert (quota.admit(now) is None) == expected
        if expected:
            accepted.append(now)


@given(gaps=gaps, limit=limits, period=periods)
def test_a_sliding_quota_that_counts_refused_calls_counts_every_arrival(
    gaps: list[int], limit: int, period: int
) -> None:
    quota = make_quota(QuotaMode.SLIDING, [(limit, period)], count_refused=True)
    arrivals: list[int] = []
    now = ORIGIN
    for gap in gaps:
        now += gap
        assert (quota.admit(now) is None) == sliding(arrivals, now, limit, period)
        arrivals.append(now)


@pytest.mark.parametrize("mode", [mode for mode, _ in MODES])
def test_who_hammers_while_refused_calls_count_is_never_let_in_again_within_the_same_period(
    mode: QuotaMode,
) -> None:
    quota = make_quota(mode, [(2, 60)], count_refused=True)
    assert quota.admit(ORIGIN) is None
    answers = [quota.admit(ORIGIN + 1 + second) for second in range(25)]
    assert sum(answer is None for answer in answers) <= 1


def test_the_refusal_names_the_limit_that_binds() -> None:
    quota = make_quota(QuotaMode.SLIDING, [(2, 60), (3, 3600)])
    assert [quota.admit(ORIGIN + second) for second in (0, 0)] == [None, None]
    assert quota.admit(ORIGIN + 0.5) == Exceeded(2, 60, retry_after=60)
    assert quota.admit(ORIGIN + 60) is None
    assert quota.admit(ORIGIN + 61) == Exceeded(3, 3600, retry_after=3539)


def test_a_lifted_quota_admits_everything() -> None:
    quota = make_quota(QuotaMode.SLIDING, [])
    assert all(quota.admit(ORIGIN) is None for _ in range(10_000))


def test_a_call_exactly_one_period_later_is_admitted_although_floats_round() -> None:
    quota = make_quota(QuotaMode.SLIDING, [(1, 60)])
    now = ORIGIN + 0.1
    for _ in range(1000):
        assert quota.admit(now) is None
        now += 60.0


def test_a_call_a_millisecond_early_is_refused() -> None:
    quota = make_quota(QuotaMode.SLIDING, [(1, 60)])
    assert quota.admit(ORIGIN) is None
    assert quota.admit(ORIGIN + 59.999) == Exceeded(1, 60, retry_after=1)


def test_the_bucket_does_not_drift_over_an_hour_of_calls_at_its_exact_rate() -> None:
    quota = make_quota(QuotaMode.SMOOTH, [(7, 1)])
    assert all(quota.admit(ORIGIN + number / 7) is None for number in range(25_200))


def test_the_smooth_mode_lets_a_call_come_early_by_the_tolerance() -> None:
    quota = make_quota(QuotaMode.SMOOTH, [(100, 60)], tolerance=0.1)
    assert quota.admit(ORIGIN) is None
    assert quota.admit(ORIGIN + 0.499) is not None
    assert quota.admit(ORIGIN + 0.5) is None


def test_time_that_goes_backwards_frees_nothing() -> None:
    quota = make_quota(QuotaMode.FIXED, [(1, 60)])
    assert quota.admit(ORIGIN + 60) is None
    assert quota.admit(ORIGIN) is not None
