"""The client against bare sockets: what it sends, what it receives, and how it classifies that."""

import asyncio
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from batch_offboard.base.clock import Moment
from batch_offboard.base.errors import BatchOffboardError, ConfigError
from batch_offboard.core.jobs import Verdict
from batch_offboard.core.slots import Slot
from batch_offboard.defender import host_names as names
from batch_offboard.defender.client import ApiClient
from batch_offboard.defender.connection import Connection
from batch_offboard.defender.protocol import (
    MAX_BODY,
    Answer,
    Fault,
    NoAnswer,
    Request,
    machines_request,
    offboard_request,
)
from tests.hanging_names import name_server

if TYPE_CHECKING:
    from tests.integration.defender.client.conftest import Caller, Handler, Serve

DEVICE = "a" * 40
TOKEN = "canary-token"
SENDS = 500


def reset(writer: asyncio.StreamWriter) -> None:
    """Abort the connection with an RST instead of a FIN."""
    linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


def answering(data: bytes, *, close: bool = True) -> "Handler":
    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        if close:
            await writer.drain()
            writer.close()

    return answer


async def test_a_call_carries_comment_token_and_device(serve: "Serve", call: "Caller", accept_all: "Handler") -> None:
    async with serve(accept_all) as server:
        outcome = await call(server.url)
    assert (outcome.verdict, outcome.action_id) == (Verdict.SUBMITTED, "action-1")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(f"POST /api/machines/{DEVICE}/offboard HTTP/1.1".encode())
    assert f"Authorization: Bearer {TOKEN}".encode() in head
    assert b"Content-Type: application/json" in head
    assert body == b'{"Comment": "a comment"}'


