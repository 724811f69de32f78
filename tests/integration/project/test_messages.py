"""Every sentence that can end a command is one of a style, and names what to do next."""

import re

import pytest

from batch_offboard.base.errors import ExitCode
from tests.messages import Message, fixed, messages

# Behind one of these stands the next step: another clause, another sentence, or what to type.
BEFORE_A_STEP = re.compile(r"; |[.] [A-Z{]|: |, or | `|--[a-z]")
COMMAND_AT_THE_END = re.compile(r"(: |type: )\{?[a-z][^.]*$")

# Sentences that end or begin with others, which have the step.
ENDS_WITH_ANOTHER = re.compile(r"\{[^{}]*\}\.?$|^\{halt.reason\} ")

SAID_OF_US = "bug in the program"


def named(message: Message) -> str:
    return f"{message.place} {message.kind}"


def test_they_are_found() -> None:
    kinds = {each.kind for each in messages()}

    assert len(messages()) > 220
    assert kinds >= {"UsageError", "ConfigError", "InputError", "BusyError", "JournalError", "GuardError"}
    assert kinds >= {"ReportError", "SignInError", "Halt", "Refusal"}


def test_one_begins_with_a_capital_or_with_what_it_is_about_and_ends_with_a_full_stop_or_a_command() -> None:
    odd = [
        named(each)
        for each in messages()
        if not re.match(r"[A-Z{\-`]|credential|guards|network|systemd", each.text)
        or not (
            each.text.endswith((".", "?"))
            or COMMAND_AT_THE_END.search(each.text)
            or ENDS_WITH_ANOTHER.search(each.text)
        )
    ]

    assert odd == []


def test_one_names_what_it_is_about_or_says_it_all() -> None:
    """Words without a single value in them are rare, and long enough to stand alone."""
    assert [named(each) for each in messages() if "{" not in each.text and len(each.text) < 25] == []


def test_one_is_plain_text_on_one_line() -> None:
    odd = [
        named(each)
        for each in messages()
        if re.search(r"[!\n\t]|Error|Exception|Traceback", fixed(each.text)) or "  " in each.text
    ]

    assert [
        place for place in odd if not place.startswith("commands/rehearsal.py")
    ] == []  # there the list of all faults


def test_one_that_a_person_can_mend_names_the_next_step() -> None:
    odd = [
        named(each)
        for each in messages()
        if each.exit_code is not None
        and each.kind not in {"Halt", "_hold", "BatchOffboardError"}
        and not BEFORE_A_STEP.search(each.text)
        and not ENDS_WITH_ANOTHER.search(each.text)
    ]

    assert odd == []


@pytest.mark.parametrize("code", [code for code in ExitCode if code not in {ExitCode.OK, ExitCode.ROWS_FAILED}])
def test_every_code_that_stops_a_command_has_its_sentences(code: ExitCode) -> None:
    assert any(each.exit_code is code and SAID_OF_US not in each.text for each in messages())
