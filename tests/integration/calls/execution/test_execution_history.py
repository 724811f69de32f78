"""What a run stores for the report: its expected duration, and the times of its calls."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from batch_offboard.core.batches import Batch
from batch_offboard.journal.history import history_of
from batch_offboard.journal.reading import find_batch
from batch_offboard.reports.history import History

if TYPE_CHECKING:
    from tests.integration.world import World

pytestmark = pytest.mark.looptime

Interrupted = Callable[..., Awaitable[object]]


def history(world: "World", batch: Batch) -> History:
    found = find_batch(world.journal, batch.batch_id)
    assert found is not None
    return history_of(world.journal, found)


async def test_a_run_took_as_long_as_it_was_expected_to(world: "World") -> None:
    batch = world.add(range(250))
    async with world.tenant(250, latency=(0.2, 0.2)) as simulator:
        await world.work(batch, simulator.url)
    (run,) = history(world, batch).runs

    assert (run.start.calls, run.calls) == (250, 250)
    assert run.took == pytest.approx(run.start.expected, abs=2)


async def test_the_timeline_stays_within_the_quota_and_shows_every_call(world: "World") -> None:
    batch = world.add(range(250))
    async with world.tenant(250, "429=30@100") as simulator:
        await world.work(batch, simulator.url)
    timeline = history(world, batch).timeline

    assert timeline.calls == len(world.attempts())
    assert timeline.throttled >= 1
    assert 50 < timeline.fullest_minute <= 100
    assert len(timeline.stretches) == 1


async def test_the_calls_of_an_earlier_batch_are_shown_as_those_of_others(world: "World") -> None:
    first, second = world.add(range(30), "batch-1"), world.add(range(100, 140), "batch-2")
    async with world.tenant(140) as simulator:
        await world.work(first, simulator.url)
        await world.work(second, simulator.url)
    earlier, later = history(world, first).timeline, history(world, second).timeline

    assert (earlier.calls, earlier.others) == (30, 0)
    assert (later.calls, later.others, later.fullest_hour) == (40, 30, 70)


async def test_a_run_that_was_interrupted_and_the_one_that_went_on_are_told_apart(
    world: "World", interrupted: Interrupted
) -> None:
    batch = world.add(range(60))
    async with world.tenant(60) as simulator:
        await interrupted(world.work(batch, simulator.url), 10.0)
        again = find_batch(world.journal, batch.batch_id)
        assert again is not None
        await world.work(again, simulator.url)
    first, second = history(world, batch).runs

    assert first.start.calls == 60
    assert 0 < first.calls < 60
    assert second.start.calls == second.calls == 60 - first.calls


async def test_a_batch_that_was_never_run_has_no_history_of_calls(world: "World") -> None:
    told = history(world, world.add(range(3)))

    assert (told.runs, told.timeline.calls, told.timeline.stretches) == ((), 0, ())
    assert told.actions.differences is None


async def test_the_closing_look_tells_when_it_was_taken_and_that_nothing_differed(world: "World") -> None:
    batch = world.add(range(20))
    async with world.tenant(20) as simulator:
        await world.work(batch, simulator.url, look=True)
    actions = history(world, batch).actions
    found = find_batch(world.journal, batch.batch_id)

    assert sum(actions.statuses.values()) == 20
    assert actions.differences == ()
    assert found is not None
    assert found.started_at is not None
    assert actions.seen_at == pytest.approx(found.ended_at, abs=5)
