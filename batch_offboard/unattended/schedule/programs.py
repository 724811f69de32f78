"""Runs the schedulers' own programs: arguments one by one, never through a shell, never for ever."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from batch_offboard.base.errors import UsageError
from batch_offboard.base.text import one_line
from batch_offboard.unattended.schedule.job import Command

PATIENCE = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Done:
    """How a program ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """Its last words, on one line."""
        lines = (self.err.strip() or self.out.strip()).splitlines()
        return one_line(lines[-1])[:300] if lines else f"exit code {self.code}"


Run = Callable[[Command, str, Path | None], Done]
"""Runs a command with a text for its stdin ("" for none) in a folder (None: this one)."""


def run(command: Command, text: str = "", folder: Path | None = None) -> Done:
    """How it ended; UsageError if there is no such program, or it does not end."""
    name = command.words[0]
    try:
        if command.asks:
            done = subprocess.run(command.words, cwd=folder, check=False)  # noqa: S603  # the person types the password
            return Done(done.returncode, "", "")
        # What is in a crontab need not be UTF-8, and comes back byte for byte.
        ended = subprocess.run(  # noqa: S603  # fixed programs, checked arguments
            command.words,
            input=text.encode("utf-8", "surrogateescape"),
            capture_output=True,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            timeout=PATIENCE,
            check=False,
        )
    except FileNotFoundError:
        raise UsageError(f"There is no program `{name}` on this machine; choose another --kind.") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"`{name}` could not be run ({type(error).__name__}); nothing more was changed.") from error
    return Done(ended.returncode, _text(ended.stdout), _text(ended.stderr))


def _text(data: bytes) -> str:
    """`schtasks` hands XML out as UTF-16 where its output is no console."""
    if data.startswith(b"\xff\xfe"):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
