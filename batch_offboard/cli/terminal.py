"""The standard streams: their encoding, their width, and whether a terminal can be drawn on.

Nothing here writes text.
"""

import atexit
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


def prepare_streams() -> None:
    """Make stdout and stderr take every character, and write UTF-8 wherever a program may read them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            prepare(stream)


def prepare(stream: io.TextIOWrapper) -> None:
    """A terminal keeps its encoding, and characters that it lacks are spelled out. A file or a pipe gets UTF-8 and line
    feeds on every platform: on Windows it would get a code page, in which a program cannot read JSON."""
    if is_terminal(stream):
        stream.reconfigure(errors=SPELLED)
    else:
        stream.reconfigure(encoding="utf-8", errors=SPELLED, newline="\n")


def is_terminal(stream: TextIO) -> bool:
    """Whether a person reads the stream; False for a closed one."""
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def can_be_drawn_on(stream: TextIO) -> bool:
    """Whether the stream is a terminal that understands escape sequences.

    On Windows this is asked of the stream's own console, and switched on there: rich would ask the console of stdout,
    and would also draw on that one, whichever stream it was given. `NUL` is a terminal to `isatty` and no console.
    """
    if not is_terminal(stream) or os.environ.get("TERM", "") in ("dumb", "unknown"):
        return False
    return sys.platform != "win32" or _takes_sequences(stream.fileno())


if sys.platform == "win32":
    import ctypes
    import msvcrt
    from ctypes import wintypes

    # learn.microsoft.com/windows/console/setconsolemode: ENABLE_VIRTUAL_TERMINAL_PROCESSING, since Windows 10
    _SEQUENCES = 0x0004

    def _takes_sequences(descriptor: int) -> bool:
        """Whether the console interprets escape sequences, after asking it to until the program ends."""
        kernel = ctypes.windll.kernel32
        handle = wintypes.HANDLE(msvcrt.get_osfhandle(descriptor))
        mode = wintypes.DWORD()
        if not kernel.GetConsoleMode(handle, ctypes.byref(mode)):
            return False
        if mode.value & _SEQUENCES:
            return True
        if not kernel.SetConsoleMode(handle, mode.value | _SEQUENCES):
            return False
        atexit.register(kernel.SetConsoleMode, handle, mode.value)
        return True


if sys.platform != "win32":

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


def typed_line(stream: TextIO) -> str:
    """The next line typed at a terminal; `KeyboardInterrupt` for Ctrl-C.

    A signal that arrives after Python has looked for signals and before the system call that reads would not end that
    call. Waiting for the signal's own byte as well closes the gap. A Windows console reports Ctrl-C by the read itself.
    """
    if sys.platform != "win32":
        _wait_for_input_or_signal(stream.fileno())
    return stream.readline()


def width_of(stream: TextIO | None) -> int | None:
    """The terminal's columns; None for a pipe or a file, whose reader wants whole lines."""
    return shutil.get_terminal_size().columns if stream is not None and is_terminal(stream) else None


def fitted(text: str, stream: TextIO) -> str:
    """The text folded to the terminal's width, if the stream is a terminal."""
    width = width_of(stream)
    return text if width is None else folded(text, width)
