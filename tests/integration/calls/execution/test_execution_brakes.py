"""Every brake as the server sees it: after the halt no more calls arrive, and unsent jobs are still pending."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from batch_offboard.base.errors import ExitCode
from batch_offboard.core.jobs import Verdict
from batch_offboard.core.quota import QuotaLimits
from batch_offboard.reports.rows import Outcome

if TYPE_CHECKING:
    from tests.integration.world import Tokens, World

pytestmark = pytest.mark.looptime

BURSTY = QuotaLimits(burst=100)
HEALTHY = {Verdict.SUBMITTED, Verdict.THROTTLED}


@pytest.mark.fault(107, "Like any 403: the run stops.")
@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize(
    ("fault", "bad_calls", "exit_code", "words"),
    [
        ("403@6-", 1, ExitCode.SIGN_IN, "Machine.Offboard"),
        ("403=DisabledFeature@6-", 1, ExitCode.SIGN_IN, "DisabledFeature"),
        ("401@6-", 1, ExitCode.SIGN_IN, "get a new one"),
        ("500@6-", 3, ExitCode.REFUSED, "3 answers in a row were unclear"),
        ("no-reply-close@6-", 3, ExitCode.REFUSED, "unclear"),
        ("other-machine@6-", 1, ExitCode.REFUSED, "another device"),
        ("redirect=http://127.0.0.1:1/@6-", 2, ExitCode.REFUSED, "other than the API"),
        ("html@6-", 2, ExitCode.REFUSED, "other than the API"),
        ("400=InvalidRequestBody@6-", 1, ExitCode.REFUSED, "bug in the program"),
        ("404@6-", 15, ExitCode.REFUSED, "guards.abort_failure_percent"),
    ],
)
async def test_nothing_arrives_after_the_halt(
    world: "World", fault: str, bad_calls: int, exit_code: ExitCode, words: str, workers: int
) -> None:
    batch = world.add(range(60))
    async with world.tenant(60, fault, latency=(0.5, 1.0)) as simulator:
        halt = await world.work(batch, simulator.url, workers=workers, limits=BURSTY)
    assert halt is not None
    assert (halt.exit_code, words in halt.reason) == (exit_code, True), halt
    bad = sorted(each.ended_at for each in world.attempts() if each.verdict not in HEALTHY)
    assert not [each for each in world.attempts() if each.started_at > bad[bad_calls - 1]]
    assert len(simulator.tenant.calls) <= 5 + bad_calls + workers - 1
    assert world.outcomes(batch)[Outcome.PENDING] >= 60 - 5 - bad_calls - workers
    world.check([batch], simulator.tenant)


@pytest.mark.fault(59, "One among the first five stops the run.")
async def test_a_tenant_that_does_not_know_the_first_device_stops_after_it(world: "World") -> None:
    batch = world.add(range(30))
    async with world.tenant(0) as simulator:
        halt = await world.work(batch, simulator.url)
    assert halt is not None
    assert halt.exit_code is ExitCode.REFUSED
    assert world.outcomes(batch) == {Outcome.FAILED: 1, Outcome.PENDING: 29}
    world.check([batch], simulator.tenant)


async def test_a_share_of_failures_that_is_allowed_stops_nothing(world: "World") -> None:
    batch = world.add(range(40))
    async with world.tenant(36) as simulator:
        assert await world.work(batch, simulator.url) is None
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 36, Outcome.FAILED: 4}
    world.check([batch], simulator.tenant)


async def test_two_unclear_answers_leave_two_devices_in_doubt_and_the_run_goes_on(world: "World") -> None:
    batch = world.add(range(20))
    async with world.tenant(20, "500-after@7", "reset-after@8") as simulator:
        assert await world.work(batch, simulator.url, workers=1) is None
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 18, Outcome.IN_DOUBT: 2}
    world.check([batch], simulator.tenant)


@pytest.mark.fault(55, "The token is renewed once, the call is made again, no row fails.")
async def test_a_401_with_a_renewed_token_costs_no_row(world: "World", tokens: "Callable[..., Tokens]") -> None:
    batch, source = world.add(range(20)), tokens("canary-token-old", "canary-token-new")
    async with world.tenant(20, token="canary-token-new") as simulator:
        assert await world.work(batch, simulator.url, tokens=source) is None
    assert source.renewals == 1
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 20}
    assert [call.status for call in simulator.tenant.calls] == [401] + [201] * 20
    world.check([batch], simulator.tenant)


async def test_calls_in_flight_with_the_old_token_are_one_renewal_together(
    world: "World", tokens: "Callable[..., Tokens]"
) -> None:
    batch, source = world.add(range(30)), tokens("canary-token-old", "canary-token-new")
    async with world.tenant(30, "401@6-13", latency=(1.0, 3.0)) as simulator:
        assert await world.work(batch, simulator.url, tokens=source, limits=BURSTY) is None
    assert source.renewals == 1
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 30}
    world.check([batch], simulator.tenant)


@pytest.mark.fault(56, "The run stops with 5, the rest is pending.")
async def test_a_second_401_stops_although_there_is_a_third_token(
    world: "World", tokens: "Callable[..., Tokens]"
) -> None:
    batch, source = world.add(range(30)), tokens("one", "two", "three")
    async with world.tenant(30, "401@8", "401@12-") as simulator:
        halt = await world.work(batch, simulator.url, tokens=source, workers=1)
    assert halt is not None
    assert halt.exit_code is ExitCode.SIGN_IN
    assert source.renewals == 1
    assert len(simulator.tenant.calls) == 12
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 10, Outcome.PENDING: 20}
    world.check([batch], simulator.tenant)
