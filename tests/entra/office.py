"""A configuration that signs in at a tenant of Entra ID on loopback, over TLS that only this office trusts."""

import datetime as dt
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from tests.entra.tenant import Tenant
from tests.entra.wire import Request, Served, serving
from tests.tokens import CLIENT, TENANT

RESOURCE = "https://api.securitycenter.microsoft.com"
DAY = dt.timedelta(days=1)


@dataclass
class Office:
    """`folder` is for files; `tenant` decides, `served` tells what arrived."""

    folder: Path
    tenant: Tenant
    served: Served
    ca_file: Path
    told: list[str] = field(default_factory=list)

    @property
    def asked(self) -> list[Request]:
        """The requests for a token."""
        return [request for request in self.served.requests if request.path.endswith("/token")]

    def variables(self, **keys: str) -> dict[str, str]:
        """A configuration as environment variables: `credential__type="device_code"` and so on."""
        given = {
            "tenant_id": TENANT,
            "client_id": CLIENT,
            "sign_in_url": self.served.url,
            "network__ca_file": str(self.ca_file),
        } | keys
        return {f"BATCH_OFFBOARD_{key.upper()}": value for key, value in given.items()}

    def private_file(self, name: str, content: str | bytes) -> Path:
        """A file that only its owner may read."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(0o600)
        return path


@contextmanager
def office(folder: Path, **options: object) -> Iterator[Office]:
    tenant = Tenant(TENANT, RESOURCE, **options)  # type: ignore[arg-type]  # the caller names its options
    authority = trustme.CA()
    ca_file = folder / "roots.pem"
    authority.cert_pem.write_to_path(ca_file)
    with serving(tenant.answer, server_side(authority)) as served:
        tenant.url = served.url
        yield Office(folder, tenant, served, ca_file)


def server_side(authority: trustme.CA, host: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    return context


# -- certificates of applications --


@dataclass(frozen=True)
class Identity:
    """A key with a certificate for it."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    def pem(self, password: str | None = None) -> bytes:
        lock = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock) + self.certificate.public_bytes(
            Encoding.PEM
        )

    def pfx(self, password: str | None = None) -> bytes:
        lock = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        return pkcs12.serialize_key_and_certificates(b"own", self.key, self.certificate, None, lock)


@cache
def key(name: str) -> rsa.RSAPrivateKey:
    """One key for each name: making them takes a while."""
    assert name
    return rsa.generate_private_key(65537, 2048)


def identity(
    name: str, signer: str | None = None, now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
) -> Identity:
    """A certificate with this common name, good from yesterday for a month; `signer` is the name of whose key signs."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key(name).public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now() - DAY).not_valid_after(now() + 30 * DAY)
    return Identity(key(name), builder.sign(key(signer or name), hashes.SHA256()))
