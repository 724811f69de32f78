"""The gate on virtual time: what it admits, when, and what it remembers."""

import asyncio

import pytest

from batch_offboard.base.clock import LoopClock, Moment
from batch_offboard.base.errors import BatchOffboardError
from batch_offboard.calls.gate import Gate
from batch_offboard.core.quota import CLOCK_DRIFT, DRIP, QuotaLimits
from batch_offboard.core.slots import CallHistory, Slot

pytestmark = pytest.mark.looptime

ORIGIN = 1_795_500_000.0
BURSTY = QuotaLimits(per_minute=3, per_hour=5, burst=3)


async def called(gate: Gate, latency: float = 0.0) -> float:
    """One call through the gate; returns its start in ticks."""
    slot = await gate.acquire()
    await asyncio.sleep(latency)
    gate.release(slot)
    return slot.taken_at.ticks


async def test_a_burst_goes_at_once_and_the_next_call_waits_for_the_minute() -> None:
    gate = Gate(BURSTY, LoopClock(ORIGIN))
    starts = [await called(gate) for _ in range(4)]
    assert starts == pytest.approx([0, 0, 0, 60 * (1 + CLOCK_DRIFT)], abs=0.01)


async def test_the_hour_holds_when_the_minute_would_not() -> None:
    gate = Gate(BURSTY, LoopClock(ORIGIN))
    starts = [await called(gate) for _ in range(6)]
    assert starts[5] == pytest.approx(3600 * (1 + CLOCK_DRIFT), abs=0.1)


async def test_without_a_burst_calls_drip_a_little_faster_than_the_quota() -> None:
    gate = Gate(QuotaLimits(), LoopClock(ORIGIN))
    starts = [await called(gate) for _ in range(4)]
    interval = 60 / (100 * DRIP)
    assert starts == pytest.approx([0, interval, 2 * interval, 3 * interval], abs=0.01)


async def test_whoever_asks_first_goes_first() -> None:
    gate = Gate(QuotaLimits(), LoopClock(ORIGIN))
    order: list[int] = []

    async def ask(number: int) -> None:
        await called(gate)
        order.append(number)

    await asyncio.gather(*(ask(number) for number in range(5)))
    assert order == [0, 1, 2, 3, 4]


async def test_a_cancelled_waiter_takes_nothing() -> None:
    gate = Gate(BURSTY, LoopClock(ORIGIN))
    for _ in range(3):
        await called(gate)
    waiting = asyncio.create_task(gate.acquire())
    await asyncio.sleep(1)
    waiting.cancel()
    await asyncio.sleep(0)
    assert gate.standing().minute == (3, 3)
    assert await called(gate) == pytest.approx(60 * (1 + CLOCK_DRIFT), abs=0.01)


async def test_a_429_holds_everybody_for_as_long_as_the_server_asks() -> None:
    gate = Gate(BURSTY, LoopClock(ORIGIN))
    slot = await gate.acquire()
    gate.throttled(slot, 300.0)
    gate.release(slot)
    assert gate.standing().waiting_for == "the server's Retry-After"
    assert await called(gate) == pytest.approx(300.0, abs=0.01)


async def test_a_429_that_comes_while_a_call_waits_holds_that_call_too() -> None:
    gate = Gate(QuotaLimits(), LoopClock(ORIGIN))
    slot = await gate.acquire()
    waiting = asyncio.create_task(gate.acquire())
    await asyncio.sleep(0.1)
    gate.throttled(slot, 100.0)
    assert (await waiting).taken_at.ticks == pytest.approx(100.1, abs=0.01)


async def test_an_unexplained_429_slows_the_pace() -> None:
    gate = Gate(QuotaLimits(), LoopClock(ORIGIN))
    slot = await gate.acquire()
    assert gate.throttled(slot, 1.0)
    gate.release(slot)
    starts = [await called(gate) for _ in range(3)]
    assert starts[2] - starts[1] == pytest.approx(QuotaLimits().interval(1), abs=0.01)


