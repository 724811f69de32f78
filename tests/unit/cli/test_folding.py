"""Text is folded between words, under what it continues, and nothing of it is lost."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.cli.folding import display_width, folded

TEXTS = st.text(alphabet="ab, .:語`\n", max_size=300)


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        pytest.param(
            "  note      Device IDs: column A, of which there are two.",
            ["  note      Device IDs: column A, of which", "            there are two."],
            id="a label",
        ),
        pytest.param(
            "ok      clock      agrees with the server's clock to the second",
            ["ok      clock      agrees with the", "                   server's clock to the", " " * 19 + "second"],
            id="two cells",
        ),
        pytest.param(
            "Exit code 0: all rows ended well, or were skipped.",
            ["Exit code 0: all rows ended well, or were", "  skipped."],
            id="a sentence",
        ),
        pytest.param(
            "   row 6: 39 digits; a device ID has 40 of them.",
            ["   row 6: 39 digits; a device ID has 40 of", "     them."],
            id="an indented sentence",
        ),
    ],
)
def test_what_follows_stands_under_what_it_continues(line: str, lines: list[str]) -> None:
    assert folded(line, 42).split("\n") == lines


def test_a_word_is_never_cut() -> None:
    path = "/srv/" + "x" * 60
    assert folded(f"Written to {path} just now", 40).split("\n") == ["Written to", f"  {path}", "  just now"]


def test_a_command_in_backticks_is_never_cut() -> None:
    assert folded("It is back: `batch-offboard resume BATCH` goes on.", 40).split("\n") == [
        "It is back:",
        "  `batch-offboard resume BATCH` goes on.",
    ]


def test_a_backtick_that_is_never_closed_holds_nothing_together() -> None:
    assert folded("One ` is no command, and what follows is folded.", 40).split("\n") == [
        "One ` is no command, and what follows is",
        "  folded.",
    ]


def test_what_fits_stays_as_it_is() -> None:
    text = "  40  rows\n\n  40  to offboard"
    assert folded(text, 40) == text


def test_cells_that_leave_no_room_are_a_sentence() -> None:
    assert folded("sim-20261125-0349-kefn  finished  the list of those who leave", 40).split("\n") == [
        "sim-20261125-0349-kefn  finished  the",
        "  list of those who leave",
    ]


def test_an_accent_that_is_a_character_of_its_own_takes_no_column() -> None:
    assert display_width("Rene\u0301") == 4


def test_a_character_of_two_columns_takes_two() -> None:
    assert display_width("デバイス ID") == 11
    assert folded("デバイス " * 5, 40).split("\n") == ["デバイス デバイス デバイス デバイス", "  デバイス"]


def test_a_terminal_that_is_hardly_there_folds_by_itself() -> None:
    assert folded("a " * 100, 10) == "a " * 100


@given(TEXTS, st.integers(40, 60))
def test_no_word_is_lost_or_moved(text: str, width: int) -> None:
    assert folded(text, width).split() == text.split()


@given(TEXTS, st.integers(40, 60))
def test_a_line_is_too_wide_only_if_a_word_is(text: str, width: int) -> None:
    longest = max((display_width(word) for word in re.findall(r"(?:`[^`\n]*`|\S)+", text)), default=0)
    for line in folded(text, width).split("\n"):
        assert display_width(line.rstrip()) <= max(width, width // 2 + longest + 2)
