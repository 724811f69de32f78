"""Timestamps as the service writes them."""

from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.simulator.timestamps import moment_of, sortable, sortable_utc, stamp

moments = st.floats(min_value=0, max_value=4e9)


def test_a_moment_has_seven_digits_and_a_z() -> None:
    assert stamp(1_795_421_731.5) == "2026-11-23T08:15:31.5000000Z"


@given(st.floats(min_value=2**30, max_value=2**31))
def test_a_timestamp_of_this_age_gives_back_the_moment_it_was_made_from(moment: float) -> None:
    assert moment_of(stamp(moment)) == moment


@given(moments, moments)
def test_sortable_timestamps_are_in_the_order_of_their_moments(one: float, other: float) -> None:
    pair = sorted([one, other])
    assert sortable(stamp(pair[0])) <= sortable(stamp(pair[1]))


@given(moments)
def test_the_quick_form_is_the_careful_form(moment: float) -> None:
    assert sortable_utc(stamp(moment)) == sortable(stamp(moment))
