"""Turns the ways in which people and systems ask a program to end into two calls: `drain`, then `stop`.

Ctrl-C and SIGTERM everywhere; SIGHUP where it exists; on Windows Ctrl-Break, the console's close button, log-off
and shutdown. The first request drains, the second stops.
"""

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# Windows kills a console program five seconds after its window was closed; what is in flight has until then.
CLOSE_GRACE = 4.5  # seconds


@contextmanager
def ending_signals(drain: Callable[[str], None], stop: Callable[[str], None]) -> Iterator[None]:
    """While the block runs, signals call `drain` and then `stop`, each with the signal's name, in the running loop."""
    loop = asyncio.get_running_loop()
    asked = 0

    def ask(name: str) -> None:
        nonlocal asked
        asked += 1
        (drain if asked == 1 else stop)(name)

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


@contextmanager
def signals_like_ctrl_c() -> Iterator[None]:
    """While the block runs, whatever asks the program to end raises KeyboardInterrupt, as Ctrl-C does; for work that
    has no event loop, or has several in turn."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, handle) for number in _signals() if number is not signal.SIGINT}
    try:
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

    @ctypes.WINFUNCTYPE(ctypes.c_int, ctypes.c_uint)  # type: ignore[attr-defined,unused-ignore]  # Windows only
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
