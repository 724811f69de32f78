"""The client, and servers on bare sockets, which can send answers that no library would."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from batch_offboard.base.clock import Moment
from batch_offboard.core.jobs import CallOutcome
from batch_offboard.core.slots import Slot
from batch_offboard.defender.client import ApiClient, api_client
from batch_offboard.defender.connection import Connection
from batch_offboard.defender.protocol import Answer, NoAnswer, classify, offboard_request

DEVICE = "a" * 40
TOKEN = "canary-token"
NOW = 1_795_500_000.0

Handler = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class WireServer:
    """What was received: complete requests, and the number of connections."""

    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0


Serve = Callable[..., AbstractAsyncContextManager[WireServer]]


@asynccontextmanager
async def _serve(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[WireServer]:
    """Pass each complete request to `handler`, on every connection, until the handler or the client closes it."""
    seen = WireServer()
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        try:
            while not writer.is_closing() and (request := await read_request(reader)):
                seen.requests.append(request)
                await handler(request, writer)
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(talk(reader, writer))
        talks.add(task)
        task.add_done_callback(talks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    seen.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield seen
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await asyncio.sleep(0)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """One request with its body, or None if the client has disconnected."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        return head + await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


@pytest.fixture
def serve() -> Serve:
    return _serve


@dataclass
class Caller:
    """Calls a server as a run would, each time with a new slot, and classifies the answer."""

    connection: Connection = field(default_factory=Connection)
    raw: list[Answer | NoAnswer] = field(default_factory=list)

    @asynccontextmanager
    async def client(self, url: str) -> AsyncIterator[ApiClient]:
        async def token() -> str:
            return TOKEN

        async with api_client(url, token, self.connection) as client:
            yield client

    async def send(self, client: ApiClient, url: str) -> CallOutcome:
        answer = await client.send(offboard_request(url, DEVICE, "a comment"), Slot(Moment(0, 0, "")))
        self.raw.append(answer)
        return classify(answer, DEVICE, NOW)

    async def __call__(self, url: str, **changes: object) -> CallOutcome:
        """One call on a connection of its own."""
        if changes:
            self.connection = Connection(**changes)  # type: ignore[arg-type]  # the caller names its fields
        async with self.client(url) as client:
            return await self.send(client, url)


@pytest.fixture
def call() -> Caller:
    return Caller()


@dataclass(frozen=True)
class Authority:
    """A private certificate authority and the file that makes the client trust it."""

    ca: trustme.CA
    ca_file: Path

    def server(self, host: str = "127.0.0.1", **validity: object) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(host, **validity).configure_cert(context)  # type: ignore[arg-type]  # not_after and the like
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    ca = trustme.CA()
    ca_file = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(ca_file)
    return Authority(ca, ca_file)


def reply(body: bytes, *fields: str, status: str = "201 Created") -> bytes:
    """A well-formed answer."""
    lines = (f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *fields)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


ACCEPTED = reply(b'{"id": "action-1", "type": "Offboard", "status": "Pending"}')


@pytest.fixture
def accepted() -> bytes:
    """The answer to a successful call."""
    return ACCEPTED


@pytest.fixture
def accept_all() -> Handler:
    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(ACCEPTED)

    return answer
