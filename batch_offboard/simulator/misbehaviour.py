"""How each fault is sent: the only module that alters an answer or a connection.

Whether a fault applies, and whether the call is carried out, is decided before.
"""

import asyncio
import json
import socket
import struct
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace
from email.utils import formatdate

from aiohttp import hdrs, web
from multidict import CIMultiDict

from batch_offboard.simulator.answers import ApiError, Reply, usual_code
from batch_offboard.simulator.faults import Fault

JSON = "application/json; odata.metadata=minimal; odata.streaming=true; charset=utf-8"

_LOGIN_PAGE = (
    "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in to the guest network.</body></html>"
)
_BLOCK = 64 * 1024

_GARBAGE: dict[str, bytes] = {
    "bytes": bytes(range(256)),
    "utf16": '{"id": "0b0f6f0e"}'.encode("utf-16"),
    "bom": b'\xef\xbb\xbf{"id": "0b0f6f0e"}',
    "deep": b'{"id":' * 10_000 + b"1" + b"}" * 10_000,
    "nan": b'{"id": NaN}',
    "number": b'{"id": 1' + b"0" * 400 + b"}",
    "duplicate": b'{"id": "0b0f6f0e", "id": "1c1f7f1f"}',
    "list": b'["0b0f6f0e"]',
    "empty": b"",
}


@dataclass(frozen=True, slots=True)
class Wire:
    """What is needed to answer one call: the request, the simulator's time, and the event that ends every wait."""

    request: web.BaseRequest
    now: Callable[[], float]
    closing: asyncio.Event

    async def pause(self, seconds: float) -> None:
        """Wait, at most until the simulator closes."""
        try:
            async with asyncio.timeout(seconds):
                await self.closing.wait()
        except TimeoutError:
            return


async def send(wire: Wire, reply: Reply) -> web.StreamResponse:
    """The answer without a fault."""
    body = b"" if reply.body is None else json.dumps(reply.body).encode()
    return web.Response(status=reply.status, body=body, headers=_headers(wire, reply))


async def send_with_fault(wire: Wire, reply: Reply, fault: Fault, target: str) -> web.StreamResponse | None:
    """The answer with its fault; None if no status line is sent."""
    if fault.kind == "status":
        return await send_status(wire, reply, fault, target)
    if fault.kind in _SILENT:
        await _SILENT[fault.kind](wire)
        return None
    if fault.kind in _ALTERED:
        return await send(wire, _ALTERED[fault.kind](wire, reply, fault))
    return await _DISTORTED[fault.kind](wire, reply, fault)


async def send_status(wire: Wire, reply: Reply, fault: Fault, target: str) -> web.StreamResponse:
    if fault.status < 300:
        return await send(wire, _accepted(reply, fault))
    if fault.status < 400:
        return await _redirect(wire, reply, fault)
    code, waits = _code_and_waits(fault, wire.now())
    error = ApiError(fault.status, code, "Simulated fault").as_reply(target)
    response = await send(wire, error)
    for wait in waits:
        response.headers.add(hdrs.RETRY_AFTER, wait)
    return response


def _accepted(reply: Reply, fault: Fault) -> Reply:
    # 204 cannot have a body; 202 usually has none.
    empty = fault.status == 204 or fault.value == "empty" or (fault.status == 202 and fault.value != "body")
    return replace(reply, status=fault.status, body=None if empty else reply.body)


def _code_and_waits(fault: Fault, now: float) -> tuple[str, list[str]]:
    """The error code and the `Retry-After` headers that a fault's value specifies.

    A word is a code, except with a 429, whose code is fixed, so that any value goes into the header.
    """
    usual = usual_code(fault.status)
    if fault.value in {"", "none"}:
        return usual, []
    if fault.status != 429 and fault.value[0].isalpha() and not _is_date(fault.value):
        return fault.value, []
    return usual, [_retry_after(wait, now) for wait in fault.value.split(",")]


def _is_date(value: str) -> bool:
    return value.startswith(("date+", "date-")) and value[5:].isascii() and value[5:].isdigit()


def _retry_after(value: str, now: float) -> str:
    return formatdate(now + int(value[4:]), usegmt=True) if _is_date(value) else value


async def _reset(wire: Wire) -> None:
    """Abort the connection with an RST instead of a FIN."""
    transport = wire.request.transport
    if transport is None:
        return
    # struct linger has shorts on Windows and ints elsewhere.
    linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()


async def _close(wire: Wire) -> None:
    if wire.request.transport is not None:
        wire.request.transport.close()


async def _hang(wire: Wire) -> None:
    await wire.closing.wait()
    await _close(wire)


_SILENT = {"reset": _reset, "no-reply-close": _close, "hang": _hang}


def _alter(**fields: object) -> Callable[[Wire, Reply, Fault], Reply]:
    def altered(_wire: Wire, reply: Reply, _fault: Fault) -> Reply:
        return replace(reply, body=_members(reply) | fields)

    return altered