@pytest.mark.fault(91, "Not sent, pending.")
async def test_a_refused_connection_is_certainly_not_sent(call: "Caller") -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening, so that no other process takes the port
        outcome = await call(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert (outcome.verdict, outcome.code) == (Verdict.NOT_SENT, "Unreachable")


@pytest.mark.fault(90, "Not sent, pending; the name is named.")
async def test_a_name_that_does_not_resolve_is_certainly_not_sent(
    call: "Caller", monkeypatch: pytest.MonkeyPatch
) -> None:
    with name_server(monkeypatch, {}):
        outcome = await call("https://api.example.invalid")
    assert (outcome.verdict, outcome.code) == (Verdict.NOT_SENT, "Unreachable")
    assert outcome.message == "the name api.example.invalid cannot be resolved: Name or service not known; check DNS"


@pytest.mark.fault(90, "A name server that does not answer: not sent, within the call's timeout.")
@pytest.mark.parametrize("proxy", [None, "http://proxy.example.invalid:8080"])
async def test_a_name_server_that_says_nothing_is_waited_for_no_longer_than_for_a_call(
    call: "Caller", monkeypatch: pytest.MonkeyPatch, proxy: str | None
) -> None:
    with name_server(monkeypatch, {}, silent=True):
        outcome = await call("https://api.example.invalid", proxy=proxy, timeout=0.2)
    of_proxy = "the proxy proxy.example.invalid:8080 did not connect: " if proxy else ""
    name = "proxy.example.invalid" if proxy else "api.example.invalid"
    assert (outcome.verdict, outcome.code) == (Verdict.NOT_SENT, "Unreachable")
    assert outcome.message == f"{of_proxy}the name {name} was not resolved in 0.2 s; check DNS"


async def test_a_page_has_more_time_to_come_but_not_to_find_its_server(
    call: "Caller", monkeypatch: pytest.MonkeyPatch
) -> None:
    call.connection = Connection(timeout=0.2)
    request = replace(machines_request("https://api.example.invalid"), patience=1e6)
    with name_server(monkeypatch, {}, silent=True):
        async with call.client("https://api.example.invalid") as client:
            answer = await client.send(request, Slot(Moment(0, 0, "")))
    assert answer == NoAnswer(Fault.UNREACHABLE, "the name api.example.invalid was not resolved in 0.2 s; check DNS")


@pytest.mark.fault(91, "Not sent, pending.")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops what finds the queue of connections full")
@pytest.mark.looptime
async def test_a_connection_that_nobody_answers_is_given_up_as_not_sent(call: "Caller") -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(deaf.getsockname())
        outcome = await call(f"http://127.0.0.1:{deaf.getsockname()[1]}")
        for each in waiting:
            each.close()
    assert (outcome.verdict, outcome.code) == (Verdict.NOT_SENT, "Unreachable")
    assert asyncio.get_running_loop().time() == pytest.approx(15, abs=1)


@pytest.mark.fault(103, "The other address is used within seconds.")
@pytest.mark.skipif(sys.platform != "linux", reason="as above, and elsewhere 127.0.0.2 is nobody's address")
@pytest.mark.looptime
async def test_an_address_that_leads_nowhere_is_passed_over_for_one_that_works(
    serve: "Serve", call: "Caller", accept_all: "Handler", monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(accept_all) as server:
        port = int(server.url.rpartition(":")[2])
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.2", port))
            deaf.listen(0)
            waiting = [socket.socket() for _ in range(4)]
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(deaf.getsockname())

            async def both(*_arguments: object) -> list[names.Address]:
                return [names.Address(socket.AF_INET, socket.IPPROTO_TCP, ip) for ip in ("127.0.0.2", "127.0.0.1")]

            monkeypatch.setattr(names, "look_up_async", both)
            outcome = await call(f"http://localhost:{port}")
            for each in waiting:
                each.close()
    assert outcome.verdict is Verdict.SUBMITTED
    assert len(server.requests) == 1
    assert asyncio.get_running_loop().time() < 10


@pytest.mark.fault(93, "In doubt, one request on the wire.")
async def test_a_reset_after_the_request_leaves_the_device_in_doubt(serve: "Serve", call: "Caller") -> None:
    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        reset(writer)

    async with serve(answer) as server:
        outcome = await call(server.url)
    assert (outcome.verdict, outcome.code) == (Verdict.IN_DOUBT, "NoAnswer")
    assert len(server.requests) == 1


@pytest.mark.fault(92, "Not sent or in doubt, as far as can be known; never accepted.")
async def test_a_reset_before_the_request_was_read_is_never_taken_for_accepted(call: "Caller") -> None:
    def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reset(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        outcome = await call(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert outcome.verdict in {Verdict.NOT_SENT, Verdict.IN_DOUBT}  # the kernel may have taken the bytes by then


@pytest.mark.fault(94, "In doubt; 500 calls are 500 requests.")
async def test_every_send_is_one_request_when_fresh_connections_close_without_a_reply(
    serve: "Serve", call: "Caller"
) -> None:
    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with serve(answer) as server, call.client(server.url) as client:
        verdicts = [(await call.send(client, server.url)).verdict for _ in range(SENDS)]
    assert verdicts == [Verdict.IN_DOUBT] * SENDS
    assert len(server.requests) == server.connections == SENDS


@pytest.mark.fault(94, "In doubt; 1,000 calls are 1,000 requests.")
async def test_every_send_is_one_request_when_reused_connections_close_without_a_reply(
    serve: "Serve", call: "Caller", accepted: bytes
) -> None:
    answered: set[asyncio.StreamWriter] = set()

    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        if writer in answered:
            writer.close()
        else:
            answered.add(writer)
            writer.write(accepted)

    async with serve(answer) as server, call.client(server.url) as client:
        verdicts = [(await call.send(client, server.url)).verdict for _ in range(2 * SENDS)]
    assert verdicts == [Verdict.SUBMITTED, Verdict.IN_DOUBT] * SENDS
    assert len(server.requests) == 2 * SENDS
    assert server.connections == SENDS


@pytest.mark.parametrize("end", [asyncio.StreamWriter.close, reset])
async def test_every_read_is_one_request_too_however_its_connection_ends(
    serve: "Serve", call: "Caller", end: Callable[[asyncio.StreamWriter], None]
) -> None:
    answered: set[asyncio.StreamWriter] = set()

    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        if len(answered) == 3 or writer in answered:
            end(writer)
        else:
            answered.add(writer)
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"value":[]}')

    async with serve(answer) as server, call.client(server.url) as client:
        answers = [await client.send(machines_request(server.url), Slot(Moment(0, 0, ""))) for _ in range(12)]
    assert [isinstance(each, Answer) for each in answers] == [True, False] * 3 + [False] * 6
    assert {each.fault for each in answers if not isinstance(each, Answer)} == {Fault.LOST}
    assert len(server.requests) == 12


async def test_a_connection_that_the_server_closed_while_idle_costs_no_call(
    serve: "Serve", call: "Caller", accepted: bytes
) -> None:
    async with serve(answering(accepted)) as server, call.client(server.url) as client:
        for _ in range(20):
            assert (await call.send(client, server.url)).verdict in {Verdict.SUBMITTED, Verdict.IN_DOUBT}
            await asyncio.sleep(0)
    assert len(server.requests) <= 20


@pytest.mark.fault(78, "In doubt.", case="cut body")
@pytest.mark.fault(82, "In doubt.", case="many headers")
@pytest.mark.fault(85, "In doubt.", case="switch of protocol")
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("cut body", b"HTTP/1.1 201 Created\r\nContent-Length: 60\r\n\r\n" + b'{"id": "action-1", "type":'),
        ("length too long", b'HTTP/1.1 201 Created\r\nContent-Length: 999\r\n\r\n{"id": "action-1"}'),
        ("length too short", b'HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n{"id": "action-1"}'),
        ("cut chunk", b'HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n12\r\n{"id": "act'),
        ("no last chunk", b'HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n12\r\n{"id": "action-1"}\r\n'),
        (
            "chunk without size",
            b'HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{"id": "action-1"}\r\n',
        ),
        ("no gzip", b"HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"),
        ("switch of protocol", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n"),
        ("bare newline in a header", b"HTTP/1.1 201 Created\r\nX-A: b\n c\x00d\r\nContent-Length: 2\r\n\r\n{}"),
        ("long header line", b"HTTP/1.1 201 Created\r\nX-A: " + b"a" * 1_000_000 + b"\r\nContent-Length: 2\r\n\r\n{}"),
        ("many headers", b"HTTP/1.1 201 Created\r\n" + b"X-A: b\r\n" * 50_000 + b"Content-Length: 2\r\n\r\n{}"),
        ("no HTTP", b"SSH-2.0-OpenSSH_9.9\r\n"),
        ("nothing but a status", b"HTTP/1.1 201"),
        ("204", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("202", b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"),
        ("unheard-of status", b"HTTP/1.1 799 What\r\nContent-Length: 0\r\n\r\n"),
    ],
)
async def test_an_answer_that_proves_nothing_leaves_the_device_in_doubt(
    serve: "Serve", call: "Caller", name: str, data: bytes
) -> None:
    async with serve(answering(data)) as server:
        outcome = await call(server.url)
    assert outcome.verdict is Verdict.IN_DOUBT, (name, outcome)
    assert len(server.requests) == 1
    assert TOKEN not in repr(outcome)


@pytest.mark.fault(100, "An ordinary answer.")
async def test_bytes_that_come_one_by_one_are_an_ordinary_answer(
    serve: "Serve", call: "Caller", accepted: bytes
) -> None:
    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in accepted:
            writer.write(bytes((byte,)))
            await asyncio.sleep(0)

    async with serve(answer) as server:
        outcome = await call(server.url)
    assert outcome.verdict is Verdict.SUBMITTED


@pytest.mark.fault(85, "Passed over.")
async def test_interim_answers_come_before_the_real_one(serve: "Serve", call: "Caller", accepted: bytes) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n" + b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    async with serve(answering(interim * 10 + accepted)) as server:
        outcome = await call(server.url)
    assert outcome.verdict is Verdict.SUBMITTED


@pytest.mark.fault(85, "Endless: the deadline, in doubt.")
@pytest.mark.looptime
@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 201 Created\r\n", b"X-A: b\r\n"])
async def test_a_server_that_never_comes_to_an_answer_meets_the_deadline(
    serve: "Serve", call: "Caller", data: bytes
) -> None:
    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        if data.startswith(b"X-A"):
            writer.write(b"HTTP/1.1 201 Created\r\n")
        while True:
            writer.write(data)
            await asyncio.sleep(5)

    async with serve(answer) as server:
        outcome = await call(server.url)
    assert (outcome.verdict, outcome.code) == (Verdict.IN_DOUBT, "NoAnswer")
    assert asyncio.get_running_loop().time() <= 91


@pytest.mark.fault(83, "The whole call has one deadline; in doubt.")
@pytest.mark.looptime
async def test_a_byte_a_second_meets_the_deadline_of_the_whole_call(
    serve: "Serve", call: "Caller", accepted: bytes
) -> None:
    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        for byte in accepted + b" " * 1000:
            writer.write(bytes((byte,)))
            await asyncio.sleep(1)

    async with serve(answer) as server:
        outcome = await call(server.url, timeout=60.0)
    assert outcome.verdict is Verdict.IN_DOUBT
    assert asyncio.get_running_loop().time() <= 61


@pytest.mark.fault(81, "Cut at a mebibyte, in doubt.")
@pytest.mark.parametrize("head", [b"Content-Length: 9999999999", b"Transfer-Encoding: chunked"])
async def test_an_answer_without_end_is_cut_at_a_mebibyte(serve: "Serve", call: "Caller", head: bytes) -> None:
    written = 0

    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 201 Created\r\n" + head + b"\r\n\r\n")
        block = b" " * 65536
        piece = b"10000\r\n" + block + b"\r\n" if b"chunked" in head else block
        while True:
            writer.write(piece)
            await writer.drain()
            written += len(block)

    async with serve(answer) as server:
        outcome = await call(server.url)
    assert (outcome.verdict, outcome.http_status) == (Verdict.IN_DOUBT, 201)
    answer_taken = call.raw[0]
    assert isinstance(answer_taken, Answer)
    assert (len(answer_taken.body), answer_taken.complete) == (MAX_BODY, False)
    assert written < 64 * MAX_BODY


@pytest.mark.fault(84, "Never followed, in doubt; the second stops the run.")
async def test_a_redirect_is_not_followed_and_its_target_never_sees_the_token(
    serve: "Serve", call: "Caller", accept_all: "Handler"
) -> None:
    async with serve(accept_all) as target:
        for status in ("301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"):
            head = f"HTTP/1.1 {status}\r\nLocation: {target.url}/api/x\r\nContent-Length: 0\r\n\r\n"
            async with serve(answering(head.encode())) as server:
                outcome = await call(server.url)
            assert (outcome.verdict, outcome.code) == (Verdict.IN_DOUBT, "Redirect")
            assert len(server.requests) == 1
        assert target.connections == 0


async def test_a_slot_serves_one_request_only(serve: "Serve", call: "Caller", accept_all: "Handler") -> None:
    async with serve(accept_all) as server, call.client(server.url) as client:
        slot, request = Slot(Moment(0, 0, "")), offboard_request(server.url, DEVICE, "x")
        await client.send(request, slot)
        with pytest.raises(BatchOffboardError, match="used twice"):
            await client.send(request, slot)
    assert len(server.requests) == 1


@pytest.mark.parametrize("change", [("127.0.0.1", "localhost"), ("http://", "https://"), (":", ":1")])
async def test_a_request_for_another_origin_is_refused_before_a_byte_leaves(
    serve: "Serve", call: "Caller", accept_all: "Handler", change: tuple[str, str]
) -> None:
    old, new = change
    async with serve(accept_all) as server, call.client(server.url) as client:
        elsewhere = server.url.rsplit(":", 1)[0] + ":1" if old == ":" else server.url.replace(old, new)
        with pytest.raises(ConfigError) as raised:
            await client.send(offboard_request(elsewhere, DEVICE, "x"), Slot(Moment(0, 0, "")))
    assert server.connections == 0
    assert TOKEN not in str(raised.value)


async def test_a_token_that_cannot_be_a_header_is_not_sent_and_not_shown(
    serve: "Serve", accept_all: "Handler", call: "Caller"
) -> None:
    async def token() -> str:
        return f"{TOKEN}\r\nX-Injected: yes"

    async with serve(accept_all) as server, call.client(server.url) as good:
        client = ApiClient(good._session, good._origin, token, good._way, good._connection, good._names)
        answer = await client.send(Request("POST", f"{server.url}/api/x", b"{}", {}), Slot(Moment(0, 0, "")))
    assert server.requests == []
    assert TOKEN not in repr(answer)


async def test_the_client_does_not_show_its_token_or_password(call: "Caller") -> None:
    call.connection = Connection(proxy="http://127.0.0.1:1", proxy_user="u", proxy_password=lambda: "canary-password")
    async with call.client("http://127.0.0.1:1") as client:
        shown = repr(client) + repr(call.connection) + repr(vars(client))
    assert TOKEN not in shown
    assert "canary-password" not in shown
