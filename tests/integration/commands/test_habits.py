"""What people type out of habit, and what they see when it is wrong: through the entry, in this process."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from batch_offboard.base.errors import ExitCode
from batch_offboard.cli.entry import run_command_line
from batch_offboard.journal.locks import is_held, only_process
from batch_offboard.reports.rows import Outcome, next_steps
from tests.virtual import device

IDS = "Device ID,Device Name\n" + "".join(f"{device(number)},lt-{number:04}.contoso.example\n" for number in range(6))
Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Typed:
    """A command in a folder with the sheet `devices.csv`: its exit code, what it printed, and what it said."""
    for name in ("HOME", "XDG_STATE_HOME", "LOCALAPPDATA", "WIN_PD_OVERRIDE_LOCAL_APPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "state"))
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "devices.csv").write_text(IDS, encoding="utf-8")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = run_command_line(arguments)
        said = capfd.readouterr()
        return code, said.out, said.err

    return run


@pytest.mark.parametrize("option", ["--dry-run", "--what-if"])
def test_a_dry_run_shows_the_plan_and_sends_nothing(typed: Typed, option: str) -> None:
    code, out, _ = typed("run", "devices.csv", "--simulate", option, "--rows", "2-4")
    assert code == ExitCode.OK
    assert "This run sends 3 devices (--rows 2-4); 3 rows stay pending." in out
    _, listed, _ = typed("list", "--simulate", "--json")
    assert '"state": "planned"' in listed
    assert '"submitted": 0' in listed


def test_a_hyphen_is_standard_input(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    given = SimpleNamespace(buffer=io.BytesIO(IDS.encode()), isatty=lambda: False)
    monkeypatch.setattr(sys, "stdin", given)
    code, out, _ = typed("plan", "-", "--simulate")
    assert code == ExitCode.OK
    assert "standard input" in out
    assert "6  to offboard" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "devices.csv", "--dry"], "`batch-offboard run --help` shows what it takes."),
        (["schedule", "install"], "`batch-offboard schedule install --help` shows what it takes."),
        (["nonsense"], "`batch-offboard --help` shows what it takes."),
        (["run", "devices.csv", "--comment", "x" * 401], "has 401 characters; at most 400 are allowed."),
        (["cancel", "latest", "--comment", "x" * 401], "has 401 characters; at most 400 are allowed."),
        (["audit", "export", "--output", "a.xlsx"], "an export is .jsonl or .csv"),
        (["run", "devices.csv", "--rows", "20-2"], "--rows takes rows of the sheet such as 2-20"),
        (["run", "./nowhere.csv", "--simulate"], "nowhere.csv does not exist; check the path."),
        (["plan", "nowhere.csv", "--simulate"], "nowhere.csv does not exist; check the path."),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_what_is_wrong_is_named_with_the_help_of_its_command(typed: Typed, arguments: list[str], words: str) -> None:
    code, out, err = typed(*arguments)
    assert (code, out) == (ExitCode.USAGE, "")
    assert words in " ".join(err.split())


def test_only_takes_its_words_in_any_case(typed: Typed) -> None:
    _, _, err = typed("plan", "devices.csv", "--simulate", "--only", "Failed")
    assert "is not a report of an earlier run" in err


def test_help_shows_no_types_of_python(typed: Typed) -> None:
    for command in ("run", "resume", "cancel", "resolve", "explain", "track"):
        _, out, _ = typed(command, "--help")
        assert "<" not in out
        assert "[[" not in out


def test_a_name_without_its_domain_finds_the_device(typed: Typed) -> None:
    typed("plan", "devices.csv", "--simulate")
    code, out, _ = typed("explain", "latest", "lt-0002", "--simulate")
    assert (code, out.split(":")[0][:5]) == (ExitCode.OK, "Row 4")
    assert typed("explain", "latest", "lt-000", "--simulate")[0] == ExitCode.USAGE


def test_a_night_is_rehearsed_over_a_copy_and_the_inbox_stays_as_it_is(typed: Typed) -> None:
    inbox = Path("inbox")
    inbox.mkdir()
    (inbox / "leavers.csv").write_text(IDS, encoding="utf-8")

    os.utime(inbox / "leavers.csv", (1_700_000_000, 1_700_000_000))
    code, out, _ = typed("nightly", "--inbox", "inbox", "--simulate", "--speed", "1000")
    assert code == ExitCode.OK
    assert "done        leavers.csv: batch sim-" in out
    assert [path.name for path in inbox.iterdir()] == ["leavers.csv"]


def test_a_rehearsal_is_checked_without_a_configuration(typed: Typed) -> None:
    code, out, _ = typed("check", "--simulate")
    assert code == ExitCode.OK
    assert "the embedded tenant answers" in out


def test_a_batch_that_a_process_works_on_needs_no_resume(tmp_path: Path) -> None:
    lock = tmp_path / "journal.db.lock"
    assert not is_held(lock, "batch b-1")
    with only_process([lock], "batch b-1", 0.0):
        assert is_held(lock, "batch b-1")
        assert not is_held(lock, "batch b-2")
        note = lock.with_name("journal.db.lock.holder")
        dead = note.read_text(encoding="utf-8").replace(f'"pid": {os.getpid()}', '"pid": 2147483646')
        note.write_text(dead, encoding="utf-8")
        assert not is_held(lock, "batch b-1")
    [step] = next_steps("b-1", "running", {Outcome.PENDING: 3, Outcome.FAILED: 1}, at_work=True)
    assert step.command == "batch-offboard show b-1"
