"""Reads that fail: what is retried and for how long, what ends the reading, and what the run does then."""

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from batch_offboard.base.errors import SignInError
from batch_offboard.calls.tenancy import CannotReadError, ReadError
from batch_offboard.reports.rows import Outcome
from tests.integration.calls.tenancy.conftest import Listening
from tests.integration.world import ORIGIN, Tokens

if TYPE_CHECKING:
    from tests.integration.world import World

pytestmark = pytest.mark.looptime

OFFBOARD_ONLY = frozenset({"Machine.Offboard"})


def gaps(arrivals: list[float]) -> list[float]:
    """The whole seconds between one arrival and the next."""
    return [round(two - one) for one, two in pairwise(arrivals)]


# -- a tenant that may not be read --


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (web.Response(status=404), "nothing can be read at api_url"),
        (
            web.Response(status=404, text="<html>gone</html>", content_type="text/html"),
            "nothing can be read at api_url",
        ),
        (web.Response(status=405, headers={"Allow": "POST"}), "nothing can be read at api_url"),
        (web.Response(status=501), "nothing can be read at api_url"),
        (web.Response(status=403, text="<html>no</html>", content_type="text/html"), "nothing can be read at api_url"),
        (
            web.Response(status=403, text='{"error": {"code": "Forbidden", "message": "Missing application roles."}}'),
            "Machine.Read.All",
        ),
    ],
)
async def test_who_offers_no_reading_or_forbids_it_is_asked_once(
    world: "World", listening: Listening, answer: web.Response, words: str
) -> None:
    def again(_request: web.BaseRequest, _before: int) -> web.Response:
        return web.Response(status=answer.status, body=answer.body, content_type=answer.content_type)

    async with listening(again) as here, world.tenancy(here.url) as tenancy:
        async with tenancy.reader() as reader:
            with pytest.raises(CannotReadError, match=words):
                await reader.machines()
        assert tenancy.unreadable
    assert len(here.asked) == 1


@pytest.mark.parametrize("fault", ["", "read/405", "read/501", "read/403=DisabledFeature"])
async def test_a_tenant_that_cannot_be_read_is_offboarded_by_ids_all_the_same(world: "World", fault: str) -> None:
    batch = world.add(range(7))
    permissions = None if fault else OFFBOARD_ONLY
    async with world.tenant(7, *filter(None, [fault, "500-after@7"]), permissions=permissions) as simulator:
        assert await world.work(batch, simulator.url, look=True) is None
        reads = [call.status for call in simulator.tenant.calls if call.method == "GET"]
        await world.work(batch, simulator.url, look=True)
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 6, Outcome.IN_DOUBT: 1}
    assert reads == [int(fault[5:8]) if fault else 403] * 2  # the machine actions and the machines
    assert sum("The tenant was not looked up" in text for text in world.ears.said_so_far) == 2
    assert len([call for call in simulator.tenant.calls if call.method == "POST"]) == 7
    world.check([batch], simulator.tenant)


# -- a token that is not accepted --


async def test_a_401_to_a_read_renews_the_token_once(world: "World") -> None:
    tokens = Tokens("canary-token-old", "canary-token-new")
    async with (
        world.tenant(3, token="canary-token-new") as simulator,
        world.tenancy(simulator.url, tokens=tokens) as tenancy,
        tenancy.reader() as reader,
    ):
        assert len(await reader.machines()) == 3
        await reader.actions()
    assert tokens.renewals == 1
    assert [call.status for call in simulator.tenant.calls] == [401, 200, 404, 200]


@pytest.mark.parametrize(("values", "calls"), [(("one", "two", "three"), 2), (("one",), 1)])
async def test_a_token_that_is_refused_again_or_cannot_be_renewed_ends_the_reading(
    world: "World", values: tuple[str, ...], calls: int
) -> None:
    tokens = Tokens(*values)
    async with (
        world.tenant(3, "read/401") as simulator,
        world.tenancy(simulator.url, tokens=tokens) as tenancy,
        tenancy.reader() as reader,
    ):
        with pytest.raises(SignInError):
            await reader.machines()
    assert tokens.renewals == 1
    assert len(simulator.tenant.calls) == calls
    world.check([], simulator.tenant)


# -- a quota that others have used up --


