"""Webhooks on loopback: what is tried again, what is not, and how long it takes at most."""

import asyncio
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest
import trustme
from aiohttp import web

from batch_offboard.base.secret import Secret
from batch_offboard.defender.connection import Connection
from batch_offboard.notices.attempts import ATTEMPTS, NotDelivered
from batch_offboard.notices.webhook import post

if TYPE_CHECKING:
    from tests.integration.notices.conftest import Authority, FixedClock, Hook, OpenHook

NOW = 1_795_500_000.0
DEADLINE = 30.0


def answer(status: int, **headers: str) -> web.Response:
    return web.Response(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})


async def posted(hook: "Hook", clock: "FixedClock", url: str | None = None, **connection: object) -> str:
    """Empty if it was delivered, else why not."""
    way = Connection(**connection)  # type: ignore[arg-type]  # the caller names its fields
    said = ""
    try:
        await post(b'{"a": 1}', Secret(url or hook.url), way, DEADLINE, clock)
    except NotDelivered as error:
        said = str(error)
    assert "sig=" not in said
    assert "/hook" not in said
    return said


def waits(hook: "Hook") -> list[int]:
    """Whole seconds between the attempts."""
    return [round(later - sooner) for sooner, later in zip(hook.times, hook.times[1:], strict=False)]


async def test_a_notice_arrives_once_as_it_is_at_the_url_as_it_is(open_hook: "OpenHook", clock: "FixedClock") -> None:
    async with open_hook(answer(202)) as hook:
        assert await posted(hook, clock) == ""
    assert hook.bodies == [b'{"a": 1}']
    assert hook.paths == ["/hook?sig=a%2Fb%3D"]  # a signature survives no other spelling
    assert hook.headers[0]["Content-Type"] == "application/json; charset=utf-8"


@pytest.mark.looptime
@pytest.mark.parametrize("trouble", [answer(500), answer(503), answer(429), "drop"])
async def test_what_may_pass_is_tried_again(
    open_hook: "OpenHook", clock: "FixedClock", trouble: web.Response | str
) -> None:
    async with open_hook(trouble, trouble, answer(200)) as hook:
        assert await posted(hook, clock) == ""
    assert waits(hook) == [1, 2]


@pytest.mark.looptime
async def test_a_server_that_goes_on_failing_is_given_up(open_hook: "OpenHook", clock: "FixedClock") -> None:
    async with open_hook(answer(502)) as hook:
        assert await posted(hook, clock) == "the server answered 502"
    assert len(hook.bodies) == ATTEMPTS
    assert waits(hook) == [1, 2, 4]


@pytest.mark.looptime
@pytest.mark.parametrize(("header", "wait"), [("7", 7), (formatdate(NOW + 9, usegmt=True), 9)])
async def test_retry_after_is_obeyed_as_seconds_and_as_a_date(
    open_hook: "OpenHook", clock: "FixedClock", header: str, wait: int
) -> None:
    async with open_hook(answer(429, Retry_After=header), answer(200)) as hook:
        assert await posted(hook, clock) == ""
    assert waits(hook) == [wait]


@pytest.mark.looptime
@pytest.mark.parametrize("header", ["31", "86400", "soon", "-1"])
async def test_a_wait_that_would_outlast_the_deadline_is_not_begun(
    open_hook: "OpenHook", clock: "FixedClock", header: str
) -> None:
    start = asyncio.get_running_loop().time()
    async with open_hook(answer(429, Retry_After=header)) as hook:
        assert await posted(hook, clock) == "the server answered 429"
        assert asyncio.get_running_loop().time() - start < 1
    assert len(hook.bodies) == 1


@pytest.mark.looptime
async def test_a_server_that_never_answers_costs_the_deadline_and_no_more(
    open_hook: "OpenHook", clock: "FixedClock"
) -> None:
    start = asyncio.get_running_loop().time()
    async with open_hook("hang") as hook:
        assert await posted(hook, clock) == "no answer came within 30 s"
        assert asyncio.get_running_loop().time() - start == pytest.approx(DEADLINE, abs=0.5)
    assert len(hook.bodies) == 1


