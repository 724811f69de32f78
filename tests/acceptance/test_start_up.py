"""What starting a command costs: nothing that it does not need is imported."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Office

HEAVY = {"aiohttp", "msal", "openpyxl", "pandas", "sqlalchemy"}
COMMANDS = ("plan", "run", "resume", "retry", "report", "list", "show", "explain", "quota", "simulate")


def imported_by(office: Office, *arguments: str) -> set[str]:
    """The names of all modules that a command imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "batch_offboard", *arguments],
        cwd=office.folder, env=office.environ, capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    return set(re.findall(r"^import time:.*\| +([\w.]+)$", done.stderr, re.MULTILINE))


@pytest.mark.parametrize("command", [(), *((each,) for each in COMMANDS)], ids=" ".join)
def test_help_imports_nothing_heavy(office: Office, command: tuple[str, ...]) -> None:
    modules = imported_by(office, *command, "--help")
    assert "typer" in modules
    assert modules & (HEAVY | {"asyncio"}) == set()


@pytest.mark.parametrize("command", ["list", "quota"])
def test_a_look_at_the_journal_imports_no_reader_writer_or_sign_in(office: Office, command: str) -> None:
    modules = imported_by(office, command)
    assert "sqlalchemy" in modules
    assert modules & {"msal", "openpyxl", "pandas", "batch_offboard.calls.pool"} == set()
