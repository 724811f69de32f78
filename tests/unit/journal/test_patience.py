"""How long a held file is waited for."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.errors import JournalError
from batch_offboard.journal.holding import LONGEST_PAUSE, PATIENCE, JournalHeldError, Patience


@dataclass
class Time:
    """Passes only while somebody sleeps, or tries something."""

    now: float = 0.0
    slept: float = 0.0

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= LONGEST_PAUSE
        self.now += seconds
        self.slept += seconds


@given(end=st.floats(0, 2 * PATIENCE), cost=st.floats(0, 2))
def test_a_file_is_waited_for_as_long_as_the_patience_lasts_and_no_longer(end: float, cost: float) -> None:
    time = Time()
    patience = Patience(lambda: time.now, time.sleep)
    try:
        patience.until_free(lambda: work(time, end, cost))
    except JournalHeldError:
        assert end > PATIENCE - LONGEST_PAUSE - cost
    else:
        assert time.now >= end
    assert time.now <= PATIENCE + cost + 1e-6


def work(time: Time, end: float, cost: float = 0.0) -> str:
    """What takes `cost` seconds, and fails until `end`."""
    time.now += cost
    if time.now < end:
        raise JournalHeldError("held")
    return "done"


def test_once_it_is_exhausted_nothing_is_waited_for_until_a_file_is_free() -> None:
    time = Time()
    patience = Patience(lambda: time.now, time.sleep)
    for _ in range(3):
        with pytest.raises(JournalHeldError):
            patience.until_free(lambda: work(time, 100.0))
    assert time.slept <= PATIENCE
    time.now = 100.0
    assert patience.until_free(lambda: work(time, 100.0)) == "done"
    slept = time.slept
    assert patience.until_free(lambda: work(time, 101.0)) == "done"
    assert time.slept > slept


@pytest.mark.parametrize("waited", [True, False])
def test_what_was_waited_for_already_and_other_errors_are_not_waited_for(waited: bool) -> None:
    time = Time()
    error = JournalHeldError("locked") if waited else JournalError("damaged")
    if isinstance(error, JournalHeldError):
        error.waited = True

    def fail() -> None:
        raise error

    with pytest.raises(JournalError):
        Patience(lambda: time.now, time.sleep).until_free(fail)
    assert time.slept == 0
