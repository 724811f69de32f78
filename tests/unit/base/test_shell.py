"""Commands that are printed to be typed are read back word by word."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.shell import command_line

WORDS = st.lists(st.text("ab \\\"'-.:&;()$%äé報", max_size=8), min_size=1, max_size=4)


def read_by_windows(line: str) -> list[str]:
    """The words of a command line as a program of Windows reads them, by Microsoft's rules for C."""
    words: list[str] = []
    word, quoted, begun, position = "", False, False, 0
    while position < len(line):
        backslashes = len(line[position:]) - len(line[position:].lstrip("\\"))
        position += backslashes
        sign = line[position : position + 1]
        if sign == '"':
            word += "\\" * (backslashes // 2)
            if backslashes % 2:
                word += '"'
            else:
                quoted = not quoted
            begun, position = True, position + 1
            continue
        word += "\\" * backslashes
        begun = begun or bool(backslashes)
        if sign == " " and not quoted:
            words += [word] if begun else []
            word, begun = "", False
        elif sign:
            word, begun = word + sign, True
        position += 1
    return [*words, word] if begun else words


@given(WORDS)
def test_windows_reads_the_words_that_were_meant(words: list[str]) -> None:
    assert read_by_windows(command_line(words, windows=True)) == words


@given(WORDS)
def test_other_shells_read_the_words_that_were_meant(words: list[str]) -> None:
    assert shlex.split(command_line(words, windows=False)) == words


@pytest.mark.parametrize("word", ["C:\\reports\\out.csv", "--only", "Geräte.csv", "20261124-0815-abcd"])
def test_a_plain_word_is_not_quoted_on_windows(word: str) -> None:
    assert command_line([word], windows=True) == word


@pytest.mark.parametrize("word", ["a b.csv", "a&b.csv", "a;b.csv", "(a).csv", "@a.csv", "it's.csv"])
def test_what_a_shell_of_windows_would_interpret_is_quoted(word: str) -> None:
    assert command_line([word], windows=True) == f'"{word}"'
