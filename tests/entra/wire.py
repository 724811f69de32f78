"""A small HTTP(S) server on loopback in threads of its own, for clients that block; knows nothing of what it serves."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

PATIENCE = 30.0  # seconds until a client that says nothing is given up


@dataclass(frozen=True)
class Request:
    """One request as it arrived; names of headers are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    form: Mapping[str, str]


@dataclass(frozen=True)
class Reply:
    """What goes back: `body` as it is if it is bytes, else as JSON.

    `hang` says nothing until the server is closed, `drip` sends a byte now and then for as long.
    """

    status: int = 200
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False
    drip: bool = False

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Served:
    """Where it is, and what arrived so far."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)


@contextmanager
def serving(answer: Callable[[Request], Reply], tls: ssl.SSLContext | None = None) -> Iterator[Served]:
    """A server whose replies `answer` makes, in threads; it may be called by several of them at once."""
    served, closing = Served(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        timeout = PATIENCE

        def do_GET(self) -> None:
            self._reply()

        def do_POST(self) -> None:
            self._reply()

        def _reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            request = Request(
                self.command,
                parts.path,
                dict(parse_qsl(parts.query)),
                {name.lower(): value for name, value in self.headers.items()},
                dict(parse_qsl(body.decode(), keep_blank_values=True)),
            )
            served.requests.append(request)
            reply = answer(request)
            if reply.hang:
                closing.wait(PATIENCE)
                return
            self.send_response_only(reply.status)
            usual = {"Content-Type": "application/json", "Date": self.date_time_string()}
            for name, value in {**usual, **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            while reply.drip and not closing.wait(0.01):
                self.wfile.write(b" ")
            self.wfile.write(reply.content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as the library names it
            """Nobody reads it."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that breaks off, or does not trust us, is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    served.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
