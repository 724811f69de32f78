"""The options of a plan, as typed."""

import pytest

from batch_offboard.commands.plans import Reading
from batch_offboard.reports.history import options_typed
from batch_offboard.sheets import HiddenRows


@pytest.mark.parametrize(
    ("reading", "typed"),
    [
        (Reading(), ()),
        (Reading(sheet="Leavers"), ("--sheet 'Leavers'",)),
        (Reading(id_column="C", name_column="Host"), ("--id-column 'C'", "--name-column 'Host'")),
        (Reading(hidden=HiddenRows.VISIBLE_ONLY), ("--visible-only",)),
        (Reading(hidden=HiddenRows.INCLUDE), ("--include-hidden",)),
        (Reading(multiline_text=True), ("--multiline-text",)),
        (Reading(only=("failed", "pending")), ("--only failed", "--only pending")),
    ],
)
def test_what_changed_the_reading_of_the_sheet_is_told(reading: Reading, typed: tuple[str, ...]) -> None:
    assert options_typed(reading.as_json(), lookup_wanted=True) == typed


def test_a_plan_that_was_not_to_be_looked_up_says_so() -> None:
    assert options_typed(Reading().as_json(), lookup_wanted=False) == ("--no-lookup",)
