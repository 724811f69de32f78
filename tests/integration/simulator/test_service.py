"""The tenant on its socket: the answer to each call, the sign-in, and the quota."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from batch_offboard.simulator import (
    Pace,
    RunningSimulator,
    SimulatorOptions,
    fleet_of,
    running_simulator,
)

NOW = 1_800_000_000.0
DEVICES = [f"{number:040x}" for number in range(1, 300)]
PACE = Pace(pick_up=(10, 10), work=(20, 20))

Api = aiohttp.ClientSession


@asynccontextmanager
async def running(**options: Any) -> AsyncIterator[tuple[RunningSimulator, Api]]:
    """A tenant with `DEVICES` and the event loop's clock, and a client with a token."""
    start = asyncio.get_running_loop().time()
    told = SimulatorOptions(**{"latency": (0, 0), "pace": PACE, **options})
    fleet = fleet_of([(device, f"lt-{device[-3:]}") for device in DEVICES], 0, NOW)
    async with running_simulator(fleet, told, lambda: NOW + asyncio.get_running_loop().time() - start) as simulator:
        headers = {"Authorization": "Bearer token"}
        async with aiohttp.ClientSession(simulator.url, headers=headers) as api:
            yield simulator, api


async def offboard(api: Api, number: int = 0, **request: Any) -> tuple[int, Any]:
    request = request or {"json": {"Comment": "CHG-1"}}
    async with api.post(f"/api/machines/{DEVICES[number]}/offboard", **request) as response:
        return response.status, await response.json()


async def get(api: Api, path: str) -> tuple[int, Any]:
    async with api.get(path) as response:
        return response.status, await response.json()


async def test_an_offboarding_is_accepted_with_the_action_of_the_reference() -> None:
    async with running() as (simulator, api):
        status, action = await offboard(api)
        assert status == 201
        assert action["@odata.context"].endswith("/api/$metadata#MachineActions/$entity")
        shown = {name: action[name] for name in ("type", "status", "machineId", "requestorComment", "requestSource")}
        assert shown == {
            "type": "Offboard",
            "status": "Pending",
            "machineId": DEVICES[0],
            "requestorComment": "CHG-1",
            "requestSource": "PublicApi",
        }
        assert list(simulator.tenant.actions) == [action["id"]]


async def test_the_service_can_answer_200_instead() -> None:
    async with running(success_status=200) as (_, api):
        assert (await offboard(api))[0] == 200


async def test_the_versioned_path_is_the_same() -> None:
    async with (
        running() as (_, api),
        api.post(f"/api/v1.0/machines/{DEVICES[0]}/offboard", json={"Comment": "x"}) as response,
    ):
        assert response.status == 201


async def test_answers_carry_the_headers_of_the_service_and_the_simulators_date() -> None:
    async with running() as (_, api), api.get("/api/machines?$top=1") as response:
        assert response.headers["Content-Type"].startswith("application/json; odata.metadata=minimal")
        assert response.headers["OData-Version"] == "4.0"
        assert response.headers["Date"] == "Fri, 15 Jan 2027 08:00:00 GMT"


@pytest.mark.parametrize(
    ("request_options", "status", "code"),
    [
        ({"json": {"comment": "x"}}, 400, "MissingRequiredParameter"),
        ({"json": {"Comment": "x" * 4001}}, 400, "InvalidInput"),
        ({"data": b"{", "headers": {"Content-Type": "application/json"}}, 400, "InvalidRequestBody"),
        ({"data": b"x"}, 415, "UnsupportedMediaType"),
        ({"json": {"Comment": "x"}, "headers": {"Authorization": "Basic x"}}, 401, "Unauthorized"),
    ],
)
async def test_a_wrong_request_is_refused_with_the_documented_error(
    request_options: dict[str, Any], status: int, code: str
) -> None:
    async with running() as (simulator, api):
        answered, body = await offboard(api, **request_options)
        assert (answered, body["error"]["code"]) == (status, code)
        assert set(body["error"]) == {"code", "message", "target"}
        assert not simulator.tenant.actions


