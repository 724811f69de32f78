"""A client on bare sockets, so that no library corrects what the simulator sends."""

import asyncio
from collections.abc import Callable, Coroutine
from urllib.parse import urlsplit

import pytest


async def _raw_post(url: str, path: str, *, body: bytes = b'{"Comment": "x"}', limit: int = 1 << 21) -> bytes:
    """Send one POST and return what is received, up to `limit` bytes, until the server closes the connection."""
    return await _exchange(url, "POST", path, body, limit)


async def _raw_get(url: str, path: str, *, limit: int = 1 << 21) -> bytes:
    return await _exchange(url, "GET", path, b"", limit)


async def _exchange(url: str, method: str, path: str, body: bytes, limit: int) -> bytes:
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    head = f"{method} {path} HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: Bearer x\r\nConnection: close\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    try:
        answer = b""
        while len(answer) < limit and (piece := await reader.read(1 << 16)):
            answer += piece
        return answer
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


@pytest.fixture
def raw_post() -> Callable[..., Coroutine[None, None, bytes]]:
    return _raw_post


@pytest.fixture
def raw_get() -> Callable[..., Coroutine[None, None, bytes]]:
    return _raw_get
