"""Every fault as a client sees it on a real socket, and what the tenant did."""

import asyncio
import gzip
import io
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from http.client import HTTPMessage, parse_headers

import pytest

from batch_offboard.simulator import RunningSimulator, SimulatorOptions, fleet_of, running_simulator

NOW = 1_800_000_000.0
DEVICE, OTHER = "a" * 40, "b" * 40
PATH = f"/api/machines/{DEVICE}/offboard"

Raw = Callable[..., Coroutine[None, None, bytes]]


@asynccontextmanager
async def faulty(*faults: str) -> AsyncIterator[RunningSimulator]:
    options = SimulatorOptions(latency=(0, 0), faults=faults)
    start = asyncio.get_running_loop().time()
    fleet = fleet_of([(DEVICE, "lt-1"), (OTHER, "lt-2")], 0, NOW)
    async with running_simulator(fleet, options, lambda: NOW + asyncio.get_running_loop().time() - start) as simulator:
        yield simulator


async def first_arrival(simulator: RunningSimulator) -> None:
    for _ in range(1000):
        if simulator.tenant.calls:
            return
        await asyncio.sleep(0.1)  # the loop's time; no test waits for the machine's


def parts(answer: bytes) -> tuple[int, HTTPMessage, bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    line, _, fields = head.partition(b"\r\n")
    headers = parse_headers(io.BytesIO(fields + b"\r\n\r\n"))
    return int(line.split()[1]), headers, body


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("500", 500, "InternalServerError"), ("503", 503, "ServiceUnavailable"), ("401", 401, "Unauthorized"),
        ("403", 403, "Forbidden"), ("403=DisabledFeature", 403, "DisabledFeature"), ("404", 404, "ResourceNotFound"),
        ("400=OsPlatformNotSupported", 400, "OsPlatformNotSupported"), ("409", 409, "Conflict"),
        (f"404:{DEVICE}", 404, "ResourceNotFound"), ("429", 429, "TooManyRequests"),
    ],
)  # fmt: skip
async def test_a_status_comes_with_the_error_body_and_nothing_is_accepted(
    raw_post: Raw, fault: str, status: int, code: str
) -> None:
    async with faulty(fault) as simulator:
        answered, headers, body = parts(await raw_post(simulator.url, PATH))
        error = json.loads(body)["error"]
        assert (answered, error["code"], len(error["target"])) == (status, code, 36)
        assert error["message"]
        assert headers["Content-Type"].startswith("application/json")
        assert not simulator.tenant.actions
        assert [(call.status, call.fault) for call in simulator.tenant.calls] == [(status, fault)]


@pytest.mark.parametrize("fault", ["500-after", "502-after", "429-after", "401-after"])
async def test_a_status_can_come_although_the_call_was_accepted(raw_post: Raw, fault: str) -> None:
    async with faulty(fault) as simulator:
        status, _, body = parts(await raw_post(simulator.url, PATH))
        assert (status, "error" in json.loads(body)) == (int(fault[:3]), True)
        assert [call.action_id for call in simulator.tenant.calls] == list(simulator.tenant.actions)
        assert len(simulator.tenant.actions) == 1


@pytest.mark.parametrize(
    ("fault", "waits"),
    [("429=30", ["30"]), ("429=none", []), ("429", []), ("429=abc", ["abc"]), ("429=-5", ["-5"]), ("429=0", ["0"]),
     ("429=999999", ["999999"]), ("429=30,60", ["30", "60"]), ("503=30", ["30"]), ("503=Busy", [])],
)  # fmt: skip
async def test_retry_after_is_sent_as_asked(raw_post: Raw, fault: str, waits: list[str]) -> None:
    async with faulty(fault) as simulator:
        _, headers, _ = parts(await raw_post(simulator.url, PATH))
        assert headers.get_all("Retry-After", []) == waits


