"""The way out, by one rule for the API and for the sign-in: whom TLS trusts, and which proxy is on the way.

Nothing here sends anything.
"""

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

# Of OpenSSL's verify(1): no issuer of a certificate, a self-signed one, or no issuer of the server's own is known.
_ISSUER_UNKNOWN = frozenset({2, 18, 19, 20, 21})


@dataclass(frozen=True, slots=True)
class Way:
    """The proxy on the way, if there is one, and the header that it asks for."""

    proxy: URL | None = None
    passport: Mapping[str, str] = field(default_factory=dict, repr=False)


def way_to(origin: URL, connection: Connection) -> Way:
    """`origin` is scheme, host and port of whom we call."""
    if origin.scheme == "http":
        return Way()  # only this computer is called unencrypted, and through a proxy the token would leave it
    if connection.use_environment_proxy:
        proxy = _environment_proxy(origin)
    else:
        proxy = proxy_in(connection.proxy) if connection.proxy else None
    if proxy is None:
        return Way()
    user = connection.proxy_user or proxy.user
    password = connection.proxy_password() if connection.proxy_password else proxy.password
    return Way(URL(proxy.url), _passport(user, password) if user else {})


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or newer, always verified: by the operating system's roots, and by those of `ca_file` if it is named.

    What `ca_file` holds is trusted as it is, as the operating system's store does: Python 3.13 has begun to ask for
    what RFC 5280 wants of an authority (critical basic constraints, key usage, key identifiers), and the roots of many
    devices that inspect TLS lack it. Signatures, names and dates are checked all the same.
    """
    if ca_file is None:
        import truststore

        context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        context = ssl.create_default_context()
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an authority below a root may be named, as on 3.13
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"network.ca_file {ca_file} is not a readable file of PEM certificates; name one, or remove the key."
            ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def missing_root(error: BaseException, ca_file: Path | None) -> str:
    """What to add to the words of a certificate's error: that `ca_file` was looked at, and has not what is wanted."""
    if ca_file is None or getattr(error, "verify_code", None) not in _ISSUER_UNKNOWN:
        return ""
    return f"; network.ca_file {ca_file} does not hold its root"


def _environment_proxy(origin: URL) -> Proxy | None:
    """What HTTPS_PROXY and NO_PROXY say, or on Windows and macOS the system's own settings. ConfigError, which shows
    nothing of the address, if it is no HTTP proxy."""
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
    """Where `getproxies` has found the proxy: it prefers the variable in small letters."""
    names = [name for name in os.environ if name.lower() == f"{scheme}_proxy" and os.environ[name]]
    return f"the variable {max(names)}" if names else "the system's settings"


def _passport(user: str, password: str) -> dict[str, str]:
    credentials = b64encode(f"{user}:{password}".encode()).decode("ascii")
    return {"Proxy-Authorization": f"Basic {credentials}"}
