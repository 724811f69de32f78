"""A reader never waits longer for the tenant than its patience, whatever the API answers and however often."""

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from batch_offboard.base.errors import ExitCode
from batch_offboard.calls.tenancy import HURRIED, PATIENT, Patience, ReadError
from batch_offboard.core.quota import QuotaLimits
from batch_offboard.defender.protocol import Answer, Fault, NoAnswer
from batch_offboard.reports.rows import Outcome

if TYPE_CHECKING:
    from tests.integration.world import World

pytestmark = pytest.mark.looptime

NOTHING = Answer(200, {"content-type": ("application/json",)}, b'{"value": []}')

Answering = Callable[[int], Answer | NoAnswer]


def refusal(status: int, wait: object = None) -> Answer:
    return Answer(status, {} if wait is None else {"retry-after": (str(wait),)}, b"")


async def read(world: "World", patience: Patience, answers: Answering) -> tuple[float, int, str]:
    """How long the reader waited, after how many calls, and the result."""
    calls = 0

    async def send(_request: Any, slot: Any) -> Answer | NoAnswer:
        nonlocal calls
        slot.use()
        calls += 1
        return answers(calls)

    loop = asyncio.get_running_loop()
    begun, words = loop.time(), ""
    async with world.tenant(1) as simulator, world.tenancy(simulator.url) as tenancy:
        tenancy.client.send = send  # type: ignore[assignment,method-assign]  # answers that no server gives so often
        async with tenancy.reader(patience) as reader:
            try:
                await reader.actions()
            except ReadError as error:
                words = str(error)
    return loop.time() - begun, calls, words


@pytest.mark.parametrize(
    ("patience", "answers", "waited", "calls", "words"),
    [
        pytest.param(HURRIED, lambda n: refusal(503, 3500) if n == 1 else NOTHING, 0, 1, "wait 3500 s", id="503, long"),
        pytest.param(HURRIED, lambda n: refusal(503, 4) if n == 1 else NOTHING, 4, 2, "", id="503, short"),
        pytest.param(HURRIED, lambda _: refusal(429, 60), 0, 1, "The API asks to wait 60 s", id="429"),
        pytest.param(HURRIED, lambda _: refusal(429, 2), 4, 3, "The API asks to wait 2 s", id="429 again and again"),
        pytest.param(HURRIED, lambda _: refusal(500), 5, 4, "could not be read", id="500"),
        pytest.param(PATIENT, lambda n: refusal(429, 600) if n == 1 else NOTHING, 600, 2, "", id="429, waited for"),
        pytest.param(PATIENT, lambda _: refusal(429, 300), 600, 3, "asks to wait 300 s", id="429 for ever"),
        pytest.param(PATIENT, lambda n: refusal(503, 120) if n == 1 else NOTHING, 120, 2, "", id="503, waited for"),
        pytest.param(PATIENT, lambda _: refusal(500), 30, 6, "could not be read", id="500 for ever"),
    ],
)
async def test_a_wait_that_would_end_after_the_patience_is_not_begun(
    world: "World", patience: Patience, answers: Answering, waited: float, calls: int, words: str
) -> None:
    seconds, made, said = await read(world, patience, answers)
    assert (round(seconds), made) == (waited, calls)
    assert words in said
    assert bool(said) == bool(words)


@pytest.mark.parametrize("patience", [HURRIED, PATIENT])
@pytest.mark.parametrize("seed", range(8))
async def test_no_sequence_of_answers_outlasts_the_patience(world: "World", patience: Patience, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  # no secret, and the same each time

    def answer(_number: int) -> Answer | NoAnswer:
        kind = chance.choice([429, 429, 500, 503, 0])
        if not kind:
            return NoAnswer(Fault.LOST, "gone")
        return refusal(kind, chance.choice([None, 0, 1, 5, 59, 600, 3599, 3601, 10**9]))

    seconds, _, words = await read(world, patience, answer)
    assert words
    assert seconds <= patience.trouble + patience.asked + 1


@pytest.mark.parametrize(("patience", "waits"), [(HURRIED, False), (PATIENT, True)])
async def test_what_an_earlier_process_was_asked_to_wait_counts_as_well(
    world: "World", patience: Patience, waits: bool
) -> None:
    async with world.tenant(1, "read/429=300@1") as simulator, world.tenancy(simulator.url) as tenancy:
        async with tenancy.reader(HURRIED) as reader:
            with pytest.raises(ReadError, match="asks to wait 300 s"):
                await reader.machines()
        async with tenancy.reader(patience) as reader:
            if waits:
                assert len(await reader.machines()) == 1
            else:
                with pytest.raises(ReadError, match="asks to wait 300 s"):
                    await reader.machines()
    assert (asyncio.get_running_loop().time() > 299) == waits
    world.check([], simulator.tenant)


async def test_an_hours_quota_that_is_used_up_is_not_waited_for_in_a_hurry(world: "World") -> None:
    limits = QuotaLimits(per_minute=10, per_hour=12, burst=10)
    async with (
        world.tenant(1) as simulator,
        world.tenancy(simulator.url, limits=limits) as tenancy,
        tenancy.reader(HURRIED) as reader,
    ):
        for _ in range(12):  # the minute's quota only paces the calls, so it is waited for
            await reader.action("no-such-action")
        with pytest.raises(ReadError, match=r"The hour's quota asks to wait 35\d\d s"):
            await reader.action("no-such-action")
    assert asyncio.get_running_loop().time() < 120
    world.check([], simulator.tenant, limits=limits)


@pytest.mark.fault(67, "Only reads wait.")
async def test_a_closing_look_that_would_have_to_wait_is_left_out_and_the_run_ends(world: "World") -> None:
    batch = world.add(range(6), lookup_wanted=False)
    async with world.tenant(6, "actions/429=3000@2-") as simulator:
        assert await world.work(batch, simulator.url, look=True) is None
    assert asyncio.get_running_loop().time() < 30
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 6}
    assert any(
        "The tenant was not checked after the run: The API asks to wait 3000 s" in text
        for text in world.ears.said_so_far
    )
    world.check([batch], simulator.tenant)


async def test_a_run_that_would_have_to_wait_for_long_before_it_sends_says_so_and_ends(world: "World") -> None:
    batch = world.add(range(6))
    async with world.tenant(6, "read/429=3000@1") as simulator:
        halt = await world.work(batch, simulator.url, look=True)
    assert halt is not None
    assert (halt.exit_code, "asks to wait 3000 s" in halt.reason) == (ExitCode.UNFINISHED, True)
    assert world.outcomes(batch) == {Outcome.PENDING: 6}
