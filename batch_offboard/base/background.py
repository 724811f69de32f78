"""Work in threads that never keep the program from ending; an executor's are waited for at its end.

For what blocks and cannot be interrupted: a name server or a mail server that says nothing.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


def begun(work: Callable[[], T]) -> "Future[T]":
    """What `work` returns or raises, some day."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # nobody can cancel it any more, and set what is set below

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001  # it is raised where it is waited for
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name="background", daemon=True).start()
    return future


async def in_background(work: Callable[[], T]) -> T:
    """Likewise for an event loop, which goes on meanwhile."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(ended: "Future[T]") -> None:
        if done.done():  # nobody waits any more
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
