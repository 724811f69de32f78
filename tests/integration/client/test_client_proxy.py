"""Which way a call takes: the environment's proxy only when asked, the named one always, and neither with our token."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from batch_offboard.jobs import Verdict

if TYPE_CHECKING:
    from tests.integration.client.conftest import Authority, Caller, Handler, Serve

PASSWORD = "canary-password"
PASSPORT = b"Proxy-Authorization: Basic " + b64encode(f"user:{PASSWORD}".encode())


class TunnelProxy:
    """A proxy that lets CONNECT through for whoever shows the passport; it keeps every head that it read."""

    def __init__(self, refuse: str = "") -> None:
        self.heads: list[bytes] = []
        self.url = ""
        self._refuse = refuse
        self._pipes: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        if self._refuse:
            writer.write(f"HTTP/1.1 {self._refuse}\r\nContent-Length: 0\r\n\r\n".encode())
            writer.close()
            return
        host, port = head.split()[1].decode().split(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pipe(source, sink))
            self._pipes.add(task)

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                sink.write(data)
        except ConnectionError:
            pass
        finally:
            sink.transport.abort()

    async def close(self) -> None:
        for task in self._pipes:
            task.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)
        await asyncio.sleep(0)


@asynccontextmanager
async def tunnel_proxy(refuse: str = "") -> AsyncIterator[TunnelProxy]:
    proxy = TunnelProxy(refuse)
    async with await asyncio.start_server(proxy.accept, "127.0.0.1", 0) as server:
        proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield proxy
        await proxy.close()


def surroundings(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """An environment that names a proxy for everything."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


async def test_the_named_proxy_is_used_with_its_password_and_never_sees_the_token(
    serve: "Serve", call: "Caller", accept_all: "Handler", authority: "Authority"
) -> None:
    async with serve(accept_all, tls=authority.server()) as server, tunnel_proxy() as proxy:
        outcome = await call(
            server.url,
            ca_file=authority.ca_file,
            proxy=proxy.url,
            proxy_user="user",
            proxy_password=lambda: PASSWORD,
        )
    assert outcome.verdict is Verdict.SUBMITTED
    assert proxy.heads[0].startswith(f"CONNECT {urlsplit(server.url).netloc} ".encode())
    assert PASSPORT in proxy.heads[0]
    assert b"Bearer" not in proxy.heads[0]
    assert b"Proxy-Authorization" not in server.requests[0]


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "403 Forbidden", "502 Bad Gateway"])
async def test_a_proxy_that_opens_no_tunnel_has_sent_nothing(
    call: "Caller", authority: "Authority", status: str
) -> None:
    async with tunnel_proxy(refuse=status) as proxy:
        outcome = await call(
            "https://127.0.0.1:1",
            ca_file=authority.ca_file,
            proxy=proxy.url,
            proxy_user="user",
            proxy_password=lambda: PASSWORD,
        )
    assert outcome.verdict is Verdict.NOT_SENT
    assert status[:3] in outcome.message
    assert PASSWORD not in repr(outcome)
    assert PASSPORT.decode().split()[-1] not in repr(outcome)


async def test_a_proxy_that_is_down_is_not_sent(call: "Caller", authority: "Authority") -> None:
    outcome = await call("https://127.0.0.1:9", ca_file=authority.ca_file, proxy="http://127.0.0.1:1")
    assert (outcome.verdict, outcome.code) == (Verdict.NOT_SENT, "Unreachable")


async def test_a_407_is_never_taken_for_a_call_that_was_made(serve: "Serve", call: "Caller") -> None:
    async def refuse(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    async with serve(refuse) as proxy:
        outcome = await call(proxy.url)
    assert (outcome.verdict, outcome.code) == (Verdict.NOT_SENT, "ProxyRefused")


async def test_an_unencrypted_call_stays_on_this_computer_whatever_proxy_is_named(
    serve: "Serve", call: "Caller", accept_all: "Handler", monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(accept_all) as server, serve(accept_all) as proxy:
        surroundings(monkeypatch, proxy.url)
        await call(server.url, proxy=proxy.url)
        await call(server.url, use_environment_proxy=True)
    assert (len(server.requests), proxy.connections) == (2, 0)


@pytest.mark.parametrize(("asked", "no_proxy", "tunnels"), [(False, "", 0), (True, "", 1), (True, "127.0.0.1", 0)])
async def test_the_environments_proxy_is_used_when_asked_and_not_excepted(
    serve: "Serve",
    call: "Caller",
    accept_all: "Handler",
    authority: "Authority",
    monkeypatch: pytest.MonkeyPatch,
    asked: bool,
    no_proxy: str,
    tunnels: int,
) -> None:
    async with serve(accept_all, tls=authority.server()) as server, tunnel_proxy() as proxy:
        surroundings(monkeypatch, proxy.url.replace("//", f"//user:{PASSWORD}@"))
        monkeypatch.setenv("no_proxy", no_proxy)
        outcome = await call(server.url, ca_file=authority.ca_file, use_environment_proxy=asked)
    assert outcome.verdict is Verdict.SUBMITTED
    assert len(proxy.heads) == tunnels
    assert all(PASSPORT in head for head in proxy.heads)


@pytest.mark.parametrize("asked", [True, False])
async def test_passwords_of_netrc_never_take_the_tokens_place(
    serve: "Serve",
    call: "Caller",
    accept_all: "Handler",
    authority: "Authority",
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    asked: bool,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login thief password secret\n", encoding="ascii")
    netrc.chmod(0o600)
    async with serve(accept_all, tls=authority.server()) as server, tunnel_proxy() as proxy:
        surroundings(monkeypatch, proxy.url)
        monkeypatch.setenv("NETRC", str(netrc))
        outcome = await call(server.url, ca_file=authority.ca_file, use_environment_proxy=asked)
    assert outcome.verdict is Verdict.SUBMITTED
    assert b"Authorization: Bearer canary-token" in server.requests[0]
