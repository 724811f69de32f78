"""A long run with short tokens: through msal, from a tenant of Entra ID with the run's clock."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from batch_offboard.base.errors import ExitCode
from batch_offboard.base.secret import Secret
from batch_offboard.config import load_config
from batch_offboard.core.quota import QuotaLimits
from batch_offboard.defender.signin import Claims, KeptToken, claims_of, token_source
from batch_offboard.defender.target import connection_of
from batch_offboard.reports.rows import Outcome
from tests.entra.office import Office, office
from tests.entra.tenant import refusal
from tests.entra.wire import Reply
from tests.tokens import CLIENT

if TYPE_CHECKING:
    from tests.integration.world import MovedClock, World

T = TypeVar("T")

pytestmark = pytest.mark.looptime

ORIGIN = 1_795_500_017.25
SECRET = "q7R~canary.Secret-1"


class Watched:
    """A source whose tokens are checked when they are returned, as the API would."""

    def __init__(self, source: KeptToken) -> None:
        self._source, self.left = source, [float("inf")]

    @property
    def claims(self) -> Claims:
        return self._source.claims

    def sign_in(self) -> Claims:
        return self._source.sign_in()

    async def token(self) -> str:
        token = await self._source.token()
        self.left.append((claims_of(Secret(token)).expires or 0) - ORIGIN - asyncio.get_running_loop().time())
        return token

    async def renew(self) -> None:
        await self._source.renew()


async def at_once(work: Callable[[], T]) -> T:
    """Real threads cannot be used with virtual time, which advances while a thread works."""
    return work()


@pytest.fixture
def sign_in(moved_clock: Callable[[], "MovedClock"]) -> Callable[[Office], Watched]:
    """The source of a run at this office, on the loop's time."""

    def source(entra: Office) -> Watched:
        variables = entra.variables(credential__type="client_secret", credential__secret_env="MY_SECRET")
        variables["MY_SECRET"] = SECRET
        config = load_config(None, variables, entra.folder)
        made = token_source(config, connection_of(config.network, 8, variables), variables, moved_clock(), print)
        assert isinstance(made, KeptToken)
        made._run = at_once
        return Watched(made)

    return source


@pytest.mark.fault(106, "Renewed in time.")
@pytest.mark.parametrize("lifetime", [60, 10])
async def test_a_token_of_a_minute_fails_no_call_of_a_long_run(
    world: "World", tmp_path: Path, sign_in: Callable[[Office], Watched], lifetime: int
) -> None:
    loop = asyncio.get_running_loop()
    with office(tmp_path, now=lambda: ORIGIN + loop.time(), lifetime=lifetime) as entra:
        entra.tenant.register(CLIENT, secrets={SECRET: False})
        tokens = sign_in(entra)
        tokens.sign_in()
        batch = world.add(range(200))
        async with world.tenant(200) as simulator:
            assert await world.work(batch, simulator.url, limits=QuotaLimits(per_minute=20), tokens=tokens) is None
    assert loop.time() > 500
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 200}
    assert min(tokens.left) > 0
    assert 300 / lifetime < len(entra.asked) < 2000 / lifetime


@pytest.mark.fault(104, "A token that is still valid is still used.")
async def test_a_service_that_is_down_for_a_while_fails_no_call(
    world: "World", tmp_path: Path, sign_in: Callable[[Office], Watched]
) -> None:
    loop = asyncio.get_running_loop()
    with office(tmp_path, now=lambda: ORIGIN + loop.time(), lifetime=1200) as entra:
        entra.tenant.register(CLIENT, secrets={SECRET: False})
        tokens = sign_in(entra)
        tokens.sign_in()
        entra.tenant.disorders.extend([Reply(500, {}, {"Retry-After": "0"})] * 8)
        batch = world.add(range(130))
        async with world.tenant(130) as simulator:
            assert await world.work(batch, simulator.url, limits=QuotaLimits(per_minute=5), tokens=tokens) is None
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 130}
    assert min(tokens.left) > 0
    assert len(entra.asked) == 1 + 8 + 1


@pytest.mark.fault(105, "The run stops with 5 and the remedy.")
async def test_a_secret_that_ends_in_the_middle_stops_the_run_with_its_remedy(
    world: "World", tmp_path: Path, sign_in: Callable[[Office], Watched]
) -> None:
    loop = asyncio.get_running_loop()
    with office(tmp_path, now=lambda: ORIGIN + loop.time(), lifetime=60) as entra:
        entra.tenant.register(CLIENT, secrets={SECRET: False})
        tokens = sign_in(entra)
        tokens.sign_in()
        entra.tenant.disorders.append(refusal(7000222))
        batch = world.add(range(40))
        async with world.tenant(40) as simulator:
            halt = await world.work(batch, simulator.url, limits=QuotaLimits(per_minute=20), tokens=tokens)
    assert halt is not None
    assert halt.exit_code is ExitCode.SIGN_IN
    assert "has expired (AADSTS7000222" in halt.reason
    assert len(entra.asked) == 2
    assert min(tokens.left) > 0
    outcomes = world.outcomes(batch)
    assert set(outcomes) == {Outcome.SUBMITTED, Outcome.PENDING}
    assert len(simulator.tenant.calls) == outcomes[Outcome.SUBMITTED]
