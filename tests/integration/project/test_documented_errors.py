"""The page of errors shows sentences that the program says, under the exit code that they end it with."""

import re
from pathlib import Path

import pytest

from batch_offboard.base.errors import ExitCode
from batch_offboard.defender.signin import refusals
from tests.messages import Message, messages

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "errors.md").read_text(encoding="utf-8")


def shown() -> list[tuple[ExitCode, str]]:
    """The sentences of the page's tables; a backtick cannot stand inside code, so the page has a quote there."""
    sections = re.findall(r"^## Exit code (\d)(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return [
        (ExitCode(int(code)), sentence)
        for code, section in sections
        for sentence in re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
    ]


def said() -> list[Message]:
    """The program's sentences, with those of the sign-in that are chosen by a code."""
    texts = set(vars(refusals)["_SENTENCES"].values())
    by_code = [Message("defender/signin/refusals.py", "SignInError", text, ExitCode.SIGN_IN) for text in sorted(texts)]
    return [
        Message(each.place, each.kind, each.text.replace("`", "'"), each.exit_code) for each in (*messages(), *by_code)
    ]


def test_the_page_has_sentences_for_every_code_that_has_errors() -> None:
    assert {code for code, _ in shown()} == set(ExitCode) - {ExitCode.OK, ExitCode.ROWS_FAILED}
    assert len(shown()) >= 30


@pytest.mark.parametrize(("code", "sentence"), shown(), ids=lambda value: str(value)[:50])
def test_a_sentence_of_the_page_is_one_of_the_programs(code: ExitCode, sentence: str) -> None:
    assert code in {each.exit_code for each in said() if each.is_said_by(sentence)}


def test_a_sentence_that_the_program_does_not_say_is_found_out() -> None:
    assert not [each for each in said() if each.is_said_by("There is no file leavers.csv; try another one.")]
    assert not [each for each in said() if each.is_said_by("Anything at all: it is said.")]