@pytest.mark.looptime
@pytest.mark.parametrize(("fault", "seconds"), [("429=date+30", 30), ("429=date-30", -30)])
async def test_retry_after_can_be_a_date_of_the_simulators_time(raw_post: Raw, fault: str, seconds: int) -> None:
    async with faulty(fault) as simulator:
        _, headers, _ = parts(await raw_post(simulator.url, PATH))
        assert parsedate_to_datetime(headers["Retry-After"]).timestamp() == NOW + seconds
        assert parsedate_to_datetime(headers["Date"]).timestamp() == NOW


@pytest.mark.parametrize(("fault", "accepted"), [("reset", 0), ("reset-after", 1)])
async def test_a_reset_breaks_the_connection(raw_post: Raw, fault: str, accepted: int) -> None:
    async with faulty(fault) as simulator:
        with pytest.raises(ConnectionError):
            await raw_post(simulator.url, PATH)
        assert len(simulator.tenant.actions) == accepted
        assert simulator.tenant.calls[0].status is None


@pytest.mark.parametrize(("fault", "accepted"), [("no-reply-close", 0), ("no-reply-close-after", 1)])
async def test_a_close_without_reply_ends_in_good_order_without_a_byte(
    raw_post: Raw, fault: str, accepted: int
) -> None:
    async with faulty(fault) as simulator:
        assert await raw_post(simulator.url, PATH) == b""
        assert len(simulator.tenant.actions) == accepted


@pytest.mark.looptime
@pytest.mark.parametrize(("fault", "accepted"), [("hang", 0), ("hang-after", 1)])
async def test_a_hanging_call_is_never_answered(raw_post: Raw, fault: str, accepted: int) -> None:
    async with faulty(fault) as simulator:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(raw_post(simulator.url, PATH), 10_000)
        assert len(simulator.tenant.actions) == accepted


@pytest.mark.looptime
async def test_a_held_call_is_carried_out_and_answered_once_its_device_is_released(raw_post: Raw) -> None:
    async with faulty("hold") as simulator:
        held = asyncio.create_task(raw_post(simulator.url, PATH))
        await first_arrival(simulator)
        assert (simulator.tenant.actions, held.done()) == ({}, False)
        body = json.dumps([DEVICE]).encode()
        assert parts(await raw_post(simulator.url, "/_simulator/release", body=body))[0] == 200
        assert parts(await held)[0] == 201
        assert [action.machine_id for action in simulator.tenant.actions.values()] == [DEVICE]


@pytest.mark.looptime
async def test_a_held_call_is_refused_when_the_simulator_ends(raw_post: Raw) -> None:
    async with faulty("hold") as simulator:
        held = asyncio.create_task(raw_post(simulator.url, PATH))
        await first_arrival(simulator)
    assert parts(await held)[0] == 503
    assert simulator.tenant.actions == {}


@pytest.mark.looptime
async def test_a_hanging_call_does_not_hold_up_the_others_nor_the_end(raw_post: Raw) -> None:
    async with faulty("hang@1") as simulator:
        hanging = asyncio.create_task(raw_post(simulator.url, PATH))
        await first_arrival(simulator)
        status, _, _ = parts(await raw_post(simulator.url, PATH))
        assert status == 201
        assert not hanging.done()
    assert await hanging == b""


@pytest.mark.looptime
async def test_a_late_call_is_carried_out_after_its_caller_gave_up(raw_post: Raw) -> None:
    async with faulty("late=600") as simulator:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(raw_post(simulator.url, PATH), 90)
        assert not simulator.tenant.actions
        await asyncio.sleep(511)
        created = [action.created for action in simulator.tenant.actions.values()]
        assert created == [pytest.approx(NOW + 600, abs=1)]


@pytest.mark.looptime
async def test_a_late_call_is_answered_when_its_caller_waits(raw_post: Raw) -> None:
    async with faulty("late=5") as simulator:
        assert parts(await raw_post(simulator.url, PATH))[0] == 201


