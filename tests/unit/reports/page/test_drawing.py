"""The pictures: true to the numbers, sound as XML, and no larger for a longer run."""

import re
import xml.etree.ElementTree as ET
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_offboard.reports.page.drawing import COLUMNS, minutes_together, outcome_bar, shares, timeline_picture
from batch_offboard.reports.rows import Outcome
from batch_offboard.reports.timeline import HOUR, Call, Chronicle, Timeline

NOON = 1_795_521_600.0  # 2026-11-24T12:00:00Z
WIDTHS = [1080, 360]


def told(*calls: Call) -> Timeline:
    chronicle = Chronicle()
    for call in calls:
        chronicle.add(call)
    return chronicle.timeline()


@cache
def a_long_run(hours: int, pauses: int = 0) -> Timeline:
    """1,500 calls an hour within 15 minutes, and silences of a day."""
    starts = [NOON + HOUR * hour + 86_400 * (hour * pauses // hours) for hour in range(hours)]
    return told(*(Call(start + 0.6 * number, None, number == 7) for start in starts for number in range(1500)))


def parsed(picture: str) -> ET.Element:
    return ET.fromstring(picture)  # noqa: S314  # ours


def paths(picture: str, name: str) -> list[str]:
    return [each.attrib["d"] for each in parsed(picture).iter("path") if each.get("class") == name]


def words(picture: str) -> list[str]:
    return [each.text or "" for each in parsed(picture).iter("text")]


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=6))
def test_shares_add_up_and_whatever_is_not_nothing_can_be_seen(counts: list[int]) -> None:
    widths = shares(counts)

    assert sum(widths) == pytest.approx(100 if any(counts) else 0)
    assert all((width >= 0.6) == (count > 0) for width, count in zip(widths, counts, strict=True))


def test_the_bar_is_as_wide_as_the_counts_and_says_them() -> None:
    counts = dict.fromkeys(Outcome, 0) | {Outcome.SUBMITTED: 3, Outcome.IN_DOUBT: 1}
    bar = parsed(outcome_bar(counts))

    assert bar.get("aria-label") == "3 submitted, 1 in doubt"
    assert [(part.get("class"), part.get("x"), part.get("width")) for part in bar] == [
        ("fill-submitted", "0.000%", "75.000%"),
        ("fill-in_doubt", "75.000%", "25.000%"),
    ]


def test_a_bar_of_nothing_says_so() -> None:
    assert parsed(outcome_bar(dict.fromkeys(Outcome, 0))).get("aria-label") == "no rows"


@pytest.mark.parametrize("width", WIDTHS)
def test_a_minute_is_as_high_as_its_calls_beside_the_limit(width: int) -> None:
    picture = timeline_picture(told(*(Call(NOON + number, None) for number in range(50))), width)
    (bar,) = paths(picture, "own")
    limit = float(re.findall(r"M\S+ (\S+)H", paths(picture, "limit")[0])[0])
    bottom, top = map(float, re.findall(r"M\S+ (\S+)V(\S+)h", bar)[0])

    assert (bottom - top) / (bottom - limit) == pytest.approx(0.5, abs=0.01)


def test_the_calls_of_others_stand_on_ours() -> None:
    picture = timeline_picture(told(Call(NOON, None), Call(NOON + 1, None, own=False)), 1080)
    (own,), (others,) = paths(picture, "own"), paths(picture, "others")

    assert re.findall(r"V(\S+)h", own) == re.findall(r"M\S+ ([\d.]+)V", others)


def test_an_answer_that_asked_to_wait_is_marked() -> None:
    quiet, throttled = told(Call(NOON, None)), told(Call(NOON, None, throttled=True), Call(NOON + 60, None))

    assert paths(timeline_picture(quiet, 1080), "refused") == []
    assert len(re.findall("M", paths(timeline_picture(throttled, 1080), "refused")[0])) == 1


