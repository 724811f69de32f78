"""README and program say the same."""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from batch_offboard.errors import ExitCode

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def between(name: str) -> str:
    found = re.search(f"<!-- {name}: begin -->\n(.*)<!-- {name}: end -->", README, re.DOTALL)
    assert found is not None
    return found[1]


@cache
def help_of(*command: str) -> str:
    environment = {**os.environ, "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-m", "batch_offboard", *command, "--help"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return done.stdout


def commands_of(text: str) -> list[str]:
    return re.findall(r"^  ([a-z]+)  ", text.partition("Commands:\n")[2], re.MULTILINE)


def test_the_readme_shows_the_help_as_the_program_prints_it() -> None:
    assert between("help") == f"```text\n{help_of()}```\n"


def test_the_readme_lists_the_exit_codes_that_the_program_has() -> None:
    lines = ["| code | means |", "|---|---|", *(f"| {code.value} | {code.meaning} |" for code in ExitCode)]
    assert between("exit codes") == "\n".join(lines) + "\n"


@pytest.mark.parametrize("command", commands_of(help_of()))
def test_every_command_has_a_help_with_an_example_that_it_understands(command: str) -> None:
    text = help_of(command)
    assert f"Usage: batch-offboard {command}" in text
    example = re.search(rf"Example: batch-offboard {command}(.*)", " ".join(text.split()))
    assert example is not None
    options = re.findall(r"--[a-z-]+", example[1])
    assert all(re.search(rf"^  {option}\b", text, re.MULTILINE) for option in options)


def test_every_option_in_the_readmes_commands_exists() -> None:
    known = {option for command in commands_of(help_of()) for option in re.findall(r"--[a-z-]+", help_of(command))}
    lines = [line for line in README.splitlines() if re.match(r"\s*batch-offboard [a-z]+ ", line)]
    assert lines
    used = {option for line in lines for option in re.findall(r"--[a-z-]+", line)}
    assert used <= known


def test_no_option_takes_a_secret() -> None:
    for command in commands_of(help_of()):
        assert not re.search(r"--(secret|password|token)\b(?!-env)", help_of(command))
