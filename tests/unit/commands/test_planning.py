"""What is said about a sheet before its rows are looked at."""

import pytest

from batch_offboard.commands.plans import age_notes
from batch_offboard.core.rows import Source

NOW = 1_795_500_000.0
DAY = 86_400.0


def notes(age: float) -> list[str]:
    return age_notes(Source("/sheets/devices.csv", "devices.csv", "0" * 64, 10, "CSV", NOW - age), NOW)


@pytest.mark.parametrize("age", [0, 30 * DAY, -300])
def test_a_sheet_of_these_days_needs_no_word(age: float) -> None:
    assert notes(age) == []


@pytest.mark.fault(127, "An old sheet is reported with its age.")
def test_a_sheet_from_long_ago_is_told_with_its_age() -> None:
    assert notes(45.5 * DAY) == ["The sheet was last changed 45 days ago; is it the one that is meant?"]


def test_a_sheet_from_the_future_is_told_with_its_time() -> None:
    assert notes(-2 * DAY) == ["The sheet was last changed in the future (2026-11-26 07:00:00+01:00); check the clock."]


def test_a_sheet_whose_age_is_not_known_needs_no_word() -> None:
    assert age_notes(Source("/sheets/devices.csv", "devices.csv", "0" * 64, 10, "CSV"), NOW) == []
