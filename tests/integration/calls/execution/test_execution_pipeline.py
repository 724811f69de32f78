"""Several workers: what becomes durable together, and how many calls are open at once."""

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from batch_offboard.core.quota import QuotaLimits
from batch_offboard.journal.schema import calls
from batch_offboard.simulator.calls import Call
from tests.integration.inspection import transactions

if TYPE_CHECKING:
    from tests.integration.world import World

pytestmark = pytest.mark.looptime

COUNT = 60
WIDE = QuotaLimits(per_minute=6_000, per_hour=6_000, burst=6_000)
TENANT = {"per_minute": WIDE.per_minute, "per_hour": WIDE.per_hour}


class Arrivals(list[Call]):
    """The tenant's record of calls, which counts at each arrival how many calls are open in the journal."""

    def __init__(self, world: "World") -> None:
        super().__init__()
        self._world = world
        self.open: list[int] = []

    def append(self, call: Call) -> None:
        super().append(call)
        with self._world.journal.reading() as connection:
            found = connection.execute(select(func.count()).where(calls.c.ended_at.is_(None)))
            self.open.append(found.scalar_one())


async def test_an_outcome_and_the_next_intent_are_one_transaction(world: "World") -> None:
    batch = world.add(range(COUNT))
    async with world.tenant(COUNT, **TENANT) as simulator:
        before = transactions(world.journal)
        await world.work(batch, simulator.url, workers=1, limits=WIDE)

    assert COUNT < transactions(world.journal) - before < 1.3 * COUNT


@pytest.mark.parametrize("workers", [1, 3, 8])
async def test_never_are_more_calls_open_on_the_disk_than_there_are_workers(world: "World", workers: int) -> None:
    batch = world.add(range(COUNT))
    async with world.tenant(COUNT, "500-after@7", "429=1@20", **TENANT) as simulator:
        simulator.tenant.calls = arrivals = Arrivals(world)
        await world.work(batch, simulator.url, workers=workers, limits=WIDE)

    assert max(arrivals.open) == workers
    assert min(arrivals.open) == 1
