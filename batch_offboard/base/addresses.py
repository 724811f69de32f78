"""Checks of the URLs in the configuration and the environment. Pure.

A URL may hold a password, so errors name the part that is wrong and never show its value.
"""

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

_PLAIN_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")

# A user or password as it may appear before the `@`: the delimiters of a URL are percent-encoded (RFC 3986, 2.2).
_ACCOUNT_PART = re.compile(r"[^/?#\\\s\x00-\x1f\x7f]*")
_PLACE = re.compile(r"(?P<host>\[[^\]]*\]|[^:/?#]*)(?::(?P<port>[^/?#]*))?(?P<more>.*)", re.DOTALL)


def is_loopback(host: str) -> bool:
    """Whether a host can only be this computer: `localhost` or a loopback address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def http_url(text: str) -> SplitResult:
    """The parts of an http(s) URL with a host and without user, query, fragment or invalid characters.

    Raises ValueError for any other URL.
    """
    if not re.fullmatch(r"[!-~]+", text) or any(character in text for character in "\\?#@%"):
        raise ValueError("it contains an invalid character")
    parts = urlsplit(text)
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or parts.port == 0:
        raise ValueError("its scheme or port is not usable")
    if "[" in parts.netloc:
        ipaddress.IPv6Address(host)
    elif not _PLAIN_HOST.fullmatch(host):
        raise ValueError("its host is not usable")
    return parts


def http_origin(text: str) -> SplitResult:
    """The parts of a URL that has only scheme, host and port; raises ValueError for any other.

    A path is refused, not dropped: `https://HOST/api` would be called as `https://HOST/api/api/machines`, whose 404
    looks like a tenant without devices.
    """
    parts = http_url(text)
    if parts.path.strip("/"):
        raise ValueError("it has a path")
    return parts._replace(netloc=parts.netloc.lower(), path="")


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy: its URL without the account, and the account that the URL contained."""

    url: str
    user: str = ""
    password: str = field(default="", repr=False)


def proxy_in(text: str) -> Proxy:
    """The proxy that a variable such as HTTPS_PROXY names; without a scheme it is an http URL.

    Raises ValueError with a clause that names the part that is wrong.
    """
    scheme, named, rest = text.strip().partition("://")
    if not named:
        scheme, rest = "http", text.strip()
    if scheme.lower().startswith("socks"):
        raise ValueError("is a SOCKS proxy, which is not supported")
    if scheme.lower() not in {"http", "https"}:
        raise ValueError("has a scheme that is neither http nor https")
    account, at, place = rest.rpartition("@")
    user, _, password = account.partition(":")
    for part, name in ((user, "user"), (password, "password")):
        if not _ACCOUNT_PART.fullmatch(part):
            raise ValueError(f"has a {name} with a character that must be percent-encoded, as %23 for # or %5C for \\")
    if at and not user:
        raise ValueError("has an @ and no user before it")
    return Proxy(_proxy_url(scheme.lower(), place), unquote(user), unquote(password))


def _proxy_url(scheme: str, place: str) -> str:
    found = _PLACE.fullmatch(place)
    host, port, more = found.group("host", "port", "more") if found else ("", None, place)
    if more.strip("/"):
        raise ValueError("has more than a host and a port")
    if port is not None and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise ValueError("has a port that is not a number from 1 to 65535")
    try:
        return http_origin(f"{scheme}://{host}{'' if port is None else f':{port}'}").geturl()
    except ValueError:
        raise ValueError("has no usable host") from None
