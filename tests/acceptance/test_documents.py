"""The manual and the program say the same."""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from batch_offboard.base.errors import ExitCode
from batch_offboard.config import Config, load_config
from tests.manual import PAGES, ROOT, blocks, page


def between(name: str, path: str) -> str:
    found = re.search(f"<!-- {name}: begin -->\n(.*)<!-- {name}: end -->", page(path), re.DOTALL)
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


def all_commands() -> list[tuple[str, ...]]:
    """Every command, and every command of a group under both names."""
    top = commands_of(help_of())
    return [(name,) for name in top] + [(name, inner) for name in top for inner in commands_of(help_of(name))]


def test_the_manual_shows_the_help_as_the_program_prints_it() -> None:
    assert between("help", "docs/commands.md") == f"```text\n{help_of()}```\n"


@pytest.mark.parametrize("path", ["README.md", "docs/errors.md"])
def test_the_exit_codes_are_listed_as_the_program_has_them(path: str) -> None:
    lines = ["| code | means |", "|---|---|", *(f"| {code.value} | {code.meaning} |" for code in ExitCode)]
    assert between("exit codes", path) == "\n".join(lines) + "\n"


@pytest.mark.parametrize("command", all_commands(), ids=" ".join)
def test_every_command_has_a_help_with_an_example_that_it_understands(command: tuple[str, ...]) -> None:
    text, name = help_of(*command), " ".join(command)
    assert f"Usage: batch-offboard {name}" in text
    example = re.search(rf"Example: batch-offboard {name}(.*)", " ".join(text.split()))
    assert example is not None
    options = re.findall(r"--[a-z-]+", example[1])
    assert all(re.search(rf"^  {option}\b", text, re.MULTILINE) for option in options)


def test_every_command_and_option_in_the_manual_exists() -> None:
    known = {option for command in all_commands() for option in re.findall(r"--[a-z-]+", help_of(*command))}
    text = "\n".join(path.read_text(encoding="utf-8") for path in PAGES if path.name != "CONTRIBUTING.md")
    lines = re.findall(r"^\s*(?:\$ )?batch-offboard ([a-z]+ .*)", text, re.MULTILINE)
    lines += re.findall(r"`batch-offboard ([a-z]+[^`]*)`", text)
    assert len(lines) > 30
    assert {line.split()[0] for line in lines} <= {command[0] for command in all_commands()}
    assert {option for line in lines for option in re.findall(r"--[a-z-]+", line)} <= known


def test_every_option_that_the_manual_names_exists() -> None:
    of_the_program = [path for path in PAGES if path.name not in {"CONTRIBUTING.md", "proof.md", "performance.md"}]
    known = {option for command in all_commands() for option in re.findall(r"--[a-z-]+", help_of(*command) + help_of())}
    texts = [path.read_text(encoding="utf-8") for path in of_the_program]
    named = {option for text in texts for option in re.findall(r"`(--[a-z-]+)[^`]*`", text)}

    assert named <= known


def shown_section(name: str, folder: Path) -> Config:
    """The configuration with a section as the manual shows it."""
    texts = [text for each in PAGES for text in blocks(each.read_text(encoding="utf-8"), "yaml")]
    (block,) = [text for text in texts if text.startswith(f"{name}:")]
    path = folder / "config.yaml"
    path.write_text(f"credential: {{type: access_token, token_env: TOKEN}}\n{block}", encoding="utf-8")
    return load_config(path, {}, folder)


def test_the_notices_that_the_manual_shows_are_a_configuration(tmp_path: Path) -> None:
    assert shown_section("notices", tmp_path).notices.has_ways


def test_the_window_that_the_manual_shows_is_a_configuration(tmp_path: Path) -> None:
    window = shown_section("window", tmp_path).window.window
    assert window is not None
    assert window.days == frozenset(range(5))
    assert len(window.frozen) == 2


def test_the_log_that_the_manual_shows_is_a_configuration(tmp_path: Path) -> None:
    assert shown_section("log", tmp_path).log.format == "json"


def test_the_first_configuration_that_the_manual_shows_is_one(tmp_path: Path) -> None:
    (block,) = [text for text in blocks(page("docs/first-run.md"), "yaml") if text.startswith("tenant_id:")]
    (tmp_path / "config.yaml").write_text(block, encoding="utf-8")

    assert load_config(None, {}, tmp_path).comment == "Decommissioned, CHG0042"


def test_no_option_takes_a_secret() -> None:
    for command in all_commands():
        assert not re.search(r"--(secret|password|token)\b(?!-env)", help_of(*command))
