"""How the sheets of an inbox are read: options first, then the configuration."""

import pytest

from batch_offboard.base.errors import UsageError
from batch_offboard.cli.options import Reading as Given
from batch_offboard.cli.working import reading_of_inbox
from batch_offboard.commands.plans import Reading
from batch_offboard.config import Inbox
from batch_offboard.sheets import HiddenRows


@pytest.mark.parametrize(
    ("given", "keys", "expected"),
    [
        (Given(), Inbox(), Reading()),
        (Given(), Inbox(visible_only=True), Reading(hidden=HiddenRows.VISIBLE_ONLY)),
        (Given(include_hidden=True), Inbox(visible_only=True), Reading(hidden=HiddenRows.INCLUDE)),
        (Given(id_column="B"), Inbox(id_column="A", sheet="2"), Reading(sheet="2", id_column="B")),
        (Given(), Inbox(multiline_text=True, name_column="C"), Reading(name_column="C", multiline_text=True)),
    ],
    ids=str,
)
def test_an_option_comes_before_its_key(given: Given, keys: Inbox, expected: Reading) -> None:
    assert reading_of_inbox(given, keys) == expected


def test_every_key_is_an_option_and_every_option_that_names_no_rows_a_key() -> None:
    assert set(Inbox.model_fields) | {"only"} == set(Given.__dataclass_fields__)


def test_opposite_options_are_refused() -> None:
    with pytest.raises(UsageError, match="leave one out"):
        reading_of_inbox(Given(visible_only=True, include_hidden=True), Inbox())
