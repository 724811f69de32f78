"""Durations, and how much of a run is done."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.durations import spoken_duration
from batch_offboard.core.progress import Progress


@pytest.mark.parametrize(
    ("seconds", "spoken"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (150, "2 min 30 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h"),
        (3630, "1 h"),
        (10_920, "3 h 2 min"),
        (86_399, "23 h 59 min"),
        (86_400, "1 d"),
        (187_200, "2 d 4 h"),
    ],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float, spoken: str) -> None:
    assert spoken_duration(seconds) == spoken


@given(st.floats(0, 1e9))
def test_no_unit_of_a_duration_is_ever_full(seconds: float) -> None:
    words = spoken_duration(seconds).split()
    full = {"s": 60, "min": 60, "h": 24}

    assert all(int(n) < full.get(unit, 10**9) for n, unit in zip(words[::2], words[1::2], strict=True))


def test_what_is_not_left_is_done() -> None:
    progress = Progress(300, 120, 1, 0, 179, 8, (0, 100), (0, 1500), None, None, None, 0.0)

    assert progress.done == 121
