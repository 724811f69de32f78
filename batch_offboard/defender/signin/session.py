"""The HTTP that msal is given, and the one way to ask with it.

A secret is in these requests: they go to the sign-in's own host, never across a redirect, verified as the API's
calls are, and by the same proxy. No answer is waited for without end or taken in without measure.
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

MAX_ANSWER = 256 * 1024  # bytes; Entra's are a few thousand
PATIENCE = 30.0  # seconds for one answer
CONNECT_TIMEOUT = 15.0  # seconds

# Bytes between two looks at the time: requests' own timeout begins again with each byte that drips in.
CHUNK = 1

Answer = Mapping[str, object]


@dataclass(slots=True)
class Line:
    """How a sign-in service is reached, and what lasts from one request to the next.

    `origin` is the only host that is asked; None where the machine itself says whom to ask. `refuse` has the sentences
    for its refusals. `http_cache` is msal's: it keeps the service's metadata, and every Retry-After. `status` is that
    of the last answer, and `refused` its JSON if it was a refusal: msal does not hand on why it gets no metadata.
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
    """What msal posts and gets with; a context manager."""

    def __init__(self, line: Line, tls: ssl.SSLContext, way: Way) -> None:
        super().__init__()
        self._line = line
        self.trust_env = False  # it would take proxies, roots and even passwords of .netrc from the environment
        self.max_redirects = 0  # for the session that msal derives from this one in a Service Fabric cluster
        self.proxies = {"https": str(way.proxy)} if way.proxy else {}
        adapter = _Adapter(tls, way.passport)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def request(self, method: str, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        self._stay_at_home(str(url))
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
        """Nowhere: requests would read ahead where a redirect goes even if it is not to follow it."""

    def _stay_at_home(self, url: str) -> None:
        """The service's metadata name the addresses to sign in at; they are believed as far as its own host goes."""
        if self._line.origin is not None and URL(url).origin() != self._line.origin:
            raise sent_elsewhere(str(URL(url).origin()), self._line.asked)


class _PlainConnection(urllib3.connection.HTTPConnection):
    """One whose host's name is resolved within its time to connect, which urllib3 begins to count only afterwards."""

    def _new_conn(self) -> socket.socket:
        """The first address that takes the connection. The name stays what TLS checks."""
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
    """Trusts whom our TLS context trusts, and nobody else."""

    def __init__(self, tls: ssl.SSLContext, passport: Mapping[str, str]) -> None:
        self._tls, self._passport = tls, passport
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._tls, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, ssl_context=self._tls, proxy_ssl_context=self._tls, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:  # noqa: ARG002  # the URL holds no password
        return dict(self._passport)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ARG002  # as requests calls it
        """requests would have certifi's roots loaded into the context, beside or against the system's."""
        conn.cert_reqs = "CERT_REQUIRED"


def ask(line: Line, question: Callable[[SignInSession], Answer | None], hidden: Iterable[str] = ()) -> Grant:
    """The token that one question through msal is answered with. `hidden` are secrets that no message may show.

    Raises `TransientSignInError` for what may pass, `SignInError` for a refusal, `ConfigError` for a ca_file of no use.
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
    """What msal says, be it a token or a refusal; whatever it raises instead, as one sentence."""
    _silence()
    line.refused = {}
    try:
        with line.open() as session:
            answer = question(session)
    except BatchOffboardError:
        raise
    except requests.RequestException as error:
        raise _network_trouble(error, line) from None
    except Exception as error:  # noqa: BLE001  # msal raises what its parts raise, with answers in the text
        raise _odd_answer(error, line, hidden) from None
    if answer is not None and not isinstance(answer, dict):
        raise unreadable(line.status, "no JSON object", line.asked)
    return answer


def _silence() -> None:
    """msal logs whole answers as errors, and in its debug log what was sent; nobody can want that in a file."""
    for name in ("msal", "msal_extensions"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())


def _whole(response: requests.Response, end: float, asked: Asked) -> requests.Response:
    """The answer with its body, within the time (of the monotonic clock) and size that there are."""
    body = bytearray()
    for chunk in response.iter_content(CHUNK):
        body += chunk
        if len(body) > MAX_ANSWER:
            raise unreadable(response.status_code, "larger than 256 KiB", asked)
        if time.monotonic() > end:
            raise requests.Timeout("the answer did not end in time")
    whole = requests.Response()
    whole.status_code = response.status_code
    whole.headers = response.headers
    whole.url = response.url
    whole.encoding = "utf-8"
    whole.raw = io.BytesIO(bytes(body))
    return whole


def _odd_answer(error: Exception, line: Line, hidden: Iterable[str]) -> SignInError:
    """For what msal could make nothing of; its own text quotes the answer, so it is not shown."""
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
        said = "no answer came in time"
    return TransientSignInError(f"{asked.host} cannot be reached ({said}); {asked.remedy}.")


def _innermost(error: BaseException) -> BaseException:
    """The reason; urllib3 wraps it several times over."""
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