def _without_id(_wire: Wire, reply: Reply, _fault: Fault) -> Reply:
    return replace(reply, body={name: value for name, value in _members(reply).items() if name != "id"})


def _foreign_link(_wire: Wire, reply: Reply, fault: Fault) -> Reply:
    link = fault.value or "https://api.attacker.example/api/machines?$skip=10000"
    return replace(reply, body=_members(reply) | {"@odata.nextLink": link})


def _loop_link(wire: Wire, reply: Reply, _fault: Fault) -> Reply:
    return replace(reply, body=_members(reply) | {"@odata.nextLink": str(wire.request.url)})


def _members(reply: Reply) -> dict[str, object]:
    return dict(reply.body) if isinstance(reply.body, dict) else {}


_ALTERED: dict[str, Callable[[Wire, Reply, Fault], Reply]] = {
    "no-id": _without_id,
    "empty-id": _alter(id=""),
    "other-machine": _alter(machineId="0" * 39 + "1"),
    "other-comment": _alter(requestorComment="Somebody else's", creationDateTimeUtc="2020-01-01T00:00:00.0000000Z"),
    "empty-list": _alter(value=[]),
    "foreign-link": _foreign_link,
    "loop-link": _loop_link,
    # These only delay the call; the answer is unchanged.
    "late": lambda _wire, reply, _fault: reply,
    "hold": lambda _wire, reply, _fault: reply,
}


async def _html(wire: Wire, _reply: Reply, _fault: Fault) -> web.StreamResponse:
    return web.Response(text=_LOGIN_PAGE, content_type="text/html", headers={hdrs.DATE: _date(wire)})


async def _redirect(wire: Wire, _reply: Reply, fault: Fault) -> web.StreamResponse:
    headers = {hdrs.LOCATION: fault.value or "/login", hdrs.DATE: _date(wire)}
    return web.Response(status=fault.status or 302, headers=headers)


async def _garbage(wire: Wire, reply: Reply, fault: Fault) -> web.StreamResponse:
    return web.Response(status=reply.status, body=_GARBAGE[fault.value or "bytes"], headers=_headers(wire, reply))


async def _long_header(wire: Wire, reply: Reply, _fault: Fault) -> web.StreamResponse:
    response = await send(wire, reply)
    response.headers["X-Padding"] = "a" * 1_000_000
    return response


async def _cut(wire: Wire, reply: Reply, fault: Fault) -> web.StreamResponse:
    body = json.dumps(reply.body).encode()
    half = body[: len(body) // 2]
    if fault.value != "wire":
        return web.Response(status=reply.status, body=half, headers=_headers(wire, reply))
    response = web.StreamResponse(status=reply.status, headers=_headers(wire, reply))
    response.content_length = len(body)
    await response.prepare(wire.request)
    await response.write(half)
    await _close(wire)
    return response


async def _slow(wire: Wire, reply: Reply, fault: Fault) -> web.StreamResponse:
    async def byte_by_byte() -> AsyncIterator[bytes]:
        for byte in json.dumps(reply.body).encode():
            yield bytes((byte,))
            await wire.pause(float(fault.value or 1))

    return await _stream(wire, reply, byte_by_byte(), {})


async def _huge(wire: Wire, reply: Reply, fault: Fault) -> web.StreamResponse:
    async def endless() -> AsyncIterator[bytes]:
        zipped = zlib.compressobj(wbits=31)  # 31: with a gzip header
        while not wire.closing.is_set():
            block = b" " * _BLOCK
            yield (zipped.compress(block) + zipped.flush(zlib.Z_SYNC_FLUSH)) if fault.value else block
            await asyncio.sleep(0)

    coding = {"Content-Encoding": "gzip"} if fault.value else {}
    return await _stream(wire, reply, endless(), coding)


async def _stream(
    wire: Wire, reply: Reply, chunks: AsyncIterator[bytes], headers: dict[str, str]
) -> web.StreamResponse:
    """Send chunk by chunk until there are no more, the caller disconnects or the simulator closes."""
    response = web.StreamResponse(status=reply.status, headers=[*_headers(wire, reply).items(), *headers.items()])
    await response.prepare(wire.request)
    async for chunk in chunks:
        if wire.closing.is_set():
            await _reset(wire)
            break
        try:
            await response.write(chunk)
        except ConnectionError:
            break
    return response


_DISTORTED = {
    "html": _html,
    "redirect": _redirect,
    "garbage": _garbage,
    "long-header": _long_header,
    "cut": _cut,
    "slow": _slow,
    "huge": _huge,
}


def _headers(wire: Wire, reply: Reply) -> CIMultiDict[str]:
    headers: Iterable[tuple[str, str]] = reply.headers.items()
    known = CIMultiDict[str](headers)
    known[hdrs.DATE] = _date(wire)
    if reply.body is not None:
        known[hdrs.CONTENT_TYPE] = JSON
        known["OData-Version"] = "4.0"
    return known


def _date(wire: Wire) -> str:
    # The simulator's time: a client that compares clocks must see the tenant's clock.
    return formatdate(wire.now(), usegmt=True)
