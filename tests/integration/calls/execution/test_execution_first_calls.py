"""The first calls of a batch are made one by one and must all be accepted; an unclear one is settled first."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from batch_offboard.base.errors import ExitCode
from batch_offboard.calls.shift import SETTLING, Terms
from batch_offboard.core.brakes import FIRST_CALLS, Halt
from batch_offboard.core.jobs import JobState
from batch_offboard.core.quota import QuotaLimits
from batch_offboard.core.settling import HORIZON
from batch_offboard.journal.reading import first_calls
from batch_offboard.reports.rows import Outcome
from tests.integration.world import SPEED

if TYPE_CHECKING:
    from tests.integration.world import World

pytestmark = pytest.mark.looptime

Interrupted = Callable[..., Awaitable[Halt | None]]
BURSTY = QuotaLimits(burst=100)
CONTINUES = Terms(SPEED, continue_after_failures=True)
CARRIED_OUT = ["500-after", "504-after", "reset-after", "no-reply-close-after", "hang-after", "cut", "no-id", "202"]


@pytest.mark.fault(60, "Among the first five it is looked for at once; found, the run continues.")
@pytest.mark.parametrize("fault", CARRIED_OUT)
@pytest.mark.parametrize("number", ["1", "3", "5", "1-5"])
async def test_an_unclear_answer_among_the_first_that_was_accepted_stops_nothing(
    world: "World", fault: str, number: str
) -> None:
    batch = world.add(range(12))
    async with world.tenant(12, f"{fault}@{number}") as simulator:
        assert await world.work(batch, simulator.url, look=True) is None
        world.check([batch], simulator.tenant)
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 12}
    assert len(world.attempts()) == 12


@pytest.mark.parametrize("lag", [5.0, 60.0, SETTLING])
async def test_a_list_that_is_late_is_waited_for_and_nothing_is_sent_meanwhile(world: "World", lag: float) -> None:
    batch = world.add(range(12))
    async with world.tenant(12, "500-after@3", list_lag=lag, latency=(0.0, 0.0)) as simulator:
        assert await world.work(batch, simulator.url, look=True) is None
        world.check([batch], simulator.tenant)
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 12}
    third, fourth = (each.started_at for each in world.attempts()[2:4])
    assert fourth - third > lag


@pytest.mark.fault(60, "Among the first five and not found, the run ends; the next one settles it.")
@pytest.mark.parametrize("fault", ["500", "reset", "no-reply-close", "502"])
async def test_an_unclear_answer_that_is_not_found_ends_the_run_for_a_later_one(world: "World", fault: str) -> None:
    batch = world.add(range(12))
    loop = asyncio.get_running_loop()
    async with world.tenant(12, f"{fault}@3", latency=(0.0, 0.0)) as simulator:
        halt = await world.work(batch, simulator.url, look=True)
        assert halt is not None
        assert (halt.exit_code, halt.held) == (ExitCode.UNFINISHED, False)
        assert "has not been found yet; run `resume` later" in halt.reason
        assert SETTLING <= loop.time() <= SETTLING + 60
        assert world.outcomes(batch) == {Outcome.SUBMITTED: 2, Outcome.IN_DOUBT: 1, Outcome.PENDING: 9}
        assert not world.batch("batch-1").needs_person
        await asyncio.sleep(HORIZON)
        assert await world.work(batch, simulator.url, look=True) is None
        world.check([batch], simulator.tenant)
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 12}
    # The call that was settled as not accepted does not count, its second call counts like any other.
    assert first_calls(world.journal, batch.key, 100) == [JobState.SUBMITTED] * 12


async def test_an_action_that_is_open_already_is_one_of_the_first_that_are_accepted(world: "World") -> None:
    batch = world.add(range(12))
    async with world.tenant(12, "409@1-2") as simulator:
        assert await world.work(batch, simulator.url) is None
    assert first_calls(world.journal, batch.key, FIRST_CALLS) == [JobState.SUBMITTED] * FIRST_CALLS
    assert world.outcomes(batch) == {Outcome.IN_DOUBT: 2, Outcome.SUBMITTED: 10}


async def test_where_the_tenant_may_not_be_read_a_person_has_to_look(world: "World") -> None:
    batch = world.add(range(12))
    async with world.tenant(12, "500-after@3", permissions=frozenset({"Machine.Offboard"})) as simulator:
        halt = await world.work(batch, simulator.url, look=True)
    assert halt is not None
    assert (halt.exit_code, halt.held) == (ExitCode.REFUSED, True)
    assert "the tenant cannot be asked" in halt.reason
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 2, Outcome.IN_DOUBT: 1, Outcome.PENDING: 9}


async def test_a_tenant_that_cannot_be_reached_for_a_moment_is_asked_again(world: "World") -> None:
    batch = world.add(range(12))
    async with world.tenant(12, "500-after@3", "actions/500@2-4") as simulator:
        assert await world.work(batch, simulator.url, look=True) is None
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 12}


async def test_ctrl_c_ends_the_wait_for_the_list(world: "World", interrupted: Interrupted) -> None:
    batch = world.add(range(12))
    async with world.tenant(12, "500@3", latency=(0.0, 0.0)) as simulator:
        halt = await interrupted(world.work(batch, simulator.url, look=True), 30.0)
    assert halt is not None
    assert halt.reason.startswith("SIGINT")
    assert asyncio.get_running_loop().time() < 32
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 2, Outcome.IN_DOUBT: 1, Outcome.PENDING: 9}


async def begun(world: "World", interrupted: Interrupted, url: str, calls: int) -> None:
    """A run that was ended after so many calls, one per second, were accepted."""
    await interrupted(world.work(world.batch("batch-1"), url, workers=1, limits=BURSTY), calls - 0.5)
    assert world.outcomes(world.batch("batch-1"))[Outcome.SUBMITTED] == calls


@pytest.mark.parametrize("before", [1, 3, 4, 5, 7])
async def test_a_batch_does_not_start_over_with_what_earlier_runs_had_accepted(
    world: "World", interrupted: Interrupted, before: int
) -> None:
    batch = world.add(range(30))
    async with world.tenant(30, latency=(1.0, 1.0)) as simulator:
        await begun(world, interrupted, simulator.url, before)
        assert await world.work(batch, simulator.url, limits=BURSTY) is None
        world.check([batch], simulator.tenant)
    starts = [each.started_at for each in world.attempts()][before:]
    alone = max(0, FIRST_CALLS - before)
    assert sum(each < starts[0] + alone + 0.5 for each in starts) == alone + 8


@pytest.mark.parametrize("before", [2, 5])
async def test_a_refusal_stops_a_resumed_batch_only_among_its_first_calls(
    world: "World", interrupted: Interrupted, before: int
) -> None:
    batch = world.add(range(30))
    async with world.tenant(30, f"404@{before + 1}", latency=(1.0, 1.0)) as simulator:
        await begun(world, interrupted, simulator.url, before)
        halt = await world.work(batch, simulator.url)
    assert (halt is None) == (before == FIRST_CALLS)


async def test_what_a_brake_stopped_counts_anew_until_five_in_a_row_are_accepted(world: "World") -> None:
    batch = world.add(range(40))
    async with world.tenant(40, "404@4", "404@7", "404@14") as simulator:
        reasons = []
        while (halt := await world.work(batch, simulator.url)) is not None:
            reasons.append(halt.reason)
        world.check([batch], simulator.tenant)
    assert [reason.startswith("One of the first 5 devices was not accepted") for reason in reasons] == [True, True]
    assert all("run `resume --continue-after-failures`" in reason for reason in reasons)
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 37, Outcome.FAILED: 3}


@pytest.mark.parametrize("fault", ["404@1-2", "404@2", "500@1", "reset@4-5"])
async def test_whoever_says_so_goes_past_the_first_calls(world: "World", fault: str) -> None:
    batch = world.add(range(40))
    async with world.tenant(40, fault) as simulator:
        assert await world.work(batch, simulator.url, terms=CONTINUES) is None
        world.check([batch], simulator.tenant)
    assert Outcome.PENDING not in world.outcomes(batch)


async def test_no_other_brake_is_set_aside_with_the_first_calls(world: "World") -> None:
    batch = world.add(range(40))
    async with world.tenant(0) as simulator:
        halt = await world.work(batch, simulator.url, terms=CONTINUES, workers=1)
    assert halt is not None
    assert "guards.abort_failure_percent" in halt.reason
    assert world.outcomes(batch) == {Outcome.FAILED: 20, Outcome.PENDING: 20}
