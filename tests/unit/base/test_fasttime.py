"""A loop whose time runs faster; asserted on its own time, since the machine's is nobody's promise."""

import asyncio
import time
from collections.abc import Coroutine

import pytest

from batch_offboard.base.fasttime import loop_factory


def run_fast(work: Coroutine[None, None, float], speed: float) -> float:
    with asyncio.Runner(loop_factory=loop_factory(speed)) as runner:
        return runner.run(work)


async def slept(seconds: float) -> float:
    start = asyncio.get_running_loop().time()
    await asyncio.sleep(seconds)
    return asyncio.get_running_loop().time() - start


def test_a_sleep_lasts_as_long_as_it_was_asked_to_in_the_loops_time() -> None:
    assert run_fast(slept(60.0), 10_000.0) >= 60.0


def test_work_takes_as_long_as_it_takes_however_fast_waiting_passes() -> None:
    """Or a busy machine would look like a server that does not answer."""

    async def work() -> float:
        start, begun = asyncio.get_running_loop().time(), time.monotonic()
        while time.monotonic() < begun + 0.01:
            pass
        return asyncio.get_running_loop().time() - start - (time.monotonic() - begun)

    assert abs(run_fast(work(), 10_000.0)) < 1.0


def test_waits_that_are_too_short_for_the_machine_add_up_exactly() -> None:
    async def many_short_waits() -> float:
        start, begun = asyncio.get_running_loop().time(), time.monotonic()
        for _ in range(200):
            await asyncio.sleep(0.1)
        return asyncio.get_running_loop().time() - start - (time.monotonic() - begun)

    assert run_fast(many_short_waits(), 10_000.0) <= 20.1


def test_deadlines_run_out_in_the_loops_time() -> None:
    async def wait_for_ever() -> float:
        start = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30.0):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time() - start

    assert run_fast(wait_for_ever(), 10_000.0) >= 30.0


def test_the_machines_own_speed_needs_no_loop_of_its_own() -> None:
    assert loop_factory(1) is None
    assert loop_factory(1.0) is None
