"""TLS trust and the proxy, by the same rules for the API and for the sign-in. Nothing is sent here."""

import os
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from batch_offboard.base.addresses import Proxy, proxy_in
from batch_offboard.base.errors import ConfigError
from batch_offboard.defender.connection import Connection

# Codes of OpenSSL's verify(1): an unknown issuer of a certificate or of the server's own, or a self-signed one.
_ISSUER_UNKNOWN = frozenset({2, 18, 19, 20, 21})


@dataclass(frozen=True, slots=True)
class Way:
    """The proxy to use, if any, and the headers that authenticate at it."""

    proxy: URL | None = None
    proxy_headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def way_to(origin: URL, connection: Connection) -> Way:
    """How to reach `origin` (scheme, host and port). Raises ConfigError if the environment's proxy cannot be used."""
    if origin.scheme == "http":
        return Way()  # only loopback is called unencrypted, and a proxy would take the token off this computer
    if connection.use_environment_proxy:
        proxy = _environment_proxy(origin)
    else:
        proxy = proxy_in(connection.proxy) if connection.proxy else None
    if proxy is None:
        return Way()
    user = connection.proxy_user or proxy.user
    password = connection.proxy_password() if connection.proxy_password else proxy.password
    return Way(URL(proxy.url), _authorization(user, password) if user else {})


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or newer, always verified: with the operating system's roots, and with those of `ca_file` if given.
    Raises ConfigError if that file cannot be used.

    The certificates in `ca_file` are trusted as they are, as in the operating system's store: Python 3.13 requires
    what RFC 5280 demands of an authority (critical basic constraints, key usage, key identifiers), which the roots of
    many TLS inspection devices lack. Signatures, names and dates are still checked.
    """
    if ca_file is None:
        import truststore

        context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        context = ssl.create_default_context()
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # accept an intermediate authority, as Python 3.13 does
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"network.ca_file {ca_file} is not a readable file of PEM certificates; name one, or remove the key."
            ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def missing_root(error: BaseException, ca_file: Path | None) -> str:
    """A clause for the message of a certificate error if `ca_file` was used and lacks the issuer, else ""."""
    if ca_file is None or getattr(error, "verify_code", None) not in _ISSUER_UNKNOWN:
        return ""
    return f"; network.ca_file {ca_file} does not hold its root"


def _environment_proxy(origin: URL) -> Proxy | None:
    """The proxy of HTTPS_PROXY and NO_PROXY, or of the system settings on Windows and macOS. Raises ConfigError, which
    does not show its address, if it is not an HTTP proxy."""
    address = None if proxy_bypass(origin.host or "") else getproxies().get(origin.scheme)
    if not address:
        return None
    try:
        return proxy_in(address)
    except ValueError as error:
        raise ConfigError(
            f"The proxy of {_source(origin.scheme)} {error}; correct it there, or name an HTTP proxy in network.proxy."
        ) from None


def _source(scheme: str) -> str:
    """Where `getproxies` found the proxy: it prefers the variable in lower case."""
    names = [name for name in os.environ if name.lower() == f"{scheme}_proxy" and os.environ[name]]
    return f"the variable {max(names)}" if names else "the system's settings"


def _authorization(user: str, password: str) -> dict[str, str]:
    credentials = b64encode(f"{user}:{password}".encode()).decode("ascii")
    return {"Proxy-Authorization": f"Basic {credentials}"}
