"""A person presses Ctrl-C twice while another process holds the journal: real threads, a real lock, real time.

On virtual time the journal's thread works within one step of the loop, and nothing can come between an answer and its
outcome.
"""

import asyncio
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import pytest

from batch_offboard.base.errors import ExitCode
from batch_offboard.calls.shift import Terms, _close
from batch_offboard.core.jobs import CallOutcome, Verdict
from batch_offboard.journal.attempts import End, Start
from batch_offboard.journal.writer import JournalWriter
from batch_offboard.reports.rows import Outcome
from tests.integration.world import SPEED, MovedClock

if TYPE_CHECKING:
    from tests.integration.world import Tokens, World

Wanted = Callable[[Sequence[Start], Sequence[End]], bool]


@contextmanager
def deaf_python() -> Iterator[None]:
    """After the run has ended, a late signal is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@asynccontextmanager
async def held(world: "World", wanted: Wanted) -> AsyncIterator[asyncio.Event]:
    """Before the first commit that is `wanted`, another process takes the journal's lock and keeps it until the block
    ends; the event says that the commit waits for it."""
    loop, waits, honest = asyncio.get_running_loop(), asyncio.Event(), world.journal.commit
    holder = sqlite3.connect(world.journal.path, isolation_level=None, check_same_thread=False)

    def commit(starts: Sequence[Start], ends: Sequence[End]) -> None:
        if not waits.is_set() and not holder.in_transaction and wanted(starts, ends):
            holder.execute("BEGIN IMMEDIATE")
            loop.call_soon_threadsafe(waits.set)
        honest(starts, ends)

    world.journal.commit = commit  # type: ignore[method-assign]
    try:
        yield waits
    finally:
        holder.close()


async def pressed_twice() -> None:
    """Press Ctrl-C twice, and wait until both were handled."""
    for _ in range(2):
        signal.raise_signal(signal.SIGINT)
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.mark.fault(
    16, "Likewise while another process holds the journal: a known answer is written, however long that takes."
)
@pytest.mark.parametrize("row", [2, 4, 7])
async def test_an_answer_that_waits_for_the_journal_is_written(world: "World", row: int) -> None:
    batch = world.add(range(12))
    async with world.tenant(12, latency=(0.0, 0.0)) as simulator:
        with deaf_python():
            async with held(world, lambda _starts, ends: any(end.row == row for end in ends)) as waits:
                working = asyncio.create_task(world.work(batch, simulator.url, workers=1, terms=Terms(SPEED)))
                await waits.wait()
                await pressed_twice()
                assert not working.done()
            halt = await working
        assert halt is not None
        assert halt.exit_code is ExitCode.UNFINISHED
        accepted = len(simulator.tenant.actions)
        assert world.outcomes(batch) == {Outcome.SUBMITTED: accepted, Outcome.PENDING: 12 - accepted}
        world.check([batch], simulator.tenant)
        assert await world.work(world.batch("batch-1"), simulator.url) is None
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 12}
    assert len(simulator.tenant.calls) == 12


@pytest.mark.parametrize("row", [2, 4, 7])
async def test_an_intent_that_waits_for_the_journal_becomes_no_doubt(world: "World", row: int) -> None:
    batch = world.add(range(12))
    async with world.tenant(12, latency=(0.0, 0.0)) as simulator:
        with deaf_python():
            async with held(world, lambda starts, _ends: any(start.row == row for start in starts)) as waits:
                working = asyncio.create_task(world.work(batch, simulator.url, workers=1, terms=Terms(SPEED)))
                await waits.wait()
                await pressed_twice()
            await working
        outcomes = [each.outcome for each in world.report(batch)]
        assert outcomes == [Outcome.SUBMITTED] * (row - 2) + [Outcome.PENDING] * (14 - row)
        assert len(simulator.tenant.calls) == row - 2
        assert [each.verdict for each in world.attempts() if each.row == row] == [Verdict.NOT_SENT]
        world.check([batch], simulator.tenant)


async def test_a_call_that_waits_for_its_token_becomes_no_doubt(
    world: "World", tokens: "Callable[..., Tokens]"
) -> None:
    asked = asyncio.Event()
    source = tokens()

    async def token() -> str:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError("there is none")

    source.token = token  # type: ignore[method-assign]
    batch = world.add(range(3))
    async with world.tenant(3) as simulator:
        with deaf_python():
            working = asyncio.create_task(world.work(batch, simulator.url, tokens=source))
            await asked.wait()
            await pressed_twice()
            await working
    assert world.outcomes(batch) == {Outcome.PENDING: 3}
    assert simulator.tenant.calls == []
    assert [each.verdict for each in world.attempts()] == [Verdict.NOT_SENT]


async def test_the_end_of_a_run_comes_behind_answers_that_nobody_has_begun_to_write(world: "World") -> None:
    batch, now = world.add(range(3)), MovedClock().now()
    async with world.tenant(3) as simulator, world.tenancy(simulator.url) as opened:
        writer = opened.writer
        await writer.write(Start(batch.key, batch.scope_key, 2, 1, now))
        async with held(world, lambda starts, _ends: bool(starts)) as waits:
            writer.write(Start(batch.key, batch.scope_key, 3, 1, now))
            await waits.wait()
            accepted = CallOutcome(Verdict.SUBMITTED, 201, "an-action")
            writer.write(End(batch.key, batch.scope_key, 2, 1, now, accepted))
            closing = asyncio.create_task(_close(opened, batch, None, "run"))
            for _ in range(5):
                await asyncio.sleep(0)
        await closing
    assert [each.outcome for each in world.report(batch)] == [Outcome.SUBMITTED, Outcome.IN_DOUBT, Outcome.PENDING]


async def test_what_comes_behind_all_lines_waits_for_a_journal_that_is_held(world: "World") -> None:
    batch, now = world.add(range(3)), MovedClock().now()
    async with JournalWriter(world.journal) as writer:
        async with held(world, lambda starts, _ends: bool(starts)) as waits:
            line = writer.write(Start(batch.key, batch.scope_key, 2, 1, now))
            await waits.wait()
            behind = asyncio.create_task(writer.written())
            await asyncio.sleep(0)
            assert not behind.done()
        await behind
        assert line.done()
    assert world.outcomes(batch) == {Outcome.IN_DOUBT: 1, Outcome.PENDING: 2}
