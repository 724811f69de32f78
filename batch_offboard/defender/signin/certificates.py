"""Reads a certificate and its private key from one PEM or PFX file."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    pkcs12,
)

from batch_offboard.base.clock import local_time
from batch_offboard.base.errors import SignInError

_KEY_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)
_CERTIFICATE_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its decrypted key, both as PEM text."""

    key: str = field(repr=False)
    certificate: str


def key_pair(data: bytes, password: str | None, path: Path, now: float) -> KeyPair:
    """The pair in the bytes of a PEM or PFX file; other certificates of the chain may be in any order.

    `now` is in seconds since the epoch. Raises `SignInError` with one sentence that names the file.
    """
    what = f"The certificate file {path}"
    key, certificates = _from_pem(data, password, what) if b"-----BEGIN" in data else _from_pfx(data, password, what)
    if key is None:
        raise SignInError(_keyless(what))
    if not isinstance(key, RSAPrivateKey):
        raise SignInError(
            f"{what} contains a key that is not RSA, which Entra ID does not accept; make an RSA certificate."
        )
    own = _public(key.public_key())
    certificate = next((each for each in certificates if _public(each.public_key()) == own), None)
    if certificate is None:
        found = "another key's certificate" if certificates else "a private key and no certificate"
        raise SignInError(f"{what} contains {found}; put the key and its certificate into the file.")
    _refuse_untimely(certificate, what, now)
    return KeyPair(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii"),
        certificate.public_bytes(Encoding.PEM).decode("ascii"),
    )


def _from_pem(data: bytes, password: str | None, what: str) -> tuple[object, list[x509.Certificate]]:
    block = _KEY_BLOCK.search(data)
    if block is None:
        raise SignInError(_keyless(what))
    try:
        certificates = [x509.load_pem_x509_certificate(found) for found in _CERTIFICATE_BLOCK.findall(data)]
    except ValueError:
        raise SignInError(f"{what} contains a certificate that cannot be read; get a new copy.") from None
    return _unlocked(block[0], password, what), certificates


def _unlocked(block: bytes, password: str | None, what: str) -> object:
    """The decrypted key. A password is ignored if the key is not encrypted."""
    for given in dict.fromkeys((_bytes(password), None)):
        try:
            return load_pem_private_key(block, given)
        except TypeError:  # a password for a key that has none, or none for one that has
            continue
        except Exception:  # noqa: BLE001  # cryptography and OpenSSL raise many types for a wrong password
            break
    raise SignInError(_locked(what, password))


def _from_pfx(data: bytes, password: str | None, what: str) -> tuple[object, list[x509.Certificate]]:
    """The key and certificates of a PFX file; one without a password may be encrypted with an empty one."""
    for given in dict.fromkeys((_bytes(password), None)):
        try:
            key, certificate, others = pkcs12.load_key_and_certificates(data, given)
        except Exception:  # noqa: BLE001, S112  # as above
            continue
        return key, [*([certificate] if certificate else []), *others]
    raise SignInError(_locked(what, password))


def _keyless(what: str) -> str:
    return f"{what} contains no private key; add the key to the file, next to the certificate."


def _locked(what: str, password: str | None) -> str:
    if password is None:
        return (
            f"{what} is protected by a password, or is neither PEM nor PFX; say where the password is with "
            "credential.password_env or credential.password_file."
        )
    return f"{what} cannot be opened with the configured password, or is neither PEM nor PFX; correct it."


def _refuse_untimely(certificate: x509.Certificate, what: str, now: float) -> None:
    begin, end = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    if now >= end:
        raise SignInError(
            f"{what} expired at {local_time(end)}; make a new certificate, upload it to the app registration, and "
            "name its file."
        )
    if now < begin:
        raise SignInError(
            f"{what} is not valid before {local_time(begin)}, and this computer's clock says {local_time(now)}; "
            "correct it, or wait."
        )


def _public(key: object) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined,no-any-return]  # each kind of public key has it


def _bytes(password: str | None) -> bytes | None:
    return None if password is None else password.encode()