async def test_a_call_without_a_token_is_turned_away() -> None:
    async with running() as (simulator, _), aiohttp.ClientSession(simulator.url) as stranger:
        status, body = await get(stranger, "/api/machines")
        assert (status, body["error"]["code"]) == (401, "Unauthorized")


async def test_only_the_expected_token_is_let_in() -> None:
    async with running(token="secret") as (_, api):
        assert (await offboard(api))[0] == 401
        assert (await offboard(api, json={"Comment": "x"}, headers={"Authorization": "Bearer secret"}))[0] == 201


async def test_a_missing_permission_is_named() -> None:
    async with running(permissions=frozenset({"Machine.Read.All"})) as (_, api):
        status, body = await offboard(api)
        assert (status, body["error"]["code"]) == (403, "Forbidden")
        assert "API required roles: Machine.Offboard" in body["error"]["message"]
        assert (await get(api, "/api/machines"))[0] == 200


async def test_the_permission_to_offboard_is_not_the_one_to_read() -> None:
    async with running(permissions=frozenset({"Machine.Offboard"})) as (_, api):
        assert (await offboard(api))[0] == 201
        assert (await get(api, "/api/machineactions"))[0] == 403


async def test_a_wrong_method_is_405_with_an_empty_body() -> None:
    async with running() as (_, api):
        async with api.get(f"/api/machines/{DEVICES[0]}/offboard") as response:
            assert (response.status, response.headers["Allow"], await response.read()) == (405, "POST", b"")
        async with api.delete("/api/machines") as response:
            assert (response.status, response.headers["Allow"], await response.read()) == (405, "GET", b"")


async def test_an_unknown_address_is_not_found() -> None:
    async with running() as (_, api):
        assert (await get(api, "/api/alerts"))[0] == 404


@pytest.mark.looptime
async def test_an_action_can_be_followed_to_its_end() -> None:
    async with running() as (_, api):
        _, action = await offboard(api)
        statuses = []
        for _ in range(4):
            statuses.append((await get(api, f"/api/machineactions/{action['id']}"))[1]["status"])
            await asyncio.sleep(10.5)
        assert statuses == ["Pending", "InProgress", "InProgress", "Succeeded"]


@pytest.mark.looptime
async def test_an_action_can_be_cancelled_until_it_is_final() -> None:
    async with running() as (_, api):
        ids = [(await offboard(api, number))[1]["id"] for number in (0, 1)]
        address = "/api/machineactions/{}/cancel"
        async with api.post(address.format(ids[0]), json={"Comment": "mistake"}) as response:
            answer = await response.json()
            assert (response.status, answer["status"], answer["cancellationComment"]) == (200, "Cancelled", "mistake")
        await asyncio.sleep(40)
        for action_id, status in ((ids[0], 400), (ids[1], 400), ("nothing", 404)):
            async with api.post(address.format(action_id), json={"Comment": "x"}) as response:
                assert response.status == status


@pytest.mark.looptime
async def test_the_list_of_actions_lags_behind_the_actions() -> None:
    async with running(list_lag=60) as (_, api):
        _, action = await offboard(api)
        assert (await get(api, "/api/machineactions"))[1]["value"] == []
        assert (await get(api, f"/api/machineactions/{action['id']}"))[0] == 200
        await asyncio.sleep(61)
        assert [shown["id"] for shown in (await get(api, "/api/machineactions"))[1]["value"]] == [action["id"]]


@pytest.mark.parametrize("query", ["", "?$filter=startswith(computerDnsName,'lt-')"])
async def test_following_the_links_gives_every_machine_once(query: str) -> None:
    async with running(page_size=17) as (simulator, api):
        found: list[str] = []
        address = f"/api/machines{query}"
        while address:
            _, page = await get(api, address)
            assert len(page["value"]) <= 17
            found += [machine["id"] for machine in page["value"]]
            link = page.get("@odata.nextLink", "")
            assert link == "" or link.startswith(f"{simulator.url}/api/machines?")
            address = link.removeprefix(simulator.url)
        assert found == DEVICES


