"""Runs the schedulers' own programs: as an argument vector, never through a shell, with a timeout."""

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
    """A program's exit code and output."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The last line of its output."""
        lines = (self.err.strip() or self.out.strip()).splitlines()
        return one_line(lines[-1])[:300] if lines else f"exit code {self.code}"


Run = Callable[[Command, str, Path | None], Done]
"""Runs a command with a text as its stdin ("" for none) in a folder (None: the current one)."""


def run(command: Command, text: str = "", folder: Path | None = None) -> Done:
    """Run a command. Raises UsageError if there is no such program, or it does not end in time."""
    name = command.words[0]
    try:
        if command.asks:
            done = subprocess.run(command.words, cwd=folder, check=False)  # noqa: S603  # the person types the password
            return Done(done.returncode, "", "")
        # A crontab need not be UTF-8; surrogateescape preserves its bytes.
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
    """The decoded output; `schtasks` writes XML as UTF-16 if its output is not a console."""
    if data.startswith(b"\xff\xfe"):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
