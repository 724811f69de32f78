"""Certificate authorities like those of TLS inspection devices: accepted by every program except one that checks
strictly."""

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

# What RFC 5280 requires and these authorities lack; each alone is refused under VERIFY_X509_STRICT.
OMISSIONS = ("critical basic constraints", "key usage", "subject key identifier", "authority key identifier")

BEGINS, ENDS = dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.datetime(2049, 1, 1, tzinfo=dt.UTC)

SIGNS = x509.KeyUsage(
    digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
    key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
)  # fmt: skip


def inspection_root(folder: Path, omission: str) -> tuple[Path, ssl.SSLContext]:
    """The file with the root, and a server on 127.0.0.1 whose certificate it issued."""
    key, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "TLS inspection")])
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])

    root = _certificate(issuer, issuer, key)
    root = root.add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=omission != "critical basic constraints"
    )
    if omission != "key usage":
        root = root.add_extension(SIGNS, critical=True)
    if omission != "subject key identifier":
        root = root.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    leaf = _certificate(subject, issuer, server)
    leaf = leaf.add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
    )
    if omission != "authority key identifier":
        leaf = leaf.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)

    ca_file, chain = folder / "inspection.pem", folder / "server.pem"
    ca_file.write_bytes(root.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    secret = server.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    chain.write_bytes(secret + leaf.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return ca_file, context


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    return builder.serial_number(x509.random_serial_number()).not_valid_before(BEGINS).not_valid_after(ENDS)


def check_as_python_3_13(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `ssl.create_default_context` check X.509 strictly, as Python 3.13 does."""
    older = ssl.create_default_context

    def create_default_context(*arguments: object, **named: object) -> ssl.SSLContext:
        context = older(*arguments, **named)  # type: ignore[arg-type]  # called like the original
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", create_default_context)
