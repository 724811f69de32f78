"""Posts a notice to a webhook. Its URL is a secret: anyone who has it can post there.

TLS is always verified, no redirect is followed, and all attempts together end at the deadline. Failures that may be
temporary are retried: too many calls, a failing server, a broken connection. A notice may then arrive twice, which is
better than not at all.
"""

from functools import partial
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from batch_offboard.base.addresses import is_loopback
from batch_offboard.base.clock import Clock
from batch_offboard.base.secret import Secret
from batch_offboard.defender.client import Names, is_of_proxy
from batch_offboard.defender.connection import Connection
from batch_offboard.defender.protocol import Answer, retry_after
from batch_offboard.defender.transport import tls_context, way_to
from batch_offboard.notices.attempts import NotDelivered, Temporary, within

HEADERS = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "batch-offboard"}


async def post(payload: bytes, url: Secret, connection: Connection, deadline: float, clock: Clock) -> None:
    """Deliver within `deadline` seconds. Raises NotDelivered."""
    address = _address(url.reveal())
    async with _session(connection) as session:
        await within(deadline, partial(_attempt, session, address, payload, connection, clock))


def _address(text: str) -> URL:
    """The URL exactly as it is, since its query may be a signature."""
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        usable = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
        if usable and host and parts.port != 0 and text.isascii() and text.isprintable() and "@" not in parts.netloc:
            return URL(text, encoded=True)
    except ValueError:
        pass
    raise NotDelivered("the secret is not an https URL (plain http only to this computer)")


def _session(connection: Connection) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            ssl=tls_context(connection.ca_file), force_close=True, resolver=Names(connection.timeout)
        ),
        timeout=aiohttp.ClientTimeout(total=None),  # the deadline covers all attempts together
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def _attempt(
    session: aiohttp.ClientSession, address: URL, payload: bytes, connection: Connection, clock: Clock
) -> None:
    way = way_to(address.origin(), connection)
    try:
        async with session.post(
            address,
            data=payload,
            headers=HEADERS,
            allow_redirects=False,
            proxy=way.proxy,
            proxy_headers=way.proxy_headers,
        ) as response:
            status, headers = response.status, response.headers.getall("Retry-After", [])
            response.close()  # the body is not needed
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError):
        raise NotDelivered("the server's certificate is not trusted; see network.ca_file") from None
    except aiohttp.ClientHttpProxyError as error:
        raise NotDelivered(f"the proxy answered {error.status}") from None
    except (aiohttp.ClientConnectionError, OSError) as error:
        who = "proxy" if way.proxy is not None and is_of_proxy(error, way.proxy) else "server"
        raise Temporary(f"the {who} cannot be reached ({_kind(error)})") from None
    except aiohttp.ClientError as error:
        raise NotDelivered(f"the server gave no usable answer ({type(error).__name__})") from None
    _judge(status, headers, clock.now().wall)


def _judge(status: int, retry_after_values: list[str], now: float) -> None:
    if 200 <= status < 300:
        return
    if status == 429 or status >= 500:
        wanted = {"retry-after": tuple(retry_after_values)}
        raise Temporary(
            f"the server answered {status}",
            retry_after(Answer(status, wanted), now) if retry_after_values else None,
        )
    if 300 <= status < 400:
        raise NotDelivered(f"the server answered {status}, a redirect, which is not followed")
    raise NotDelivered(f"the server answered {status}; check the webhook's URL and kind")


def _kind(error: BaseException) -> str:
    """The operating system's words, which hold no address."""
    inner = getattr(error, "os_error", None) or error
    return str(getattr(inner, "strerror", None) or type(error).__name__)
