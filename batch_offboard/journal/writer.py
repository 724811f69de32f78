"""Lets many tasks write to the journal at once: they wait together, one thread commits for all of them.

A write that is done is durable, as if it had been committed alone; a thousand of them cost the disk's
syncs only a few dozen times.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, Self, TypeVar

from batch_offboard.base.errors import JournalError
from batch_offboard.journal.attempts import End, Start
from batch_offboard.journal.store import Journal

P = ParamSpec("P")
T = TypeVar("T")

# So many turns of the event loop a transaction waits for company: after an outcome, the next call's intent takes three.
TURNS = 3

Waiting = tuple[Start | End, asyncio.Future[None]]


class JournalWriter:
    """Use as an async context manager inside the running event loop."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._waiting: list[Waiting] = []
        self._committing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.written()
        self._thread.shutdown()

    def write(self, line: Start | End) -> asyncio.Future[None]:
        """Done when the line is durable, with or before every line that is given later. Cancelling the future does not
        take the line back."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append((line, done))
        if self._committing is None:
            self._committing = loop.create_task(self._commit_all())
        return done

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Any other work on the journal, in the same thread and so behind the writes that were begun; see `written`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: work(*args, **kwargs))

    async def written(self) -> None:
        """Done when every line that was given so far is durable, or its waiter has been told that it is not."""
        while self._committing is not None:
            await asyncio.shield(self._committing)

    async def _commit_all(self) -> None:
        try:
            while self._waiting:
                for _ in range(TURNS):
                    await asyncio.sleep(0)
                group, self._waiting = self._waiting, []
                await self._commit(group)
        finally:
            self._committing = None

    async def _commit(self, group: Sequence[Waiting]) -> None:
        """One transaction for all; if it fails, no call is begun, but what has happened is tried once more."""
        starts = [line for line, _ in group if isinstance(line, Start)]
        ends = [line for line, _ in group if isinstance(line, End)]
        try:
            await self.run(self._journal.commit, starts, ends)
        except Exception as error:  # noqa: BLE001  # whatever it was, no waiter may be left waiting
            _settle([each for each in group if isinstance(each[0], Start)], error)
            await self._commit_at_last([each for each in group if isinstance(each[0], End)])
        else:
            _settle(group, None)

    async def _commit_at_last(self, group: Sequence[Waiting]) -> None:
        """Each by itself, so that one that cannot be written takes no other with it."""
        for waiting in group:
            line = waiting[0]
            if not isinstance(line, End):
                continue
            try:
                await self.run(self._journal.commit_at_last, line)
            except Exception as error:  # noqa: BLE001  # as above
                _settle([waiting], error)
            else:
                _settle([waiting], None)


def _settle(group: Iterable[Waiting], error: Exception | None) -> None:
    """Wake the waiters; each gets an error of its own, since a shared one would gather all their tracebacks."""
    for _, done in group:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(JournalError(str(error)) if isinstance(error, JournalError) else error)
