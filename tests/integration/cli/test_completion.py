"""Shells complete commands, options and batches."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from batch_offboard.cli.entry import run_command_line

ASKED = "_BATCH_OFFBOARD_COMPLETE"
HEAVY = {"aiohttp", "jinja2", "msal", "openpyxl", "pandas", "sqlalchemy"}
DEVICE = "0123456789abcdef0123456789abcdef01234567"

# How each shell's script asks for what may follow `words`, the last of them being typed.
QUESTIONS: dict[str, Callable[[list[str]], dict[str, str]]] = {
    "bash": lambda words: {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)},
    "zsh": lambda words: {"_TYPER_COMPLETE_ARGS": " ".join(words)},
    "fish": lambda words: {"_TYPER_COMPLETE_ARGS": " ".join(words), "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    "powershell": lambda words: {
        "_TYPER_COMPLETE_ARGS": " ".join(words), "_TYPER_COMPLETE_WORD_TO_COMPLETE": words[-1]
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with a sheet, and a state folder that is nobody else's."""

    folder: Path
    state: Path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    found = Place(tmp_path / "work", tmp_path / "state")
    for each in (found.folder, found.state):
        each.mkdir()
    for name in ("XDG_STATE_HOME", "LOCALAPPDATA", "WIN_PD_OVERRIDE_LOCAL_APPDATA"):
        monkeypatch.setenv(name, str(found.state))
    monkeypatch.delenv("BATCH_OFFBOARD_CONFIG", raising=False)
    monkeypatch.chdir(found.folder)
    (found.folder / "devices.csv").write_text(f"Device ID\n{DEVICE}\n", encoding="utf-8")
    return found


@pytest.fixture
def ask(place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What the program answers to a shell."""

    def ask_(shell: str, *words: str) -> str:
        question = QUESTIONS[shell](["batch-offboard", *words]) if words else {}
        capsys.readouterr()
        with monkeypatch.context() as patch:
            for name, value in {ASKED: f"{'complete' if words else 'source'}_{shell}", **question}.items():
                patch.setenv(name, value)
            code = run_command_line([])
        told = capsys.readouterr()
        assert (code, told.err) == (0, "")
        return told.out

    return ask_


def rehearsed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The ID of a rehearsal's plan."""
    assert run_command_line(["plan", "devices.csv", "--simulate", *arguments]) == 0
    found = re.search(r"sim-[0-9]{8}-[0-9]{4}-[a-z]{4}", capsys.readouterr().out)
    assert found is not None
    return found[0]


@pytest.mark.parametrize("shell", QUESTIONS)
def test_every_shell_gets_its_script(ask: Callable[..., str], shell: str) -> None:
    script = ask(shell)

    assert "batch-offboard" in script
    assert f"complete_{shell}" in script


def test_every_shell_is_offered_commands_and_batches(
    ask: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    batch = rehearsed(capsys)

    for shell in QUESTIONS:
        assert set(re.findall(r"\bre[a-z]+\b", ask(shell, "re"))) >= {"resume", "retry", "report", "resolve"}
        assert batch in ask(shell, "show", batch[:6])


def test_where_a_file_is_meant_as_well_batches_are_offered_once_a_word_has_begun(
    ask: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    batch = rehearsed(capsys)

    assert ask("bash", "run", "").split() == []
    assert ask("bash", "run", "sim-").split() == [batch]


def test_without_a_journal_nothing_is_offered_and_nothing_is_made(ask: Callable[..., str], place: Place) -> None:
    assert ask("bash", "show", "").split() == []
    assert list(place.state.iterdir()) == []


def test_a_configuration_that_is_wrong_is_no_matter_for_the_shell(
    ask: Callable[..., str], place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = rehearsed(capsys)
    (place.folder / "config.yaml").write_text("nonsense: 1\n", encoding="utf-8")

    assert ask("bash", "show", "").split() == [batch]


def test_the_batches_of_a_named_journal_are_offered(
    ask: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    batch = rehearsed(capsys, "--journal", "here.db")

    assert ask("bash", "show", "--journal", "here.db", "").split() == [batch]
    assert ask("bash", "show", "").split() == []


def change(journal: Path, statement: str) -> None:
    with closing(sqlite3.connect(journal)) as connection, connection:
        connection.execute(statement)


def test_the_newest_batch_is_offered_first_and_one_that_is_no_batch_yet_is_not(
    ask: Callable[..., str], place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = (rehearsed(capsys, "--no-lookup") for _ in range(3))
    [journal] = place.state.rglob("rehearsal.db")
    change(journal, f"UPDATE batches SET state = 'planning' WHERE name = '{second}'")  # noqa: S608  # ours

    assert ask("bash", "show", "").split() == [third, first]


def test_a_rehearsal_is_offered_rehearsals_alone(
    ask: Callable[..., str], capsys: pytest.CaptureFixture[str], place: Place
) -> None:
    batch, real = rehearsed(capsys, "--no-lookup"), "20261124-0815-kqzt"
    [journal] = place.state.rglob("rehearsal.db")
    shutil.copy(journal, journal.with_name("journal.db"))
    change(journal.with_name("journal.db"), f"UPDATE batches SET name = '{real}'")  # noqa: S608  # ours

    assert ask("bash", "show", "").split() == [real, batch]
    assert ask("bash", "show", "--simulate", "").split() == [batch]


def test_a_batch_is_offered_with_what_it_is_of(ask: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("fish", "show", rehearsed(capsys)).strip().endswith("planned, devices.csv")


@pytest.mark.parametrize("content", [b"", b"no journal at all, and long enough to be looked at by whoever opens it"])
def test_a_file_that_is_no_journal_offers_nothing(ask: Callable[..., str], place: Place, content: bytes) -> None:
    (place.folder / "here.db").write_bytes(content)

    assert ask("bash", "show", "--journal", "here.db", "").split() == []


@pytest.mark.usefixtures("place")
def test_completing_a_batch_imports_nothing_heavy() -> None:
    question = {ASKED: "complete_bash", **QUESTIONS["bash"](["batch-offboard", "show", ""])}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "batch_offboard"],
        env=os.environ | question, capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    modules = set(re.findall(r"^import time:.*\| +([\w.]+)$", done.stderr, re.MULTILINE))

    assert "sqlite3" in modules
    assert modules & HEAVY == set()


@pytest.mark.skipif(shutil.which("bash") is None or sys.platform == "win32", reason="there is no bash to ask")
def test_bash_itself_completes_a_command_with_the_script(ask: Callable[..., str]) -> None:
    program = f"{sys.executable} -m batch_offboard"
    typed = "COMP_WORDS=(batch-offboard res); COMP_CWORD=1; _batch_offboard_completion batch-offboard"
    script = f'{ask("bash")}\n{typed}; echo "${{COMPREPLY[@]}}"'.replace("$1 ) )", f"{program} ) )")
    done = subprocess.run(["bash", "-c", script], capture_output=True, encoding="utf-8", check=True)

    assert done.stdout.split() == ["resume", "resolve"]