async def test_a_call_that_waited_for_its_end_is_the_first_at_the_slower_pace() -> None:
    gate = Gate(QuotaLimits(), LoopClock(ORIGIN))
    slot = await gate.acquire()
    waiting = asyncio.create_task(called(gate))
    await asyncio.sleep(QuotaLimits().interval(0) / 2)  # the waiting call is in the faster bucket
    assert gate.throttled(slot, 1.0)
    gate.release(slot)
    first = await waiting
    assert await called(gate) - first == pytest.approx(QuotaLimits().interval(1), abs=0.01)


async def test_a_429_with_the_window_full_is_explained() -> None:
    gate = Gate(BURSTY, LoopClock(ORIGIN))
    slots = [await gate.acquire() for _ in range(3)]
    assert not gate.throttled(slots[0], 1.0)


async def test_a_restart_remembers_calls_holds_and_pace() -> None:
    clock = LoopClock(ORIGIN)
    await asyncio.sleep(1000)
    now = clock.now()
    earlier = Moment(now.wall - 10, now.ticks - 10, now.boot)
    history = CallHistory(ended=[earlier] * 3, holds=[(earlier, 500.0)], steps=[earlier])
    gate = Gate(BURSTY, clock, history)
    assert gate.standing().minute == (3, 3)
    assert await called(gate) == pytest.approx(1490.0, abs=0.01)


async def test_after_a_reboot_the_calendar_tells_how_old_a_call_is() -> None:
    clock = LoopClock(ORIGIN)
    before = Moment(ORIGIN - 30, 9e9, "another boot")
    assert await called(Gate(BURSTY, clock, CallHistory(ended=[before] * 3))) == pytest.approx(30.03, abs=0.01)


@pytest.mark.fault(48, "Old calls count as just ended.")
async def test_after_a_reboot_into_the_past_old_calls_count_as_just_ended() -> None:
    clock = LoopClock(ORIGIN)
    ahead = Moment(ORIGIN + 86_400, 5.0, "another boot")
    assert await called(Gate(BURSTY, clock, CallHistory(ended=[ahead] * 3))) == pytest.approx(60.03, abs=0.01)


async def test_a_slot_serves_one_call_only() -> None:
    slot = Slot(Moment(0, 0, ""))
    slot.use()
    with pytest.raises(BatchOffboardError, match="used twice"):
        slot.use()


async def test_the_standing_tells_which_window_the_next_call_waits_for_and_until_when() -> None:
    gate = Gate(BURSTY, LoopClock(ORIGIN))
    for _ in range(3):
        await called(gate)
    standing = gate.standing()
    assert standing.waiting_for == "a slot of the minute quota"
    assert standing.waiting_until == pytest.approx(60 * (1 + CLOCK_DRIFT))


@pytest.mark.parametrize("jitter", [0.0, 0.4, 2.0])
async def test_three_hundred_real_waits_end_when_the_forecast_said(jitter: float) -> None:
    gate = Gate(QuotaLimits(), LoopClock(ORIGIN))
    expected = gate.time_for(300, jitter / 2, workers=8)
    room = asyncio.Semaphore(8)

    async def one(number: int, slot: Slot) -> None:
        await asyncio.sleep(jitter * (number % 11) / 10)
        gate.release(slot)
        room.release()

    async with asyncio.TaskGroup() as calls:
        for number in range(300):
            await room.acquire()
            calls.create_task(one(number, await gate.acquire()))
    assert asyncio.get_running_loop().time() == pytest.approx(expected, rel=0.02, abs=3)


async def test_a_slot_that_is_given_back_is_free_again_at_once_and_serves_nobody() -> None:
    gate = Gate(QuotaLimits(per_minute=3, per_hour=5, burst=3), LoopClock(ORIGIN))
    for _ in range(2):
        await called(gate)
    slot = await gate.acquire()
    gate.give_back(slot)
    assert gate.standing().minute == (2, 3)
    with pytest.raises(BatchOffboardError):
        slot.use()
    assert gate.standing().waiting_until is None


async def test_a_probe_that_is_given_back_leaves_the_next_call_to_probe() -> None:
    gate = Gate(QuotaLimits(per_minute=100, per_hour=500, burst=100), LoopClock(ORIGIN))
    gate.pause(10.0)
    gate.give_back(await gate.acquire())
    probe = await gate.acquire()
    following = asyncio.create_task(gate.acquire())
    await asyncio.sleep(1)
    assert not following.done()
    gate.release(probe)
    gate.release(await following)
