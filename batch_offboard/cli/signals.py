"""Hands the ways in which people and systems ask a process to end to the command that it runs.

Ctrl-C and SIGTERM everywhere; SIGHUP where it exists; on Windows Ctrl-Break, the console's close button, log-off
and shutdown.
"""

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any

from batch_offboard.core.ending import Ending

# Windows kills a console program five seconds after its window was closed; what is in flight has until then.
CLOSE_GRACE = 4.5  # seconds


class SignalEnding(Ending):
    """An ending that the process's signals ask for, as long as anybody hears it. At all other times signals do what the
    system has them do."""

    @contextmanager
    def heard(self, drain: Callable[[str], None], stop: Callable[[str], None]) -> Iterator[None]:
        installed = nullcontext() if self.is_heard else _handed_to(self.ask)
        with super().heard(drain, stop), installed:
            yield


@contextmanager
def _handed_to(ask: Callable[[str], None]) -> Iterator[None]:
    """While the block runs, signals call `ask` with their names, in the running loop."""
    loop = asyncio.get_running_loop()

    def handle(number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(ask, signal.Signals(number).name)

    # signal.signal rather than loop.add_signal_handler: the latter does not exist on Windows.
    before = {number: signal.signal(number, handle) for number in _signals()}
    try:
        with _console_events(lambda name: loop.call_soon_threadsafe(ask, name)):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _signals() -> list[signal.Signals]:
    names = ("SIGINT", "SIGTERM", "SIGBREAK") if sys.platform == "win32" else ("SIGINT", "SIGTERM", "SIGHUP")
    return [
        number
        for number in (getattr(signal, name) for name in names)
        # A parent such as nohup may have decided that a signal is to be ignored.
        if signal.getsignal(number) is not signal.SIG_IGN
    ]


@contextmanager
def _console_events(ask: Callable[[str], Any]) -> Iterator[None]:
    """Windows tells of a closing console by a handler in a thread of its own; elsewhere there is nothing to do."""
    if sys.platform != "win32":
        yield
        return
    import ctypes
    import time

    events = {2: "console closed", 5: "log-off", 6: "shutdown"}

    @ctypes.WINFUNCTYPE(ctypes.c_int, ctypes.c_uint)  # type: ignore[attr-defined,untyped-decorator,unused-ignore]  # Windows only
    def handler(event: int) -> int:
        if event not in events:
            return 0
        ask(events[event])
        time.sleep(CLOSE_GRACE)  # Windows ends the process as soon as this returns
        return 1

    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]  # Windows only
    kernel.SetConsoleCtrlHandler(handler, 1)
    try:
        yield
    finally:
        kernel.SetConsoleCtrlHandler(handler, 0)