def test_more_than_the_quota_is_drawn_above_the_limit_and_within_the_picture() -> None:
    picture = timeline_picture(told(*(Call(NOON + 0.1 * number, None) for number in range(300))), 1080)
    top = float(re.findall(r"V(\S+)h", paths(picture, "own")[0])[0])
    limit = float(re.findall(r"M\S+ (\S+)H", paths(picture, "limit")[0])[0])

    assert 22 <= top < limit


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("hours", "pauses"), [(1, 0), (33, 0), (33, 3), (132, 11)])
def test_a_picture_of_many_hours_is_no_larger(width: int, hours: int, pauses: int) -> None:
    timeline = a_long_run(hours, pauses)
    picture = timeline_picture(timeline, width)

    assert len(picture) < 30_000
    assert paths(picture, "own")[0].count("M") <= COLUMNS
    assert len(paths(picture, "break")) == len(timeline.stretches) - 1
    (high,) = {float(top) for top in re.findall(r"V(\S+)h", paths(picture, "own")[0]) if float(top) < 50}
    assert high < 40  # the busiest minute of each column, not the mean


@settings(max_examples=40)
@given(st.integers(1, 400), st.integers(20, 400))
def test_no_picture_has_more_columns_than_it_may(hours: int, columns: int) -> None:
    timeline = told(*(Call(NOON + HOUR * hour, None) for hour in range(hours)))
    together = minutes_together(timeline, columns)

    assert sum(len(list(stretch.columns(together))) for stretch in timeline.stretches) <= columns


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("hours", [1, 2, 7, 33, 132])
def test_times_do_not_run_into_one_another_or_over_the_edge(width: int, hours: int) -> None:
    picture = parsed(timeline_picture(a_long_run(hours), width))
    places = [float(each.attrib["x"]) for each in picture.iter("text") if re.fullmatch(r"\d\d:\d\d", each.text or "")]

    assert places
    assert all(later - earlier >= 60 for earlier, later in pairwise(places))
    assert max(places) <= width - 40


@pytest.mark.parametrize("width", WIDTHS)
def test_times_on_both_sides_of_a_silence_do_not_run_into_one_another(width: int) -> None:
    timeline = told(*(Call(NOON + 86_400 * day + 60 * number, None) for day in range(8) for number in range(7)))
    picture = parsed(timeline_picture(timeline, width))
    places = [float(each.attrib["x"]) for each in picture.iter("text") if re.fullmatch(r"\d\d:\d\d", each.text or "")]

    assert len(places) > 2
    assert all(later - earlier >= 60 for earlier, later in pairwise(places))


def test_a_time_is_written_where_it_is() -> None:
    assert words(timeline_picture(told(Call(NOON, None), Call(NOON + 600, None)), 1080)).count("12:05") == 1


def test_a_silence_is_told() -> None:
    assert "5 h 59 min" in words(timeline_picture(told(Call(NOON, None), Call(NOON + 6 * HOUR, None)), 1080))
    assert "clock set back" in words(timeline_picture(told(Call(NOON, None), Call(NOON - HOUR, None)), 1080))


@pytest.mark.parametrize("width", [1080, 360])
@given(st.lists(st.integers(0, 40 * 1440), min_size=2, max_size=12))
def test_what_stands_at_a_silence_crosses_no_title(width: int, gaps: list[int]) -> None:
    at, calls = NOON, []
    for minutes in gaps:
        at += 60 * minutes
        calls.append(Call(at, None))
    picture = parsed(timeline_picture(told(*calls), width))
    titles = [float(each.attrib["y"]) for each in picture.iter("text") if each.get("class") in ("title", "limit-word")]
    lengths = []
    for each in picture.iter("text"):
        if each.get("class") == "silence":
            middle = float(re.findall(r"translate\([\d.]+ ([\d.]+)\)", each.attrib["transform"])[0])
            half = 3.2 * len(each.text or "")  # pixels, of a generous letter
            lengths.append((middle - half, middle + half))
    for each in picture.iter("path"):
        if each.get("class") == "break":
            lengths += [(float(top), float(end)) for top, end in re.findall(r" ([\d.]+)V([\d.]+)", each.attrib["d"])]
    assert [(top, end) for top, end in lengths for y in titles if top < y < end] == []
