"""The HTTP client of the API. It transfers bytes; `defender.protocol` interprets them.

It never follows a redirect, never retries a request, never sends the token to another host or unencrypted, never
waits beyond the deadline, and never reads more than the request's `largest_answer`.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from batch_offboard.base.errors import ConfigError
from batch_offboard.core.slots import Slot
from batch_offboard.defender import host_names as names
from batch_offboard.defender.connection import Connection
from batch_offboard.defender.protocol import Answer, Fault, NoAnswer, Request
from batch_offboard.defender.transport import Way, missing_root, tls_context, way_to

CONNECT_TIMEOUT = 15.0  # seconds

# A connection that was idle for longer may be closed by the server just as the next request is sent.
KEEP_ALIVE = 15.0  # seconds


class Names(AbstractResolver):
    """Resolves host names for aiohttp with a timeout; `pending` holds the names being resolved.

    aiohttp's own resolver uses the event loop's executor, whose threads the interpreter joins at exit.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = min(names.PATIENCE, seconds)
        self.pending: set[str] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.pending.add(host)
        try:
            found = await names.look_up_async(host, port, self.seconds, family)
        finally:
            self.pending.discard(host)
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(hostname=host, host=each.ip, port=port, family=each.family, proto=each.protocol, flags=flags)
            for each in found
        ]

    async def close(self) -> None: ...


class ApiClient:
    """Sends requests with a bearer token. `token` returns the value to use now."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        origin: URL,
        token: Callable[[], Awaitable[str]],
        way: Way,
        connection: Connection,
        resolver: Names,
    ) -> None:
        self._session = session
        self._origin = origin
        self._token = token
        self._way = way
        self._connection = connection
        self._names = resolver

    async def send(self, request: Request, slot: Slot) -> Answer | NoAnswer:
        """Send one request, using up one slot of the quota, and return the answer. Raises ConfigError for another host
        than the configured one."""
        slot.use()
        url = URL(request.url, encoded=True)
        if url.origin() != self._origin:
            raise ConfigError(
                f"A request for {url.host} was not sent, since the configuration names {self._origin.host}; "
                "check api_url."
            )
        headers = {**request.headers, "Authorization": f"Bearer {await self._token()}"}
        try:
            async with self._session.request(
                request.method,
                url,
                data=request.body,
                headers=headers,
                allow_redirects=False,
                proxy=self._way.proxy,
                proxy_headers=self._way.proxy_headers,
                timeout=_timeout(self._connection.timeout * request.patience),
                trace_request_ctx=slot,
            ) as response:
                return await _answer(response, request.largest_answer)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return self._no_answer(error, sent=slot.sent)

    def _no_answer(self, error: BaseException, *, sent: bool) -> NoAnswer:
        """Before the first byte was sent, the call was certainly not made; after it, the result is unknown."""
        words, proxy = _words(error), self._way.proxy
        if sent:
            silent = isinstance(error, TimeoutError)
            why = "no answer within the timeout" if silent else "the connection broke before the answer"
            return NoAnswer(Fault.LOST, f"{why.capitalize()} ({words}); the call may have been carried out.")
        if isinstance(error, TimeoutError) and self._names.pending:  # the call's deadline came before the resolver's
            words = names.not_resolved(min(self._names.pending), self._names.seconds)
        if proxy is not None and is_of_proxy(error, proxy):
            words = f"the proxy {proxy.host}:{proxy.port} did not connect: {words}"
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            words += missing_root(error.certificate_error, self._connection.ca_file)
        untrusted = isinstance(error, (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError))
        return NoAnswer(Fault.NO_TRUST if untrusted else Fault.UNREACHABLE, words)


@asynccontextmanager
async def api_client(
    api_url: str, token: Callable[[], Awaitable[str]], connection: Connection
) -> AsyncIterator[ApiClient]:
    """A client for one API host, closed at the end of the block."""
    resolver = Names(connection.timeout)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            ssl=tls_context(connection.ca_file),
            limit=connection.workers + 1,
            keepalive_timeout=KEEP_ALIVE,
            resolver=resolver,
        ),
        trace_configs=[_watch_for_first_byte()],
        middlewares=[_once],
        # `way_to` reads the environment's proxy: with trust_env, aiohttp would also take passwords from .netrc.
        trust_env=False,
        raise_for_status=False,
        auto_decompress=True,
        cookie_jar=aiohttp.DummyCookieJar(),
        max_line_size=16384,
        max_field_size=16384,
    )
    origin = URL(api_url).origin()
    async with session:
        yield ApiClient(session, origin, token, way_to(origin, connection), connection, resolver)
        # aiohttp closes TLS connections one iteration of the loop later (docs.aiohttp.org, graceful shutdown).
        await asyncio.sleep(0)


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp retries a GET by itself when the connection breaks, and has no option against it: so the errors that it
    retries are replaced by one that it does not. A second request would have neither slot nor intent."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise  # no connection was made; aiohttp does not retry this one
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError(_words(error)) from error


def _watch_for_first_byte() -> aiohttp.TraceConfig:
    """Mark the request's slot as sent just before its headers are written to the socket."""
    watch = aiohttp.TraceConfig()

    async def note(_session: Any, context: SimpleNamespace, _sent: Any) -> None:
        slot: Slot = context.trace_request_ctx
        if slot.is_too_late():
            raise TimeoutError("the first byte could not be sent soon enough after the call was recorded")
        slot.sent = True

    watch.on_request_headers_sent.append(note)
    return watch


def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    """A deadline for the whole call, however slowly the answer arrives."""
    return aiohttp.ClientTimeout(total=seconds, connect=None, sock_connect=min(CONNECT_TIMEOUT, seconds))


async def _answer(response: aiohttp.ClientResponse, largest: int) -> Answer:
    """The answer, with the part of the body that arrived: the status counts even if the body is cut off."""
    body, complete = bytearray(), True
    try:
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > largest:
                complete = False
                break
    except (aiohttp.ClientError, TimeoutError, OSError):
        complete = False
    if not complete:
        response.close()
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in response.headers.items():
        headers[name.lower()] = (*headers.get(name.lower(), ()), value)
    return Answer(response.status, headers, bytes(body[:largest]), complete)


def is_of_proxy(error: BaseException, proxy: URL) -> bool:
    """Whether the proxy could not be reached or refused to connect. A timeout before the first byte is the proxy's,
    since it was the proxy that was asked to connect."""
    if isinstance(error, (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError, TimeoutError)):
        return True
    return isinstance(error, aiohttp.ClientConnectorError) and (error.host, error.port) == (proxy.host, proxy.port)


def _words(error: BaseException) -> str:
    """The innermost reason on one line. An exception's text may contain the proxy's address, never its password."""
    inner = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    text = str(getattr(inner, "strerror", None) or inner) or type(error).__name__
    return " ".join(text.split())[:200]