async def test_a_page_that_was_asked_for_by_size_has_no_link() -> None:
    async with running(page_size=5) as (_, api):
        _, page = await get(api, "/api/machines?$top=20&$skip=10")
        assert [machine["id"] for machine in page["value"]] == DEVICES[10:30]
        assert "@odata.nextLink" not in page


async def test_the_last_full_page_has_no_link() -> None:
    async with running(page_size=len(DEVICES)) as (_, api):
        assert "@odata.nextLink" not in (await get(api, "/api/machines"))[1]


async def test_an_empty_list_of_machines_is_404_and_of_actions_is_empty() -> None:
    async with running() as (_, api):
        assert (await get(api, "/api/machines?$filter=osPlatform eq 'Linux'"))[0] == 404
        assert (await get(api, "/api/machineactions"))[1]["value"] == []


async def test_a_bad_query_is_an_odata_error() -> None:
    async with running() as (_, api):
        status, body = await get(api, "/api/machines?$filter=osPlatform like 'x'")
        assert (status, body["error"]["code"]) == (400, "ODataError")


async def test_a_machine_is_shown_by_id_and_by_name_with_all_its_fields() -> None:
    async with running() as (_, api):
        status, machine = await get(api, f"/api/machines/{DEVICES[0].upper()}")
        assert (status, machine["id"], machine["healthStatus"]) == (200, DEVICES[0], "Active")
        assert await get(api, "/api/machines/lt-001") == (status, machine)
        assert (await get(api, "/api/machines/nobody"))[0] == 404


@pytest.mark.parametrize("mode", ["sliding", "fixed", "bucket"])
@pytest.mark.looptime
async def test_a_call_above_the_quota_is_told_how_long_to_wait_and_then_let_in(mode: str) -> None:
    async with running(per_minute=5, quota_mode=mode) as (simulator, api):
        codes, wait = [], 0
        for number in range(5):
            assert (await offboard(api, number))[0] == 201
        for number in (5, 6):
            async with api.post(f"/api/machines/{DEVICES[number]}/offboard", json={"Comment": "x"}) as response:
                codes.append((await response.json())["error"]["code"])
                assert response.status == 429
                wait = int(response.headers["Retry-After"])
        assert sorted(codes) == ["429", "TooManyRequests"]
        await asyncio.sleep(wait)
        assert (await offboard(api, 5))[0] == 201
        assert [call.status for call in simulator.tenant.calls] == [201] * 5 + [429] * 2 + [201]


@pytest.mark.looptime
async def test_each_group_of_operations_has_a_quota_of_its_own() -> None:
    async with running(per_minute=1) as (_, api):
        _, action = await offboard(api)
        assert (await offboard(api, 1))[0] == 429
        assert (await get(api, "/api/machines"))[0] == 200
        assert (await get(api, "/api/machineactions"))[0] == 429
        async with api.post(f"/api/machineactions/{action['id']}/cancel", json={"Comment": "x"}) as response:
            assert response.status == 200


async def test_a_429_names_the_quota_as_the_service_does() -> None:
    async with running(per_hour=1, throttle_code="429") as (_, api):
        await offboard(api)
        _, body = await offboard(api, 1)
        assert body["error"]["code"] == "429"
        assert body["error"]["message"] == "API calls quota exceeded! maximum allowed 1 per 01:00:00"


async def test_a_call_without_a_good_token_uses_no_quota() -> None:
    async with running(per_minute=1, token="secret") as (_, api):
        assert [(await offboard(api))[0] for _ in range(3)] == [401] * 3
        assert (await offboard(api, json={"Comment": "x"}, headers={"Authorization": "Bearer secret"}))[0] == 201


