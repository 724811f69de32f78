"""Which rows a run may send where a person chose a part of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.core.selection import LAST_ROW, Choice, parse_rows

PAIRS = st.tuples(st.integers(1, 60), st.integers(0, 20)).map(lambda each: (each[0], each[0] + each[1]))
OPEN = st.integers(1, 60).map(lambda first: (first, LAST_ROW))
CHOICES = st.builds(Choice, st.lists(PAIRS | OPEN, max_size=4).map(tuple), st.none() | st.integers(1, 30))
PENDING = st.sets(st.integers(2, 80), max_size=50).map(sorted)


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("2-20", ((2, 20),)),
        ("5", ((5, 5),)),
        ("2-20,25", ((2, 20), (25, 25))),
        (" 2 - 4 , 7- ", ((2, 4), (7, LAST_ROW))),
    ],
)
def test_rows_are_single_ones_ranges_and_what_is_behind_one(text: str, pairs: tuple[tuple[int, int], ...]) -> None:
    assert parse_rows(text) == pairs


@pytest.mark.parametrize("text", ["", ",", "a", "20-2", "0", "0-5", "-5", "2--5", "2-20,", "2;5", "1.5", "٢"])
def test_anything_else_is_no_choice_of_rows(text: str) -> None:
    with pytest.raises(ValueError, match="takes rows of the sheet"):
        parse_rows(text)


@given(CHOICES, PENDING)
def test_a_choice_takes_the_first_so_many_of_the_rows_it_names(choice: Choice, pending: list[int]) -> None:
    named = [row for row in pending if not choice.rows or any(low <= row <= high for low, high in choice.rows)]
    assert sorted(choice.of(pending)) == named[: choice.limit]


@given(CHOICES.filter(lambda choice: bool(choice.rows)))
def test_a_choice_is_recorded_as_it_can_be_typed_again(choice: Choice) -> None:
    typed = choice.words.split()
    assert typed[0] == "--rows"
    assert parse_rows(typed[1]) == choice.rows
    assert typed[2:] == ([] if choice.limit is None else ["--limit", str(choice.limit)])
