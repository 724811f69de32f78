"""The event loop of the command line, which runs the commands' coroutines.

asyncio is imported where a loop is created, so that `--help` does not load it.
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
    """Run a command's coroutine; returns its result. `speed` makes the loop's time pass faster, for rehearsals. Ctrl-C
    raises KeyboardInterrupt unless the command handles it as a request to end."""
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
                    main.exception()  # retrieved, so that asyncio does not log it as never retrieved
                raise


@contextmanager
def _interrupts(loop: "asyncio.AbstractEventLoop", main: "asyncio.Task[Any]") -> Iterator[None]:
    """Make Ctrl-C cancel a command that is awaiting. One that computes or reads a file would be cancelled only at its
    next await, for a large sheet a minute later: there KeyboardInterrupt is raised at once."""
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
        yield  # another handler is installed, or the parent process had SIGINT ignored
        return
    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