@pytest.mark.looptime
async def test_a_late_call_is_not_carried_out_by_a_simulator_that_closes(raw_post: Raw) -> None:
    async with faulty("late=600") as simulator:
        caller = asyncio.create_task(raw_post(simulator.url, PATH))
        await first_arrival(simulator)
    assert parts(await caller)[0] == 503
    assert not simulator.tenant.actions


async def test_cut_json_ends_in_the_middle_of_a_whole_answer(raw_post: Raw) -> None:
    async with faulty("cut") as simulator:
        status, headers, body = parts(await raw_post(simulator.url, PATH))
        assert (status, len(body)) == (201, int(headers["Content-Length"]))
        with pytest.raises(json.JSONDecodeError):
            json.loads(body)
        assert len(simulator.tenant.actions) == 1


async def test_a_cut_wire_ends_before_the_announced_length(raw_post: Raw) -> None:
    async with faulty("cut=wire") as simulator:
        status, headers, body = parts(await raw_post(simulator.url, PATH))
        assert status == 201
        assert 0 < len(body) < int(headers["Content-Length"])


@pytest.mark.parametrize(("fault", "accepted"), [("html", 0), ("html-after", 1)])
async def test_a_sign_in_page_is_html_with_status_200(raw_post: Raw, fault: str, accepted: int) -> None:
    async with faulty(fault) as simulator:
        status, headers, body = parts(await raw_post(simulator.url, PATH))
        assert (status, headers["Content-Type"].partition(";")[0]) == (200, "text/html")
        assert body.startswith(b"<!DOCTYPE html>")
        assert len(simulator.tenant.actions) == accepted


@pytest.mark.parametrize(
    ("fault", "status", "location"),
    [("redirect", 302, "/login"), ("redirect=http://127.0.0.1:9/x", 302, "http://127.0.0.1:9/x"),
     ("307=/api/machines", 307, "/api/machines"), ("301-after", 301, "/login")],
)  # fmt: skip
async def test_a_redirect_points_where_it_was_told(raw_post: Raw, fault: str, status: int, location: str) -> None:
    async with faulty(fault) as simulator:
        answered, headers, _ = parts(await raw_post(simulator.url, PATH))
        assert (answered, headers["Location"]) == (status, location)


@pytest.mark.parametrize(
    ("fault", "status", "empty"),
    [("200", 200, False), ("201=empty", 201, True), ("202", 202, True), ("202=body", 202, False), ("204", 204, True)],
)
async def test_a_success_can_have_any_status_and_no_body(raw_post: Raw, fault: str, status: int, empty: bool) -> None:
    async with faulty(fault) as simulator:
        answered, _, body = parts(await raw_post(simulator.url, PATH))
        assert (answered, body == b"") == (status, empty)
        assert len(simulator.tenant.actions) == 1


async def test_an_answer_can_lack_its_id(raw_post: Raw) -> None:
    async with faulty("no-id@1", "empty-id@2") as simulator:
        answers = [
            json.loads(parts(await raw_post(simulator.url, f"/api/machines/{device}/offboard"))[2])
            for device in (DEVICE, OTHER)
        ]
        assert ["id" in answers[0], answers[1]["id"]] == [False, ""]
        assert [answer["machineId"] for answer in answers] == [DEVICE, OTHER]


async def test_an_answer_can_be_about_another_machine_or_another_request(raw_post: Raw) -> None:
    async with faulty("other-machine@1", "other-comment@2") as simulator:
        first = json.loads(parts(await raw_post(simulator.url, PATH))[2])
        second = json.loads(parts(await raw_post(simulator.url, PATH.replace(DEVICE, OTHER)))[2])
        assert first["machineId"] not in {DEVICE, OTHER}
        assert second["requestorComment"] != "x"
        assert second["creationDateTimeUtc"] < "2021"


