"""`-` as a sheet: standard input, copied to a file that can be read more than once."""

import atexit
import shutil
import sys
import tempfile
from pathlib import Path

from batch_offboard.base.errors import UsageError

STANDARD_INPUT = "-"
NAME = "standard input"  # of the file, and so of the sheet in plan, report and journal


def sheet_at(cwd: Path, name: str) -> Path:
    """The path of a sheet; for `-` that of a private copy, which is deleted when the program ends."""
    if name != STANDARD_INPUT:
        return cwd / name
    if sys.stdin is None:
        raise UsageError("There is no standard input to read a sheet from; name a file.")
    folder = Path(tempfile.mkdtemp(prefix="batch-offboard-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with (folder / NAME).open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return folder / NAME
