"""What is told of the calls: how full minutes and hours were, and which run made them."""

from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.reports.timeline import HOUR, IDLE, MINUTE, STRETCHES, Call, Chronicle, Minutes, Start, Timeline

NOON = 1_795_521_600.0  # 2026-11-24T12:00:00Z


def told(*began: float, others: tuple[float, ...] = ()) -> Timeline:
    chronicle = Chronicle()
    calls = [*(Call(at, at + 0.2) for at in began), *(Call(at, at + 0.2, own=False) for at in others)]
    for call in sorted(calls, key=lambda call: call.began):
        chronicle.add(call)
    return chronicle.timeline()


def minutes_of(timeline: Timeline) -> list[tuple[int, int, int]]:
    return [(each.calls, each.others, each.hour) for stretch in timeline.stretches for each in stretch.minutes]


def test_each_minute_of_the_clock_has_its_calls() -> None:
    timeline = told(NOON + 59, NOON + 60, NOON + 61, NOON + 185)

    assert minutes_of(timeline) == [(1, 0, 1), (2, 0, 3), (0, 0, 3), (1, 0, 4)]
    assert [stretch.minutes[0].at for stretch in timeline.stretches] == [NOON]


def test_the_fullest_minute_is_counted_across_the_clocks_minutes() -> None:
    timeline = told(*(NOON + 30 + 0.5 * number for number in range(100)))

    assert max(calls for calls, _, _ in minutes_of(timeline)) == 60
    assert (timeline.fullest_minute, timeline.fullest_hour) == (100, 100)


def test_calls_that_are_a_whole_window_apart_are_not_in_one() -> None:
    assert told(NOON, NOON + MINUTE).fullest_minute == 1
    assert told(NOON, NOON + MINUTE - 0.001).fullest_minute == 2
    assert told(NOON, NOON + HOUR).fullest_hour == 1


def test_the_hour_runs_empty_while_nothing_is_called() -> None:
    hours = [hour for _, _, hour in minutes_of(told(NOON, NOON + 30, NOON + IDLE))]

    assert hours[:60] == [2] * 60
    assert hours[61:] == [0] * 29 + [1]


def test_a_long_silence_parts_the_work_and_a_wait_for_the_quota_does_not() -> None:
    assert len(told(NOON, NOON + IDLE).stretches) == 1
    assert len(told(NOON, NOON + IDLE + 1).stretches) == 2


def test_a_clock_that_was_set_back_fills_no_window_twice() -> None:
    chronicle = Chronicle()
    for at in (NOON, NOON + 1, NOON - 600, NOON - 599):
        chronicle.add(Call(at, at))

    assert (chronicle.timeline().fullest_minute, chronicle.timeline().fullest_hour) == (2, 2)
    assert [stretch.began for stretch in chronicle.timeline().stretches] == [NOON, NOON - 600]


def test_the_calls_of_others_fill_the_windows_too() -> None:
    timeline = told(NOON, NOON + 1, others=(NOON - 1800, NOON + 2))

    assert (timeline.calls, timeline.others) == (2, 2)
    assert (timeline.fullest_minute, timeline.fullest_hour) == (3, 4)


def test_of_very_many_stretches_the_shortest_silences_are_kept_within_one() -> None:
    silences = [2 * IDLE + 3600 * number for number in range(STRETCHES + 2)]
    starts = [NOON]
    for silence in silences:
        starts.append(starts[-1] + silence)
    timeline = told(*starts)

    assert [len(stretch.minutes) for stretch in timeline.stretches] == [4, *[1] * (STRETCHES - 1)]


def test_a_run_has_the_calls_from_its_beginning_to_the_next() -> None:
    chronicle = Chronicle([Start(NOON + 100, 5, 3.0), Start(NOON, 2, 1.0)])
    for at in (NOON + 1, NOON + 50, NOON + 101):
        chronicle.add(Call(at, at + 2))
    chronicle.add(Call(NOON + 102, None))
    first, second = chronicle.runs()

    assert (first.start.calls, first.calls, first.took) == (2, 2, 52.0)
    assert (second.start.calls, second.calls, second.took) == (5, 2, 3.0)


def test_a_run_without_a_call_took_no_time_that_is_known() -> None:
    assert [run.took for run in Chronicle([Start(NOON, 2, 1.0)]).runs()] == [None]


def test_minutes_together_show_the_busiest_of_them_and_every_refusal() -> None:
    busy = Minutes(NOON, calls=3, others=1, hour=9, throttled=1)
    busy.join(Minutes(NOON + 60, calls=2, others=4, hour=8, throttled=2))

    assert busy == Minutes(NOON, calls=2, others=4, hour=9, throttled=3)


def most_within(times: list[float], period: float) -> int:
    return max(sum(1 for other in times if at - period < other <= at) for at in times)


@given(st.lists(st.tuples(st.floats(0, 6 * HOUR), st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_no_call_is_lost_and_the_fullest_windows_are_exact(drawn: list[tuple[float, bool, bool]]) -> None:
    calls = [Call(NOON + at, None, throttled, own) for at, throttled, own in sorted(drawn)]
    chronicle = Chronicle()
    for call in calls:
        chronicle.add(call)
    timeline = chronicle.timeline()
    minutes = [each for stretch in timeline.stretches for each in stretch.minutes]

    assert (sum(each.calls for each in minutes), sum(each.others for each in minutes)) == (
        timeline.calls,
        timeline.others,
    )
    assert timeline.calls + timeline.others == len(calls)
    assert sum(each.throttled for each in minutes) == timeline.throttled == sum(call.throttled for call in calls)
    times = [call.began for call in calls]
    assert timeline.fullest_minute == most_within(times, MINUTE)
    assert timeline.fullest_hour == most_within(times, HOUR) == max(each.hour for each in minutes)


@given(st.lists(st.floats(0, 30 * HOUR), min_size=1, max_size=30), st.integers(1, 200))
def test_minutes_drawn_together_hide_no_peak(drawn: list[float], width: int) -> None:
    timeline = told(*(NOON + at for at in drawn))
    minutes = [each for stretch in timeline.stretches for each in stretch.minutes]
    columns = [each for stretch in timeline.stretches for each in stretch.columns(width)]

    assert max(each.calls for each in columns) == max(each.calls for each in minutes)
    assert max(each.hour for each in columns) == max(each.hour for each in minutes)