@pytest.mark.parametrize(
    ("what", "start"),
    [("bytes", b"\x00\x01"), ("utf16", b"\xff\xfe"), ("bom", b"\xef\xbb\xbf{"), ("deep", b'{"id":{"id":'),
     ("nan", b'{"id": NaN'), ("number", b'{"id": 1000'), ("duplicate", b'{"id": "0'), ("list", b"["), ("empty", b"")],
)  # fmt: skip
async def test_garbage_is_what_it_was_asked_to_be(raw_post: Raw, what: str, start: bytes) -> None:
    async with faulty(f"garbage={what}") as simulator:
        status, _, body = parts(await raw_post(simulator.url, PATH))
        assert status == 201
        assert body.startswith(start)
        assert (body == b"") == (what == "empty")


async def test_a_long_header_has_a_megabyte(raw_post: Raw) -> None:
    async with faulty("long-header") as simulator:
        assert b"X-Padding: " + b"a" * 1_000_000 in await raw_post(simulator.url, PATH)


@pytest.mark.looptime
async def test_a_slow_answer_takes_a_second_for_each_byte(raw_post: Raw) -> None:
    loop = asyncio.get_running_loop()
    async with faulty("slow") as simulator:
        start = loop.time()
        answer = await raw_post(simulator.url, PATH)
        assert loop.time() - start > 500
        assert answer.startswith(b"HTTP/1.1 201")


@pytest.mark.looptime
async def test_a_slow_answer_ends_with_the_simulator(raw_post: Raw) -> None:
    async with faulty("slow") as simulator:
        caller = asyncio.create_task(raw_post(simulator.url, PATH))
        await first_arrival(simulator)
        await asyncio.sleep(5)
    with pytest.raises(ConnectionError):
        await caller


async def test_a_huge_answer_does_not_end(raw_post: Raw) -> None:
    async with faulty("huge") as simulator:
        assert len(await raw_post(simulator.url, PATH, limit=8 << 20)) >= 8 << 20


async def test_a_huge_gzip_answer_grows_a_hundredfold(raw_post: Raw) -> None:
    async with faulty("huge=gzip") as simulator:
        status, headers, body = parts(await raw_post(simulator.url, PATH, limit=1 << 16))
        assert (status, headers["Content-Encoding"]) == (201, "gzip")
        unpacked = gzip.GzipFile(fileobj=io.BytesIO(joined(body))).read(5 << 20)
        assert len(unpacked) == 5 << 20


def joined(chunked: bytes) -> bytes:
    """The received data of a chunked body."""
    data = b""
    while chunked:
        size, _, rest = chunked.partition(b"\r\n")
        data += rest[: int(size, 16)]
        chunked = rest[int(size, 16) + 2 :]
    return data


async def test_a_fault_can_be_limited_to_reading(raw_get: Raw, raw_post: Raw) -> None:
    async with faulty("read/500") as simulator:
        assert parts(await raw_post(simulator.url, PATH))[0] == 201
        for path in ("machines", "machineactions", f"machines/{DEVICE}"):
            assert parts(await raw_get(simulator.url, f"/api/{path}"))[0] == 500


async def test_lists_can_be_empty_or_link_astray(raw_get: Raw) -> None:
    async with faulty("actions/empty-list", "machines/foreign-link@1", "machines/loop-link@2") as simulator:
        actions = json.loads(parts(await raw_get(simulator.url, "/api/machineactions"))[2])
        pages = [json.loads(parts(await raw_get(simulator.url, "/api/machines?$skip=1"))[2]) for _ in range(2)]
        assert actions["value"] == []
        assert not pages[0]["@odata.nextLink"].startswith(simulator.url)
        assert pages[1]["@odata.nextLink"] == f"{simulator.url}/api/machines?$skip=1"


async def test_a_fault_does_not_strike_a_call_that_is_refused_anyway(raw_post: Raw) -> None:
    async with faulty("500-after") as simulator:
        status, _, _ = parts(await raw_post(simulator.url, PATH.replace(DEVICE, "c" * 40)))
        assert status == 404