@pytest.mark.looptime
async def test_latency_takes_its_time_after_the_arrival() -> None:
    loop = asyncio.get_running_loop()
    async with running(latency=(3, 3)) as (simulator, api):
        start = loop.time()
        await offboard(api)
        assert loop.time() - start == pytest.approx(3, abs=0.5)
        assert simulator.tenant.calls[0].at == pytest.approx(NOW, abs=0.5)


@pytest.mark.looptime
async def test_a_call_can_arrive_at_any_point_of_its_latency() -> None:
    async with running(latency=(10, 10), arrival="random") as (simulator, api):
        await asyncio.gather(*(offboard(api, number) for number in range(50)))
        delays = [call.at - NOW for call in simulator.tenant.calls]
        assert 0 <= min(delays) < 2
        assert 8 < max(delays) < 11


async def test_every_call_is_on_record() -> None:
    async with running() as (simulator, api):
        _, action = await offboard(api)
        await offboard(api)
        await get(api, "/api/machineactions?$top=5")
        records = [(call.method, call.group, call.device_id, call.comment, call.status, call.action_id)
                   for call in simulator.tenant.calls]  # fmt: skip
        assert records == [
            ("POST", "offboard", DEVICES[0], "CHG-1", 201, action["id"]),
            ("POST", "offboard", DEVICES[0], "CHG-1", 400, None),
            ("GET", "read", None, None, 200, None),
        ]


async def test_another_process_can_read_the_record_outside_sign_in_and_quota() -> None:
    async with running(per_minute=1) as (simulator, api), aiohttp.ClientSession(simulator.url) as stranger:
        _, action = await offboard(api)
        await get(stranger, "/_simulator/calls")
        _, calls = await get(stranger, "/_simulator/calls")
        _, actions = await get(stranger, "/_simulator/actions")
        assert [(call["group"], call["status"], call["action_id"]) for call in calls] == [
            ("offboard", 201, action["id"])
        ]
        assert [(shown["id"], shown["requestorComment"]) for shown in actions] == [(action["id"], "CHG-1")]
        assert (await get(stranger, "/_simulator/else"))[0] == 404
        assert len(simulator.tenant.calls) == 1


async def test_a_request_that_was_not_sent_to_its_end_never_arrived() -> None:
    async with running() as (simulator, api):
        host, port = simulator.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /api/machines/{DEVICES[0]}/offboard HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{"
        writer.write(head.encode())
        await writer.drain()
        writer.transport.abort()
        await offboard(api, 1)
        assert [call.device_id for call in simulator.tenant.calls] == [DEVICES[1]]


async def test_an_earlier_action_is_known_to_a_simulator_that_is_told() -> None:
    async with running() as (_, api):
        _, earlier = await offboard(api)
    fleet = fleet_of([(DEVICES[0], None)], 0, NOW)
    options = SimulatorOptions(latency=(0, 0), pace=PACE)
    async with (
        running_simulator(fleet, options, lambda: NOW + 31, earlier_actions=[earlier]) as simulator,
        aiohttp.ClientSession(simulator.url, headers={"Authorization": "Bearer x"}) as api,
    ):
        _, action = await get(api, f"/api/machineactions/{earlier['id']}")
        assert (action["status"], action["creationDateTimeUtc"]) == ("Succeeded", earlier["creationDateTimeUtc"])


async def test_the_simulator_can_listen_on_the_other_loopback_and_on_a_given_port() -> None:
    async with running(host="localhost") as (simulator, _):
        assert simulator.url.startswith("http://127.0.0.1:")
    port = int(simulator.url.rpartition(":")[2])
    async with running(port=port) as (again, api):
        assert again.url == simulator.url
        assert (await offboard(api))[0] == 201


async def test_nothing_runs_on_after_the_end() -> None:
    before = asyncio.all_tasks()
    async with running(faults=("hang",)) as (_, api):
        caller = asyncio.create_task(offboard(api))
        await asyncio.sleep(0.01)
        caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    assert asyncio.all_tasks() == before
