"""The sign-in fails when a token expires: the run retries for as long as for an unreachable API."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import pytest

from batch_offboard.base.clock import Clock
from batch_offboard.base.errors import ExitCode, TransientSignInError
from batch_offboard.base.secret import Secret
from batch_offboard.commands import tracking
from batch_offboard.core.quota import QuotaLimits
from batch_offboard.defender.signin.renewal import Expected, Grant, KeptToken
from batch_offboard.reports.rows import Outcome
from batch_offboard.simulator import Pace
from tests.integration.world import MovedClock

if TYPE_CHECKING:
    from batch_offboard.core.brakes import Halt
    from tests.integration.virtual_desk import VirtualDesk
    from tests.integration.world import World

T = TypeVar("T")

pytestmark = pytest.mark.looptime

LIFE = 600.0  # seconds
DEVICES = 60
SLOW = QuotaLimits(per_minute=4)
AWAY = "login.example cannot be reached (no route to host); check the network."


@dataclass
class Service:
    """Returns tokens valid for ten minutes; unavailable in the spans, in seconds from its start."""

    clock: Clock
    spans: list[tuple[float, float]]
    began: float = 0.0
    given: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.began = self.clock.now().ticks

    def first(self) -> Grant:
        return self.another()

    def another(self) -> Grant:
        gone = self.clock.now().ticks - self.began
        if any(since <= gone < until for since, until in self.spans):
            raise TransientSignInError(AWAY)
        self.given.append(f"canary-token-{len(self.given)}")
        return Grant(Secret(self.given[-1]), LIFE)


async def in_place(work: Callable[[], T]) -> T:
    return work()


def signed_in(*spans: tuple[float, float]) -> KeptToken:
    """A sign-in that is unavailable in these spans."""
    clock = MovedClock()
    service = Service(clock, list(spans))
    token = KeptToken(lambda: service, Expected(None, None), clock, in_place)
    token.sign_in()
    return token


@pytest.mark.fault(104, "A run without a good token waits for ten minutes.")
@pytest.mark.parametrize("away", [(280.0, 660.0), (300.0, 1190.0)])
async def test_an_outage_at_the_tokens_end_that_passes_costs_time_and_no_device(
    world: "World", away: tuple[float, float]
) -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES) as simulator:
        halt = await world.work(batch, simulator.url, tokens=signed_in(away), limits=SLOW)
    assert halt is None
    assert world.outcomes(batch) == {Outcome.SUBMITTED: DEVICES}
    assert len(simulator.tenant.calls) == DEVICES
    world.check([batch], simulator.tenant, limits=SLOW)


async def test_an_outage_that_lasts_ends_the_run_after_ten_minutes_with_nothing_unclear(world: "World") -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES) as simulator:
        halt = await world.work(batch, simulator.url, tokens=signed_in((300.0, 1e6)), limits=SLOW)
    assert halt is not None
    assert (halt.exit_code, halt.held) == (ExitCode.SIGN_IN, False)
    assert halt.reason == f"{AWAY} When sign-in works again, run `resume`."
    assert LIFE + 600 <= asyncio.get_running_loop().time() <= LIFE + 700
    assert world.outcomes(batch).keys() == {Outcome.SUBMITTED, Outcome.PENDING}
    world.check([batch], simulator.tenant, limits=SLOW)


async def test_a_token_that_is_refused_while_the_sign_in_is_away_is_not_shown_again(world: "World") -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES, "401@20") as simulator:
        halt = await world.work(batch, simulator.url, tokens=signed_in((5.0, 400.0)), workers=1)
    assert halt is None
    assert world.outcomes(batch) == {Outcome.SUBMITTED: DEVICES}
    assert [call.status for call in simulator.tenant.calls].count(401) == 1
    world.check([batch], simulator.tenant)


async def test_ctrl_c_ends_the_wait_for_a_token_at_once(
    world: "World", interrupted: "Callable[..., Awaitable[Halt | None]]"
) -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES) as simulator:
        running = world.work(batch, simulator.url, tokens=signed_in((300.0, 1e6)), limits=SLOW)
        halt = await interrupted(running, LIFE + 100)
    assert halt is not None
    assert halt.exit_code is ExitCode.UNFINISHED
    assert asyncio.get_running_loop().time() < LIFE + 110
    assert world.outcomes(batch).keys() == {Outcome.SUBMITTED, Outcome.PENDING}


async def test_an_outage_costs_a_round_of_following_and_not_the_following(
    world: "World", desk_at: "Callable[..., VirtualDesk]"
) -> None:
    batch = world.add(range(6))
    async with world.tenant(6, pace=Pace(pick_up=(2000, 2000))) as simulator:
        tokens = signed_in((500.0, 1200.0))
        assert await world.work(batch, simulator.url, tokens=tokens) is None
        desk = desk_at(simulator.url, tokens=tokens)
        view = await tracking.track(desk, batch.batch_id, [], desk.talk)
    assert (view.exit_code, view.statuses) == (ExitCode.OK, {"Succeeded": 6})
    assert any(AWAY in text for text in world.ears.said_so_far)
