"""The HTTP session that msal uses, and the only function that makes requests with it.

These requests contain a secret: they go to the sign-in's own host only, never follow a redirect, and use the TLS trust
and the proxy of the API's calls. The time and the size of every answer are limited.
"""

import io
import json
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msal
import requests
import urllib3
from requests.adapters import HTTPAdapter
from yarl import URL

from batch_offboard.base.errors import BatchOffboardError, SignInError, TransientSignInError
from batch_offboard.base.secret import Secret
from batch_offboard.base.text import one_line
from batch_offboard.defender.connection import Connection
from batch_offboard.defender.host_names import UnresolvedError, look_up
from batch_offboard.defender.signin.refusals import Asked, redirected, refusal, sent_elsewhere, unreadable
from batch_offboard.defender.signin.renewal import Grant
from batch_offboard.defender.transport import Way, missing_root, tls_context, way_to

MAX_ANSWER = 256 * 1024  # bytes; Entra's have a few thousand
PATIENCE = 30.0  # seconds for one answer
CONNECT_TIMEOUT = 15.0  # seconds

# Bytes between two checks of the deadline: the read timeout of requests starts again with every byte received.
CHUNK = 1

Answer = Mapping[str, object]


@dataclass(slots=True)
class Line:
    """How to reach a sign-in service, and the state that is kept between requests.

    `origin` is the only host that may be called; None if the machine itself names it. `refuse` makes the error of a
    refusal. `http_cache` is msal's, with the service's metadata and every Retry-After. `status` is that of the last
    answer, and `refused` its JSON if it was a refusal: msal does not report why it gets no metadata.
    """

    asked: Asked
    connection: Connection
    origin: URL | None
    connect_timeout: float = CONNECT_TIMEOUT
    refuse: Callable[[Answer, int | None, Asked, Iterable[str]], SignInError] = refusal
    http_cache: dict[str, object] = field(default_factory=dict, repr=False)
    status: int | None = None
    refused: Answer = field(default_factory=dict, repr=False)

    def open(self) -> "SignInSession":
        if self.origin is None:
            return SignInSession(self, tls_context(self.connection.ca_file), Way())
        return SignInSession(self, tls_context(self.connection.ca_file), way_to(self.origin, self.connection))

    def note(self, response: requests.Response) -> None:
        self.status, self.refused = response.status_code, {}
        if response.status_code >= 400:
            with suppress(ValueError, RecursionError):
                said = json.loads(response.content)
                self.refused = said if isinstance(said, dict) else {}


