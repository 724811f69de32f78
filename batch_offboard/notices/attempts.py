"""Retries within one deadline, for deliveries over a network."""

import asyncio
from collections.abc import Awaitable, Callable

ATTEMPTS = 4
BACKOFF = 1.0  # seconds after the first attempt, doubled after each further one


class NotDelivered(Exception):  # noqa: N818  # says what did not happen
    """The reason, as a clause that follows a colon; never contains a secret."""


class Temporary(Exception):  # noqa: N818  # as above
    """A failure to be retried, after `wait` seconds if the server asked for that."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


async def within(deadline: float, attempt: Callable[[], Awaitable[None]]) -> None:
    """Retry until an attempt succeeds.

    Raises NotDelivered after the last attempt, when the next would be too late, or at the deadline.
    """
    time = asyncio.get_running_loop().time
    end = time() + deadline
    why = "no answer came"
    try:
        async with asyncio.timeout_at(end):
            for number in range(ATTEMPTS):
                try:
                    return await attempt()
                except Temporary as error:
                    why = str(error)
                    wait = BACKOFF * 2**number if error.wait is None else error.wait
                if number + 1 == ATTEMPTS or time() + wait >= end:
                    break
                await asyncio.sleep(wait)
    except TimeoutError:
        why = f"{why} within {deadline:g} s"
    raise NotDelivered(why)