@pytest.mark.looptime
async def test_the_deadline_is_of_all_attempts_together(open_hook: "OpenHook", clock: "FixedClock") -> None:
    start = asyncio.get_running_loop().time()
    async with open_hook(answer(500), "hang") as hook:
        assert await posted(hook, clock) == "the server answered 500 within 30 s"
        assert asyncio.get_running_loop().time() - start == pytest.approx(DEADLINE, abs=0.5)
    assert len(hook.bodies) == 2


@pytest.mark.looptime
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(open_hook: "OpenHook", clock: "FixedClock", status: int) -> None:
    async with open_hook(answer(200)) as elsewhere, open_hook(answer(status, Location=elsewhere.url)) as hook:
        said = await posted(hook, clock)
    assert said == f"the server answered {status}, a redirect, which is not followed"
    assert (len(hook.bodies), elsewhere.bodies) == (1, [])


@pytest.mark.looptime
@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413])
async def test_a_refusal_is_final(open_hook: "OpenHook", clock: "FixedClock", status: int) -> None:
    async with open_hook(answer(status)) as hook:
        assert await posted(hook, clock) == f"the server answered {status}; check the webhook's URL and kind"
    assert len(hook.bodies) == 1


@pytest.mark.looptime
async def test_an_endless_answer_is_not_read(open_hook: "OpenHook", clock: "FixedClock") -> None:
    async with open_hook(web.Response(status=200, body=b"x" * 10_000_000)) as hook:
        assert await posted(hook, clock) == ""


@pytest.mark.looptime
async def test_nobody_at_the_other_end_is_said_without_the_address(open_hook: "OpenHook", clock: "FixedClock") -> None:
    async with open_hook(answer(200)) as hook:
        pass
    assert (await posted(hook, clock)).startswith("the server cannot be reached (")


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/x",
        "ftp://127.0.0.1/x",
        "https://",
        "hooks.example/x",
        "https://user:canary@hooks.example/x",
        "https://hooks.example/\u00e9",
        "https://[::1/x",
        "https://hooks.example:port/x",
    ],
)
async def test_a_url_that_is_not_safe_is_not_called_and_not_shown(
    open_hook: "OpenHook", clock: "FixedClock", url: str
) -> None:
    async with open_hook(answer(200)) as hook:
        said = await posted(hook, clock, url)
    assert said == "the secret is not an https URL (plain http only to this computer)"
    assert hook.bodies == []


# -- TLS and proxies --


async def test_a_certificate_of_the_named_authority_is_trusted(
    open_hook: "OpenHook", clock: "FixedClock", authority: "Authority"
) -> None:
    async with open_hook(answer(200), tls=authority.server()) as hook:
        assert await posted(hook, clock, ca_file=authority.ca_file) == ""
    assert len(hook.bodies) == 1


@pytest.mark.parametrize("fault", ["unknown authority", "wrong host", "unknown to the system"])
async def test_a_certificate_that_proves_nothing_gets_no_notice(
    open_hook: "OpenHook", clock: "FixedClock", authority: "Authority", fault: str
) -> None:
    side = authority.server("elsewhere.example" if fault == "wrong host" else "127.0.0.1")
    if fault == "unknown authority":
        trustme.CA().cert_pem.write_to_path(authority.ca_file)
    ca_file = None if fault == "unknown to the system" else authority.ca_file
    async with open_hook(answer(200), tls=side) as hook:
        said = await posted(hook, clock, ca_file=ca_file)
    assert said == "the server's certificate is not trusted; see network.ca_file"
    assert hook.bodies == []


async def test_the_configured_proxy_is_asked_with_its_password(open_hook: "OpenHook", clock: "FixedClock") -> None:
    asked: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server, open_hook(answer(200)) as hook:
        way = {
            "proxy": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
            "proxy_user": "me",
            "proxy_password": lambda: "canary",
        }
        said = await posted(hook, clock, "https://hooks.example/hook?sig=1", **way)
    assert said == "the proxy answered 407"
    assert asked[0].startswith(b"CONNECT hooks.example:443 ")
    assert b"Proxy-Authorization: Basic bWU6Y2FuYXJ5" in asked[0]
    assert hook.bodies == []
