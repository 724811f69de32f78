"""Group commit: many tasks write to the journal at once, and one thread commits for all of them.

A completed write is durable, as if it had been committed alone; a thousand of them need only a few dozen syncs of the
disk.
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

# Iterations of the event loop that a transaction waits for more writes: after an outcome, the next intent takes three.
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
        """A future that is done when the line is durable, with or before every line written later. Cancelling it does
        not undo the write."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append((line, done))
        if self._committing is None:
            self._committing = loop.create_task(self._commit_all())
        return done

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run other work on the journal in the same thread, and so after the writes that were started; see
        `written`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: work(*args, **kwargs))

    async def written(self) -> None:
        """Wait until every line written so far is durable, or its waiter has received the error."""
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
        """Commit all in one transaction; if it fails, the intents fail with it, and the outcomes are retried."""
        starts = [line for line, _ in group if isinstance(line, Start)]
        ends = [line for line, _ in group if isinstance(line, End)]
        try:
            await self.run(self._journal.commit, starts, ends)
        except Exception as error:  # noqa: BLE001  # whatever the error, no waiter may be left waiting
            _settle([each for each in group if isinstance(each[0], Start)], error)
            await self._commit_at_last([each for each in group if isinstance(each[0], End)])
        else:
            _settle(group, None)

    async def _commit_at_last(self, group: Sequence[Waiting]) -> None:
        """Retry each outcome separately, so that one that cannot be written does not affect the others."""
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
    """Wake the waiters; each gets its own error, since a shared one would collect all their tracebacks."""
    for _, done in group:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(JournalError(str(error)) if isinstance(error, JournalError) else error)
