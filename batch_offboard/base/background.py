"""Work in daemon threads, which do not delay the end of the program as an executor's threads would.

For calls that block and cannot be interrupted, such as a name server or a mail server that does not answer.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


def begun(work: Callable[[], T]) -> "Future[T]":
    """A future for what `work` returns or raises."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # it can no longer be cancelled, so the result can be set

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001  # raised again where the future is awaited
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name="background", daemon=True).start()
    return future


async def in_background(work: Callable[[], T]) -> T:
    """The same for an event loop, which is not blocked meanwhile."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(ended: "Future[T]") -> None:
        if done.done():  # the waiter was cancelled
            return
        if (error := ended.exception()) is not None:
            done.set_exception(error)
        else:
            done.set_result(ended.result())

    def hand_over(ended: "Future[T]") -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(settle, ended)

    begun(work).add_done_callback(hand_over)
    return await done