@pytest.mark.fault(67, "Only reads wait.")
async def test_a_429_to_a_read_is_waited_for_as_told_and_by_reads_alone(world: "World") -> None:
    batch = world.add(range(6))
    async with world.tenant(6, "read/429=600@2") as simulator, world.tenancy(simulator.url) as tenancy:

        async def read() -> None:
            async with tenancy.reader() as reader:
                await reader.machines()
                await reader.actions()

        reading = asyncio.create_task(read())
        await asyncio.sleep(1)
        assert await world.work(batch, simulator.url) is None
        await reading
    calls = simulator.tenant.calls
    assert max(call.at for call in calls if call.method == "POST") < ORIGIN + 30
    reads = [call for call in calls if call.method == "GET"]
    assert [call.status for call in reads] == [200, 429, 404, 200, 200]
    assert 600 <= reads[2].at - reads[1].at < 602
    assert "The API asks to wait 600 s before the rest of the tenant is read." in world.ears.said_so_far
    world.check([batch], simulator.tenant)


async def test_a_429_to_an_offboard_call_is_not_waited_for_by_reads(world: "World") -> None:
    batch = world.add(range(6))
    async with world.tenant(6, "429=600@6") as simulator:
        running = asyncio.create_task(world.work(batch, simulator.url))
        await asyncio.sleep(20)
        async with world.tenancy(simulator.url) as tenancy, tenancy.reader() as reader:
            await reader.machines()
        assert asyncio.get_running_loop().time() < 30
        assert await running is None
    world.check([batch], simulator.tenant)


async def test_a_wait_that_was_asked_of_reads_outlives_the_process(world: "World") -> None:
    async with world.tenant(1, "read/429=300@1") as simulator:
        async with world.tenancy(simulator.url) as tenancy:

            async def read() -> None:
                async with tenancy.reader() as reader:
                    await reader.machines()

            reading = asyncio.create_task(read())
            await asyncio.sleep(5)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        async with world.tenancy(simulator.url) as tenancy, tenancy.reader() as reader:
            await reader.machines()
    one, two, _ = simulator.tenant.calls
    assert 300 <= two.at - one.at < 302
    world.check([], simulator.tenant)


async def test_a_wait_of_more_than_an_hour_is_not_waited_for(world: "World") -> None:
    async with (
        world.tenant(1, "read/429=3601") as simulator,
        world.tenancy(simulator.url) as tenancy,
        tenancy.reader() as reader,
    ):
        with pytest.raises(ReadError, match="asks to wait 3601 s"):
            await reader.machines()
    assert len(simulator.tenant.calls) == 1
    assert asyncio.get_running_loop().time() < 10


# -- a service that fails --


@pytest.mark.parametrize(
    "fault", ["500", "502", "504", "reset", "no-reply-close", "cut", "cut=wire", "html", "garbage=list", "long-header"]
)
async def test_a_read_that_fails_three_times_is_made_a_fourth_time(world: "World", fault: str) -> None:
    async with (
        world.tenant(12, f"read/{fault}@1-3", latency=(0.01, 0.01)) as simulator,
        world.tenancy(simulator.url) as tenancy,
        tenancy.reader() as reader,
    ):
        assert len(await reader.machines()) == 12
    assert gaps([call.at for call in simulator.tenant.calls[:4]]) == [1, 2, 4]
    world.check([], simulator.tenant)


@pytest.mark.parametrize(
    ("fault", "calls", "seconds", "words"),
    [
        ("500", 6, (30, 50), "InternalServerError"),
        ("503=120", 2, (120, 140), "ServiceUnavailable"),
        ("reset", 6, (30, 50), "NoAnswer"),
        ("cut", 6, (30, 50), "UnreadableAnswer"),
        ("html", 6, (30, 50), "NotTheApi"),
        ("hang", 1, (360, 362), "NoAnswer"),
        ("400=ODataError", 1, (0, 1), "ODataError"),
        ("redirect=http://127.0.0.1:1/", 1, (0, 1), "Redirect"),
        ("407", 1, (0, 1), "proxy"),
    ],
)
async def test_a_read_that_goes_on_failing_is_given_up_when_the_patience_ends(
    world: "World", fault: str, calls: int, seconds: tuple[float, float], words: str
) -> None:
    async with (
        world.tenant(12, f"read/{fault}", latency=(0.01, 0.01)) as simulator,
        world.tenancy(simulator.url) as tenancy,
        tenancy.reader() as reader,
    ):
        with pytest.raises(ReadError, match=words):
            await reader.machines()
        first, last = seconds
        assert first <= asyncio.get_running_loop().time() <= last
        assert len(simulator.tenant.calls) == calls
        assert not tenancy.unreadable
    world.check([], simulator.tenant)


async def test_an_api_that_cannot_be_reached_is_said_to_be_so(world: "World", listening: Listening) -> None:
    async with listening(lambda _request, _before: web.Response()) as closed:
        url = closed.url
    async with world.tenancy(url) as tenancy, tenancy.reader() as reader:
        with pytest.raises(ReadError, match="cannot be reached"):
            await reader.machines()
    assert 30 <= asyncio.get_running_loop().time() <= 50
