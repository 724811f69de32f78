"""A reader has exclusive access to the tenant for a few pages; the next one waits, and continues the call log."""

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batch_offboard.base.errors import BusyError
from batch_offboard.calls.tenancy import TURN_PATIENCE
from batch_offboard.core.quota import QuotaLimits
from batch_offboard.journal.locks import only_process, reading_lock
from tests.integration.world import SCOPE

if TYPE_CHECKING:
    from batch_offboard.calls.tenancy import Tenancy
    from tests.integration.world import World

pytestmark = pytest.mark.looptime

SMALL = QuotaLimits(per_minute=10, per_hour=30, burst=10)


async def read_pages(tenancy: "Tenancy") -> None:
    async with tenancy.reader() as reader:
        await reader.machines()


@pytest.mark.parametrize("readers", [2, 3])
async def test_several_readers_take_turns_and_share_the_windows(world: "World", tmp_path: Path, readers: int) -> None:
    async with world.tenant(40, page_size=10, per_minute=10, per_hour=30, latency=(0.5, 1.5)) as simulator:

        async def command() -> None:
            async with world.tenancy(simulator.url, lock_folder=tmp_path, limits=SMALL) as tenancy:
                await read_pages(tenancy)
                await read_pages(tenancy)

        await asyncio.gather(*(command() for _ in range(readers)))
    calls = simulator.tenant.calls
    assert [call.query for call in calls] == ["", "$skip=10", "$skip=20", "$skip=30", "$skip=40"] * 2 * readers
    assert {call.status for call in calls if call.query != "$skip=40"} == {200}
    read = world.calls("read")
    assert all(one.ended_at <= two.started_at for one, two in pairwise(read))
    world.check([], simulator.tenant, limits=SMALL)


async def test_who_waits_for_longer_than_anybody_reads_is_told_who_reads(world: "World", tmp_path: Path) -> None:
    async with world.tenant(1) as simulator, world.tenancy(simulator.url, lock_folder=tmp_path) as tenancy:
        with (
            only_process([reading_lock(tmp_path, SCOPE)], "reading it", 1_795_508_131.0),
            pytest.raises(BusyError, match=r"reading it, since 2026-11-24 09:15:31\+01:00"),
        ):
            await read_pages(tenancy)
        assert TURN_PATIENCE <= asyncio.get_running_loop().time() <= TURN_PATIENCE + 1
        assert simulator.tenant.calls == []
        await read_pages(tenancy)
    assert len(simulator.tenant.calls) == 2


async def test_who_is_stopped_while_waiting_for_the_turn_leaves_it_to_the_others(
    world: "World", tmp_path: Path
) -> None:
    async with world.tenant(1) as simulator, world.tenancy(simulator.url, lock_folder=tmp_path) as tenancy:
        with only_process([reading_lock(tmp_path, SCOPE)], "reading it", 1_795_508_131.0):
            waiting = asyncio.create_task(read_pages(tenancy))
            await asyncio.sleep(10)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await read_pages(tenancy)
        assert asyncio.get_running_loop().time() < 12
    assert len(simulator.tenant.calls) == 2


async def test_a_reader_that_fails_gives_the_turn_back(world: "World", tmp_path: Path) -> None:
    async with (
        world.tenant(1, "read/400@1") as simulator,
        world.tenancy(simulator.url, lock_folder=tmp_path) as tenancy,
    ):
        await asyncio.gather(read_pages(tenancy), return_exceptions=True)
        await read_pages(tenancy)
        assert asyncio.get_running_loop().time() < 4
    assert [call.status for call in simulator.tenant.calls] == [400, 200, 404]
