"""The proxy of a call: the environment's only if configured, a named one always, and neither receives our token."""

import asyncio
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from batch_offboard.base.errors import ConfigError
from batch_offboard.core.jobs import Verdict
from tests.tunnel_proxy import surroundings, tunnel_proxy

if TYPE_CHECKING:
    from tests.integration.defender.client.conftest import Authority, Caller, Handler, Serve

PASSWORD = "canary-password"
PASSPORT = b"Proxy-Authorization: Basic " + b64encode(f"user:{PASSWORD}".encode())


@pytest.mark.fault(102, "The proxy never sees the token.")
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


@pytest.mark.fault(102, "Not sent; the proxy is named.")
@pytest.mark.parametrize("in_environment", [False, True])
async def test_a_proxy_that_is_down_is_called_a_proxy_and_nothing_is_sent(
    call: "Caller", authority: "Authority", monkeypatch: pytest.MonkeyPatch, in_environment: bool
) -> None:
    proxy = "http://127.0.0.1:1"
    surroundings(monkeypatch, proxy)
    way: dict[str, Any] = {"use_environment_proxy": True} if in_environment else {"proxy": proxy}
    outcome = await call("https://127.0.0.1:9", ca_file=authority.ca_file, **way)
    assert (outcome.verdict, outcome.code) == (Verdict.NOT_SENT, "Unreachable")
    assert outcome.message.startswith("the proxy 127.0.0.1:1 did not connect: ")


async def test_a_server_that_is_down_behind_no_proxy_is_not_called_one(call: "Caller", authority: "Authority") -> None:
    outcome = await call("https://127.0.0.1:1", ca_file=authority.ca_file)
    assert (outcome.code, "proxy" in outcome.message) == ("Unreachable", False)


async def test_a_proxy_that_says_nothing_is_called_a_proxy(call: "Caller", authority: "Authority") -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
        proxy = f"127.0.0.1:{silent.sockets[0].getsockname()[1]}"
        outcome = await call("https://127.0.0.1:9", ca_file=authority.ca_file, proxy=f"http://{proxy}", timeout=0.1)
    assert (outcome.verdict, outcome.code) == (Verdict.NOT_SENT, "Unreachable")
    assert outcome.message.startswith(f"the proxy {proxy} did not connect: ")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (f"http://ann:{PASSWORD}#1@proxy:8080", "has a password with a character"),
        (f"socks5://ann:{PASSWORD}@proxy:1080", "is a SOCKS proxy, which is not supported"),
        (f"http://proxy:{PASSWORD}", "has a port"),
    ],
)
@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY"])
async def test_a_variable_that_names_no_usable_proxy_is_named_without_its_value(
    call: "Caller", monkeypatch: pytest.MonkeyPatch, variable: str, address: str, words: str
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, address)
    with pytest.raises(ConfigError) as raised:
        await call("https://127.0.0.1:9", use_environment_proxy=True)
    assert str(raised.value).startswith(f"The proxy of the variable {variable} {words}")
    assert PASSWORD not in str(raised.value)


@pytest.mark.fault(102, "Not sent.")
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