class SignInSession(requests.Session):
    """The HTTP client of msal; a context manager."""

    def __init__(self, line: Line, tls: ssl.SSLContext, way: Way) -> None:
        super().__init__()
        self._line = line
        self.trust_env = False  # otherwise requests takes proxies, roots and passwords (.netrc) from the environment
        self.max_redirects = 0  # for the session that msal derives from this one in a Service Fabric cluster
        self.proxies = {"https": str(way.proxy)} if way.proxy else {}
        adapter = _Adapter(tls, way.proxy_headers)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def request(self, method: str, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        self._check_host(str(url))
        patience = min(PATIENCE, self._line.connection.timeout)
        end = time.monotonic() + patience
        kwargs |= {
            "allow_redirects": False,
            "stream": True,
            "timeout": (min(self._line.connect_timeout, patience), patience),
        }
        with super().request(method, url, *args, **kwargs) as response:
            if response.is_redirect:
                raise redirected(urlsplit(response.headers["Location"]).netloc, self._line.asked)
            whole = _whole(response, end, self._line.asked)
        self._line.note(whole)
        return whole

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: requests prepares the redirected request even if it must not follow it."""

    def _check_host(self, url: str) -> None:
        """Raise SignInError for another host: the service's metadata name the URLs, and may name a foreign one."""
        if self._line.origin is not None and URL(url).origin() != self._line.origin:
            raise sent_elsewhere(str(URL(url).origin()), self._line.asked)


class _PlainConnection(urllib3.connection.HTTPConnection):
    """Resolves the host name within the connect timeout, which urllib3 applies only after resolving."""

    def _new_conn(self) -> socket.socket:
        """Connect to the first address that accepts. TLS still checks the name."""
        name, last = self._dns_host, None
        seconds = self.timeout if isinstance(self.timeout, (int, float)) else CONNECT_TIMEOUT
        try:
            for address in look_up(name, self.port, seconds):
                self._dns_host = address.ip
                try:
                    return super()._new_conn()
                except urllib3.exceptions.HTTPError as error:
                    last = error
        except UnresolvedError as error:
            raise urllib3.exceptions.NewConnectionError(self, str(error.strerror)) from error
        finally:
            self._dns_host = name
        raise last or urllib3.exceptions.NewConnectionError(self, f"{name} has no address")


class _TlsConnection(_PlainConnection, urllib3.connection.HTTPSConnection):
    pass


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS = {"http": _PlainPool, "https": _TlsPool}


class _Adapter(HTTPAdapter):
    """Trusts only what our TLS context trusts."""

    def __init__(self, tls: ssl.SSLContext, proxy_headers: Mapping[str, str]) -> None:
        self._tls, self._proxy_headers = tls, proxy_headers
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._tls, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, ssl_context=self._tls, proxy_ssl_context=self._tls, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:  # noqa: ARG002  # the URL holds no password
        return dict(self._proxy_headers)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ARG002  # as requests calls it
        """Without certifi's roots, which requests would load into the context beside the system's."""
        conn.cert_reqs = "CERT_REQUIRED"


def ask(line: Line, question: Callable[[SignInSession], Answer | None], hidden: Iterable[str] = ()) -> Grant:
    """The token of one request through msal. `hidden` are secrets that no message may show.

    Raises `TransientSignInError` if a retry may help, `SignInError` for a refusal, `ConfigError` for an unusable
    ca_file.
    """
    return grant_in(answer_to(line, question, hidden) or {}, line, hidden)


def grant_in(answer: Answer, line: Line, hidden: Iterable[str] = ()) -> Grant:
    token = answer.get("access_token")
    if not isinstance(token, str) or not token:
        raise line.refuse(answer, line.status, line.asked, hidden)
    return Grant(Secret(token), answer.get("expires_in"))


def answer_to(
    line: Line, question: Callable[[SignInSession], Answer | None], hidden: Iterable[str] = ()
) -> Answer | None:
    """What msal returns, a token or a refusal. Every exception of msal becomes a `SignInError` of one sentence."""
    _disable_msal_logs()
    line.refused = {}
    try:
        with line.open() as session:
            answer = question(session)
    except BatchOffboardError:
        raise
    except requests.RequestException as error:
        raise _network_trouble(error, line) from None
    except Exception as error:  # noqa: BLE001  # msal passes on its dependencies' exceptions, with answers in the text
        raise _odd_answer(error, line, hidden) from None
    if answer is not None and not isinstance(answer, dict):
        raise unreadable(line.status, "no JSON object", line.asked)
    return answer


def _disable_msal_logs() -> None:
    """Disable msal's logs: its errors contain whole answers, and its debug messages what was sent."""
    for name in ("msal", "msal_extensions"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())


def _whole(response: requests.Response, end: float, asked: Asked) -> requests.Response:
    """The answer with its whole body. Raises if it is too large, or arrives after `end` (on the monotonic clock)."""
    body = bytearray()
    for chunk in response.iter_content(CHUNK):
        body += chunk
        if len(body) > MAX_ANSWER:
            raise unreadable(response.status_code, "larger than 256 KiB", asked)
        if time.monotonic() > end:
            raise requests.Timeout("the answer was not complete within the timeout")
    whole = requests.Response()
    whole.status_code = response.status_code
    whole.headers = response.headers
    whole.url = response.url
    whole.encoding = "utf-8"
    whole.raw = io.BytesIO(bytes(body))
    return whole


def _odd_answer(error: Exception, line: Line, hidden: Iterable[str]) -> SignInError:
    """For an answer that msal cannot parse. The exception's text is not shown, since it quotes the answer."""
    if line.refused or line.status == 429 or isinstance(error, msal.exceptions.MsalServiceError):
        return line.refuse(line.refused, line.status, line.asked, hidden)
    detail = "no JSON" if isinstance(error, ValueError) else type(error).__name__
    return unreadable(line.status, detail, line.asked)


def _network_trouble(error: requests.RequestException, line: Line) -> TransientSignInError:
    asked, cause = line.asked, _innermost(error)
    said = _words(cause) + missing_root(cause, line.connection.ca_file)
    if isinstance(error, requests.exceptions.ProxyError):
        return TransientSignInError(
            f"The proxy on the way to {asked.host} did not connect ({said}); check network.proxy, its user and "
            "its password."
        )
    if isinstance(error, requests.exceptions.SSLError):
        return TransientSignInError(
            f"The certificate of {asked.host} is not trusted ({said}); if your network inspects TLS, name its root "
            "certificate in network.ca_file."
        )
    if isinstance(error, requests.exceptions.Timeout):
        said = "no answer within the timeout"
    return TransientSignInError(f"{asked.host} cannot be reached ({said}); {asked.remedy}.")


def _innermost(error: BaseException) -> BaseException:
    """The original exception, which urllib3 wraps several times."""
    for _ in range(8):
        inner = (error.__cause__, getattr(error, "reason", None), getattr(error, "original_error", None), *error.args)
        deeper = next((each for each in inner if isinstance(each, BaseException)), None)
        if deeper is None:
            break
        error = deeper
    return error


def _words(error: BaseException) -> str:
    text = getattr(error, "verify_message", None) or getattr(error, "strerror", None) or str(error)
    return one_line(str(text))[:200] or type(error).__name__
