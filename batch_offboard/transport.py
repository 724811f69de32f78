"""The way out, by one rule for the API and for the sign-in: whom TLS trusts, and which proxy is on the way.

Nothing here sends anything.
"""

import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from batch_offboard.connection import Connection
from batch_offboard.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Way:
    """The proxy on the way, if there is one, and the header that it asks for."""

    proxy: URL | None = None
    passport: Mapping[str, str] = field(default_factory=dict, repr=False)


def way_to(origin: URL, connection: Connection) -> Way:
    """`origin` is scheme, host and port of whom we call."""
    if origin.scheme == "http":
        return Way()  # only this computer is called unencrypted, and through a proxy the token would leave it
    address = _environment_proxy(origin) if connection.use_environment_proxy else connection.proxy
    if not address:
        return Way()
    proxy = URL(address if "://" in address else f"http://{address}")
    user = connection.proxy_user or proxy.user
    password = connection.proxy_password() if connection.proxy_password else proxy.password
    return Way(proxy.with_user(None), _passport(user, password) if user else {})


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or newer, always verified: by the operating system's roots, and by those of `ca_file` if it is named."""
    if ca_file is None:
        import truststore

        context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        context = ssl.create_default_context()
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"network.ca_file {ca_file} is no readable file of PEM certificates; name one, or leave the key out."
            ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _environment_proxy(origin: URL) -> str | None:
    """What HTTPS_PROXY and NO_PROXY say, or on Windows and macOS the system's own settings."""
    host = origin.host or ""
    return None if proxy_bypass(host) else getproxies().get(origin.scheme)


def _passport(user: str, password: str | None) -> dict[str, str]:
    credentials = b64encode(f"{user}:{password or ''}".encode()).decode("ascii")
    return {"Proxy-Authorization": f"Basic {credentials}"}
