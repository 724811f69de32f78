"""The one event loop of a command line: runs what the commands await.

asyncio is imported where a loop is made, so that `--help` does not load it.
"""

import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


def awaited(work: Coroutine[Any, Any, T], *, speed: float = 1) -> T:
    """Run a command's coroutine to its end; returns its result. `speed` lets the loop's time pass faster, for
    rehearsals. Ctrl-C raises KeyboardInterrupt, unless the command hears it as a request to end."""
    import asyncio

    from batch_offboard.base.fasttime import loop_factory

    with asyncio.Runner(loop_factory=loop_factory(speed)) as runner:
        main: asyncio.Task[T] = runner.get_loop().create_task(work)
        with _interrupts(runner.get_loop(), main):
            try:
                return runner.get_loop().run_until_complete(main)
            except asyncio.CancelledError:
                raise KeyboardInterrupt from None
            except KeyboardInterrupt:
                if main.done() and not main.cancelled():
                    main.exception()  # it is raised here, and asyncio is not to report it as unseen
                raise


@contextmanager
def _interrupts(loop: "asyncio.AbstractEventLoop", main: "asyncio.Task[Any]") -> Iterator[None]:
    """A command that awaits something is cancelled by Ctrl-C. One that computes or reads a file would hear of that only
    at its next await, which for a large sheet is a minute later: there the interrupt is raised at once."""
    from asyncio import current_task

    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(_number: int, _frame: FrameType | None) -> None:
        if current_task(loop) is main:
            raise KeyboardInterrupt
        main.cancel()
        loop.call_soon_threadsafe(lambda: None)  # wakes the loop, which may be waiting for the network

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # somebody else hears of it, or a parent has decided that it is ignored
        return
    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
