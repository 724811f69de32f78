"""The rows as the page's script reads them."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.text import visible
from batch_offboard.reports.page.blocks import (
    FIELDS,
    LONGEST_WORD,
    MOST_WORDS,
    ROWS_OF_A_BLOCK,
    WORDED,
    Words,
    row_blocks,
    script_json,
)
from batch_offboard.reports.rows import Outcome, ReportHead, ReportRow, record

JSON = st.recursive(
    st.text() | st.integers() | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read_back(block: str, words: Words) -> list[dict[str, object]]:
    rows = [dict(zip(FIELDS, row, strict=False)) for row in json.loads(block)]
    table = words.as_list()
    for row in rows:
        row |= {name: table[row[name]] for name in WORDED if isinstance(row.get(name), int)}
    return rows


@pytest.mark.parametrize("outcome", Outcome)
def test_a_row_is_read_back_as_the_other_formats_have_it(outcome: Outcome, head: ReportHead, row: ReportRow) -> None:
    words = Words()
    row = replace(row, outcome=outcome, error_code="NotFound", error_message="No\tsuch \x1b device.")
    (block,) = row_blocks([row], head, words)
    (back,) = read_back(block, words)
    told = [None if value == "" else value for value in list(back.values())[:-1]]
    told[3] = list(Outcome)[back["outcome"]].value  # type: ignore[call-overload]
    told[10], told[11] = "2026-11-24T08:15:31Z", "2026-11-24T08:15:32Z"

    assert told == [visible(each) if isinstance(each, str) else each for each in record(row, head)]
    assert (back["submitted"], back["finished"]) == (1_795_508_131, 1_795_508_132)
    assert back["cells"] == ["Ann", "T1"]


@given(JSON)
def test_json_in_a_script_element_means_the_same_and_cannot_end_it(value: object) -> None:
    text = script_json(value)

    assert json.loads(text) == value
    assert not set("<>&\n") & set(text)


def test_blocks_hold_so_many_rows_and_lose_none(head: ReportHead, row: ReportRow) -> None:
    rows = (replace(row, row=number) for number in range(2 * ROWS_OF_A_BLOCK + 1))
    blocks = [json.loads(block) for block in row_blocks(rows, head, Words())]

    assert [len(block) for block in blocks] == [ROWS_OF_A_BLOCK, ROWS_OF_A_BLOCK, 1]
    assert [line[0] for block in blocks for line in block] == list(range(2 * ROWS_OF_A_BLOCK + 1))


def test_without_rows_there_is_no_block(head: ReportHead) -> None:
    assert list(row_blocks([], head, Words())) == []


def test_words_are_held_once_and_no_more_than_so_many() -> None:
    words = Words()
    places = [words.place(str(number)) for number in range(MOST_WORDS + 1)]

    assert places == [*range(MOST_WORDS), str(MOST_WORDS)]
    assert words.place("7") == 7
    assert len(words.as_list()) == MOST_WORDS


def test_a_long_text_is_no_word() -> None:
    text = "x" * (LONGEST_WORD + 1)

    assert Words().place(text) == text
