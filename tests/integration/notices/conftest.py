"""Servers on loopback that take notices: a webhook with scripted answers, and a small mail server with TLS."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from batch_offboard.base.clock import Moment
from batch_offboard.base.errors import ExitCode
from batch_offboard.notices import attempts
from batch_offboard.notices.notice import Happening, Notice

NOW = 1_795_500_000.0
HANG = "hang"


class FixedClock:
    """The calendar stands still; waiting is the event loop's business."""

    def now(self) -> Moment:
        return Moment(NOW, 0.0, "boot")


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def notice() -> Callable[..., Notice]:
    def make(**changes: Any) -> Notice:
        values: dict[str, Any] = {
            "happening": Happening.FINISHED,
            "headline": "Batch b-1: 2 submitted.",
            "exit_code": ExitCode.OK,
            "at": NOW,
            "machine": "ops-1",
            "batches": ("b-1",),
            "counts": {"submitted": 2},
        }
        return Notice(**(values | changes))

    return make


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Further attempts follow without a pause, for loops whose time is real."""
    monkeypatch.setattr(attempts, "BACKOFF", 0.0)


@dataclass(frozen=True)
class Authority:
    """A private certificate authority, and the file that makes us trust it."""

    ca: trustme.CA
    ca_file: Path

    def server(self, host: str = "127.0.0.1") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(host).configure_cert(context)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    ca = trustme.CA()
    ca_file = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(ca_file)
    return Authority(ca, ca_file)


# -- a webhook --


@dataclass
class Hook:
    """What arrived, and when by the loop's time."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)


Answers = Iterator[web.Response | str]
OpenHook = Callable[..., AbstractAsyncContextManager[Hook]]


@asynccontextmanager
async def _open_hook(*answers: web.Response | str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Hook]:
    """Gives each answer once, the last for ever; "hang" is never answered, "drop" breaks the connection."""
    hook, script = Hook(), list(answers)

    async def answer(request: web.Request) -> web.StreamResponse:
        hook.bodies.append(await request.read())
        hook.headers.append(dict(request.headers))
        hook.paths.append(request.raw_path)
        hook.times.append(asyncio.get_running_loop().time())
        given = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(given, web.Response):
            return web.Response(status=given.status, headers=given.headers, body=given.body)
        if given == "drop" and request.transport is not None:
            request.transport.abort()
            return web.Response()
        await asyncio.sleep(1_000_000)
        raise AssertionError

    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    hook.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/hook?sig=a%2Fb%3D"
    try:
        yield hook
    finally:
        await runner.cleanup()


@pytest.fixture
def open_hook() -> OpenHook:
    return _open_hook


# -- a mail server --


@dataclass
class Post:
    """A mail server: what it is told to be like, and what it took."""

    port: int = 0
    offers: tuple[str, ...] = ("STARTTLS", "AUTH PLAIN")
    users: dict[str, str] = field(default_factory=dict)
    refuse: dict[str, list[str]] = field(
        default_factory=dict
    )  # a verb's answers, one after another, then its usual one
    tls: ssl.SSLContext | None = None
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    verbs: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


class _Talk:
    """One connection, line by line, as RFC 5321 has it."""

    def __init__(self, post: Post, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.post, self.reader, self.writer = post, reader, writer
        self.encrypted = writer.get_extra_info("ssl_object") is not None
        self.sender, self.recipients = "", list[str]()

    async def run(self) -> None:
        await self.say("220 post.example ESMTP")
        while line := (await self.reader.readline()).decode("ascii", "replace").rstrip("\r\n"):
            verb = line.split(":")[0].split(" ")[0].upper()
            self.post.verbs.append(verb)
            refusals = self.post.refuse.get(verb, [])
            if refusals:
                await self.say(refusals.pop(0))
            elif not await self.obey(verb, line):
                return

    async def say(self, text: str) -> None:
        self.writer.write(f"{text}\r\n".encode())
        await self.writer.drain()

    async def obey(self, verb: str, line: str) -> bool:
        match verb:
            case "EHLO" | "HELO":
                offers = [each for each in self.post.offers if not (self.encrypted and each == "STARTTLS")]
                words = ["post.example", *offers]
                for word in words[:-1]:
                    await self.say(f"250-{word}")
                await self.say(f"250 {words[-1]}")
            case "STARTTLS":
                await self.say("220 go ahead")
                assert self.post.tls is not None
                await self.writer.start_tls(self.post.tls)
                self.encrypted = True
            case "AUTH":
                await self.say(self.judged(line))
            case "MAIL":
                self.sender = line.partition("<")[2].partition(">")[0]
                await self.say("250 ok")
            case "RCPT":
                self.recipients.append(line.partition("<")[2].partition(">")[0])
                await self.say("250 ok")
            case "DATA":
                await self.take()
            case "QUIT":
                await self.say("221 bye")
                return False
            case _:
                await self.say("250 ok")
        return True

    def judged(self, line: str) -> str:
        _, user, password = base64.b64decode(line.split(" ")[2]).decode("utf-8").split("\0")
        return "235 welcome" if self.post.users.get(user) == password else f"535 no {password} here"

    async def take(self) -> None:
        await self.say("354 go ahead")
        data = await self.reader.readuntil(b"\r\n.\r\n")
        body = data.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
        message = message_from_bytes(body, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.post.mails.append(message)
        self.post.envelopes.append((self.sender, self.recipients))
        self.post.encrypted.append(self.encrypted)
        await self.say("250 taken")


OpenPost = Callable[..., AbstractAsyncContextManager[Post]]


@asynccontextmanager
async def _open_post(post: Post | None = None, *, implicit: bool = False) -> AsyncIterator[Post]:
    post = post or Post(offers=("8BITMIME",))
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _Talk(post, reader, writer).run()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(talk(reader, writer))
        talks.add(task)
        task.add_done_callback(talks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=post.tls if implicit else None)
    post.port = server.sockets[0].getsockname()[1]
    try:
        yield post
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await asyncio.sleep(0)


@pytest.fixture
def open_post() -> OpenPost:
    return _open_post
