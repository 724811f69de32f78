"""Lines of a crontab: the shell receives the exact arguments, and the user's own lines stay unchanged."""

import shlex
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.errors import UsageError
from batch_offboard.unattended.schedule.cron import LONGEST_COMMAND, block_in, quoted, render, with_block, without_block
from batch_offboard.unattended.schedule.job import Job, Start
from tests.unit.unattended.schedule.conftest import make_job, texts

DIALECTS = ("keeps the backslash", "takes the backslash", "takes and halves")


def handed_to_shell(line: str, dialect: str) -> str:
    """What the various crons make of a command; a bare `%` would end it."""
    out: list[str] = []
    escaped = False
    for sign in line:
        if escaped and ((sign == "%" and dialect != DIALECTS[0]) or (sign == "\\" and dialect == DIALECTS[2])):
            out[-1] = sign
        else:
            assert sign != "%" or escaped
            out.append(sign)
        escaped = sign == "\\" and not escaped
    return "".join(out)


def block(job: Job) -> str:
    return render(job).files[0].text


def job_line(text: str) -> str:
    return next(line for line in text.splitlines() if not line.startswith("#") and "CRON_TZ" not in line)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(words=st.lists(texts, min_size=1, max_size=4))
def test_the_shell_gets_the_words_that_went_in_whatever_the_cron(dialect: str, words: list[str]) -> None:
    line = " ".join(quoted(word) for word in words)
    assert shlex.split(handed_to_shell(line, dialect)) == words


@pytest.mark.parametrize("dialect", DIALECTS)
@given(folder=texts, argument=texts, state=texts)
def test_the_whole_line_goes_to_the_folder_and_becomes_the_command(
    dialect: str, folder: str, argument: str, state: str
) -> None:
    job = make_job(folder=f"/{folder}", arguments=("nightly", argument), environment={"XDG_STATE_HOME": state})
    command = job_line(block(job)).split(" ", 5)[5]
    words = shlex.split(handed_to_shell(command, dialect))
    assert words == ["cd", f"/{folder}", "&&", "exec", "env", f"XDG_STATE_HOME={state}", *job.command(env_file=True)]


def test_the_line_says_when(job: Callable[..., Job]) -> None:
    assert job_line(block(job(start=Start(22, 5, (0, 1, 2, 3, 4))))).startswith("5 22 * * 1-5 cd /srv && exec ")


def test_the_program_reads_the_variables_itself(job: Callable[..., Job]) -> None:
    assert "-m batch_offboard --env-file /etc/bo/env nightly" in block(job(env_file="/etc/bo/env"))


def test_a_command_that_cron_would_cut_is_refused(job: Callable[..., Job]) -> None:
    spare = LONGEST_COMMAND - len(job_line(block(job(arguments=("",)))).split(" ", 5)[5]) + 2  # the quotes
    render(job(arguments=("a" * spare,)))
    with pytest.raises(UsageError, match="990 bytes"):
        render(job(arguments=("a" * (spare + 1),)))


# -- the crontab --

OTHERS = st.lists(
    st.sampled_from(
        [
            "",
            "# mine",
            "MAILTO=me@example.com",
            "0 5 * * * backup \\%d",
            "  ",
            "# nightly-test: end of it",
            "\x0c\u2028",
        ]
    ),
    max_size=6,
)


@given(lines=OTHERS, more=OTHERS)
def test_installing_and_removing_leaves_every_other_line_as_it_was(lines: list[str], more: list[str]) -> None:
    before = "".join(f"{line}\n" for line in lines)
    installed = with_block(before, "nightly-test", block(make_job()))
    edited = installed + "".join(f"{line}\n" for line in more)
    assert block_in(edited, "nightly-test") == block(make_job())
    assert without_block(edited, "nightly-test") == before + "".join(f"{line}\n" for line in more)


def test_a_last_line_without_an_end_gets_one() -> None:
    installed = with_block("# mine", "nightly-test", block(make_job()))
    assert installed.startswith("# mine\n# nightly-test: begin.")


def test_installing_again_replaces_the_block(job: Callable[..., Job]) -> None:
    first = with_block("# mine\n", "nightly-test", block(job()))
    second = with_block(first, "nightly-test", block(job(start=Start(3, 0))))
    assert second == "# mine\n" + block(job(start=Start(3, 0)))


def test_blocks_of_other_names_stay(job: Callable[..., Job]) -> None:
    one = with_block("", "nightly-one", block(job(name="nightly-one")))
    both = with_block(one, "nightly", block(job(name="nightly")))
    assert without_block(both, "nightly") == one
    assert block_in(both, "nightly-one") == block(job(name="nightly-one"))


def test_half_a_block_is_not_guessed_at(job: Callable[..., Job]) -> None:
    broken = with_block("", "nightly-test", block(job())).replace("# nightly-test: end.\n", "")
    with pytest.raises(UsageError, match="whose end is missing"):
        without_block(broken, "nightly-test")
    with pytest.raises(UsageError, match="whose end is missing"):
        with_block(broken, "nightly-test", block(job()))


def test_a_zone_stands_above_its_line_and_at_the_end_of_the_crontab(job: Callable[..., Job]) -> None:
    text = with_block("# mine\n", "nightly-test", block(job(start=Start(22, 0, zone="Europe/Berlin"))))
    lines = text.splitlines()
    assert lines[0] == "# mine"
    assert lines[2] == "CRON_TZ=Europe/Berlin"
    assert lines[3].startswith("0 22 * * *")


def test_a_block_without_a_zone_goes_above_those_with_one(job: Callable[..., Job]) -> None:
    zoned = with_block("# mine\n", "zoned", block(job(name="zoned", start=Start(22, 0, zone="UTC"))))
    text = with_block(zoned, "plain", block(job(name="plain")))
    assert text.index("# plain: begin.") < text.index("# zoned: begin.") < text.index("CRON_TZ=UTC")
    assert without_block(text, "plain") == zoned


def test_a_zone_of_the_users_own_would_move_our_time_and_is_refused(job: Callable[..., Job]) -> None:
    mine = "MAILTO=me\nCRON_TZ = Asia/Tokyo\n0 5 * * * backup\n"
    with pytest.raises(UsageError, match=r"Line 2 .* CRON_TZ.*--zone"):
        with_block(mine, "nightly-test", block(job()))
    assert with_block(mine, "nightly-test", block(job(start=Start(22, 0, zone="UTC")))).startswith(mine)
