"""A process that was paused between a call's intent and its first byte does not send it any more."""

from typing import TYPE_CHECKING

import pytest

from batch_offboard.simulator.calls import Operation
from tests.integration.world import MovedClock, Tokens, device

if TYPE_CHECKING:
    from tests.integration.world import World


class Pausing(Tokens):
    """A token that takes as long as a pause of the machine the first time it is asked for."""

    def __init__(self, clock: MovedClock, seconds: float) -> None:
        super().__init__()
        self._clock, self._seconds = clock, seconds

    async def token(self) -> str:
        seconds, self._seconds = self._seconds, 0.0
        self._clock.pause(seconds)
        return await super().token()


@pytest.mark.parametrize(("seconds", "attempts"), [(9.0, 1), (11.0, 2)])
async def test_a_call_is_sent_within_ten_seconds_of_its_intent_or_not_by_that_attempt(
    world: "World", seconds: float, attempts: int
) -> None:
    batch = world.add(range(1))
    clock = MovedClock()
    async with world.tenant(1) as simulator:
        await world.work(batch, simulator.url, clock=clock, tokens=Pausing(clock, seconds))
        world.check([batch], simulator.tenant, same_clock=False)
    posts = [call for call in simulator.tenant.calls if call.operation is Operation.OFFBOARD]
    assert [call.device_id for call in posts] == [device(0)]
    [row] = world.report(batch)
    assert row.attempts == attempts
