"""What is known of the streams that people read: how wide they are, and how they take characters that they lack.

Nothing here writes.
"""

import codecs
import io
import os
import select
import shutil
import signal
import sys
from typing import TextIO

from batch_offboard.cli.folding import folded

SPELLED = "batch_offboard.spelled"  # the error handler's name, for `encode` and for streams

# Signs of ours and of usual text that old code pages lack, and what stands for them there.
_PLAIN = str.maketrans(
    {"…": "...", "–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "→": "->", "\u00a0": " "}
)


def _spelled(error: UnicodeError) -> tuple[str | bytes, int]:
    """Plain signs for what has them, and the character's number for everything else."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end].translate(_PLAIN)
    return lacking.encode("ascii", "backslashreplace").decode("ascii"), error.end


codecs.register_error(SPELLED, _spelled)


def take_every_character() -> None:
    """From now on, a name from a sheet does not end the program because the console knows fewer characters."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=SPELLED)


def typed_line(stream: TextIO) -> str:
    """The next line typed at a terminal; `KeyboardInterrupt` for Ctrl-C.

    A signal that arrives after Python has looked for signals and before the system call that reads would not end that
    call. Waiting for the signal's own byte as well closes the gap. A Windows console reports Ctrl-C by the read itself.
    """
    if os.name == "posix":
        _wait_for_input_or_signal(stream.fileno())
    return stream.readline()


def _wait_for_input_or_signal(terminal: int) -> None:
    woken, waking = os.pipe()
    os.set_blocking(waking, False)
    before = signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
    try:
        select.select([terminal, woken], [], [])
    finally:
        signal.set_wakeup_fd(before)
        os.close(woken)
        os.close(waking)


def width_of(stream: TextIO | None) -> int | None:
    """The terminal's columns; None for a pipe or a file, whose reader wants whole lines."""
    try:
        return shutil.get_terminal_size().columns if stream is not None and stream.isatty() else None
    except ValueError:  # closed
        return None


def fitted(text: str, stream: TextIO) -> str:
    """The text folded to the terminal's width, if the stream is a terminal."""
    width = width_of(stream)
    return text if width is None else folded(text, width)
