"""Text made fit for terminals and spreadsheets."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.text import is_like_formula, one_line, safe_cell, safe_json, unguarded, visible

# Surrogates and nasty beginnings included, at the odds that find mistakes.
ANY_TEXT = st.text(st.characters() | st.sampled_from("=+-@\t\r\n\0\x1b '\"＝＋－＠\ud800\u202e\u200b"))


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30 1234", "'+49 30 1234"),
        ("-5", "'-5"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\tplain", "'\tplain"),
        ("\rplain", "'\nplain"),
        ("\nplain", "'\nplain"),
        ("\0=1", "\\x00=1"),
        ("  =1", "'  =1"),
        ("\u00a0=1", "'\u00a0=1"),
        ("\u200b=1", "'\u200b=1"),
        ("\ufeff+1", "'\ufeff+1"),
        ('"=1"', '\'"=1"'),
        (" ' =1", "' ' =1"),
        ("„@x", "'„@x"),
        ("＝1", "'＝1"),
        ("＋1", "'＋1"),
        ("－1", "'－1"),
        ("＠x", "'＠x"),
        ("−1", "'−1"),
    ],
)
def test_what_looks_like_a_formula_gets_an_apostrophe(text: str, cell: str) -> None:
    assert safe_cell(text) == cell


@pytest.mark.parametrize("text", ["", "plain", "a=b", "1-2", "'=1", "x@y", " plain", "東京", "0", "#N/A"])
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert safe_cell(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\x07b", "a\\x07b"),
        ("a\x7fb", "a\\x7fb"),
        ("a\x9bb", "a\\x9bb"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u2028b", "a\\u2028b"),
        ("a\ud800b", "a\\ud800b"),
        ("a\uffffb", "a\\uffffb"),
        ("a\r\nb\rc\nd", "a\nb\nc\nd"),
        ("a\tb", "a\tb"),
        ("Zoë Œuvre 東京 👩‍💻", "Zoë Œuvre 東京 👩‍💻"),
    ],
)
def test_characters_that_act_or_hide_are_spelled_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_one_line_leaves_no_way_to_begin_another() -> None:
    assert one_line("a\n2026-11-24T00:00:00Z  all well\r\tb\x1b") == "a 2026-11-24T00:00:00Z all well b\\x1b"


@given(ANY_TEXT)
def test_a_safe_cell_never_begins_a_formula(text: str) -> None:
    cell = safe_cell(text)

    assert cell[:1] not in set("=+-@\t\r\n\0＝＋－＠")
    assert cell.startswith("'") or not is_like_formula(cell)


@given(ANY_TEXT)
def test_a_safe_cell_has_no_control_character_but_tab_and_line_feed(text: str) -> None:
    assert not [c for c in safe_cell(text) if (c < " " and c not in "\t\n") or "\x7f" <= c <= "\x9f"]


@given(ANY_TEXT)
def test_a_safe_cell_fits_into_any_file(text: str) -> None:
    assert safe_cell(text).encode("utf-8").decode("utf-8") == safe_cell(text)


@given(ANY_TEXT)
def test_making_a_cell_safe_twice_is_making_it_safe_once(text: str) -> None:
    assert safe_cell(safe_cell(text)) == safe_cell(text)


@given(ANY_TEXT.filter(lambda text: not text.startswith("'")))
def test_the_apostrophe_can_be_taken_off_again(text: str) -> None:
    assert unguarded(safe_cell(text)) == visible(text)


def test_an_apostrophe_of_somebody_else_stays() -> None:
    assert unguarded("'s-Hertogenbosch") == "'s-Hertogenbosch"


@given(st.text(st.characters() | st.sampled_from("\x1b\x9b\u202e\u2028\ud800"), max_size=40))
def test_safe_json_says_the_same_and_nothing_in_it_acts(text: str) -> None:
    shown = safe_json({"a": [text]}, indent=2)
    assert json.loads(shown) == {"a": [text]}
    assert visible(shown) == shown
