"""Which certificate files are accepted, and the messages for the others."""

import datetime as dt
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, NoEncryption, pkcs12
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.errors import SignInError
from batch_offboard.defender.signin.certificates import KeyPair, key_pair

NOW = 1_795_500_000.0
NAME = Path("own.pem")
PASSWORD = "canary-password"
DAY = dt.timedelta(days=1)
TODAY = dt.datetime.fromtimestamp(NOW, dt.UTC)


@dataclass(frozen=True)
class Own:
    """A key and its certificate, cached because making RSA keys is slow."""

    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self, password: str | None = None, form: str = "PKCS8") -> bytes:
        lock = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, getattr(serialization.PrivateFormat, form), lock)

    def pfx(self, password: str | None, chain: tuple[x509.Certificate, ...] = ()) -> bytes:
        lock = BestAvailableEncryption(password.encode()) if password is not None else NoEncryption()
        assert isinstance(self.key, rsa.RSAPrivateKey)
        return pkcs12.serialize_key_and_certificates(b"own", self.key, self.certificate, list(chain), lock)


@cache
def made(name: str, kind: str = "RSA", begins: int = -1, ends: int = 365) -> Own:
    """Days from today."""
    key = rsa.generate_private_key(65537, 2048) if kind == "RSA" else ec.generate_private_key(ec.SECP256R1())
    return Own(key, signed(name, key, begins, ends))


def signed(
    name: str, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, begins: int = -1, ends: int = 365
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(TODAY + begins * DAY).not_valid_after(TODAY + ends * DAY)
    return builder.sign(key, hashes.SHA256())


def read(data: bytes, password: str | None = None) -> KeyPair:
    return key_pair(data, password, NAME, NOW)


def sentence(data: bytes, password: str | None = None) -> str:
    with pytest.raises(SignInError) as raised:
        read(data, password)
    message = str(raised.value)
    assert "own.pem" in message
    assert message.isprintable()
    assert PASSWORD not in message
    return message


OWN, CHAIN = made("own"), made("authority")


@pytest.mark.parametrize(
    "data",
    [
        OWN.key_pem() + OWN.certificate_pem,
        OWN.certificate_pem + OWN.key_pem(),
        OWN.key_pem(form="TraditionalOpenSSL") + OWN.certificate_pem,
        CHAIN.certificate_pem + OWN.certificate_pem + OWN.key_pem(),
        OWN.key_pem() + OWN.certificate_pem + CHAIN.certificate_pem,
        b"Bag Attributes\n  friendlyName: own\n" + OWN.key_pem() + b"subject=CN = own\n" + OWN.certificate_pem,
        (OWN.key_pem() + OWN.certificate_pem).replace(b"\n", b"\r\n"),
        OWN.pfx(None),
        OWN.pfx(None, (CHAIN.certificate,)),
    ],
)
@pytest.mark.parametrize("password", [None, PASSWORD])
def test_key_and_certificate_are_found_in_any_order_and_an_unneeded_password_does_no_harm(
    data: bytes, password: str | None
) -> None:
    pair = read(data, password)
    assert pair.certificate.encode() == OWN.certificate_pem
    assert pair.key.encode() == OWN.key_pem()


@pytest.mark.parametrize(
    "data",
    [
        OWN.key_pem(PASSWORD) + OWN.certificate_pem,
        OWN.certificate_pem + OWN.key_pem(PASSWORD, "TraditionalOpenSSL"),
        OWN.pfx(PASSWORD, (CHAIN.certificate,)),
    ],
)
def test_a_locked_file_opens_with_its_password_only(data: bytes) -> None:
    assert read(data, PASSWORD).key.encode() == OWN.key_pem()
    assert "cannot be opened with the configured password" in sentence(data, "another")
    assert "credential.password_env or credential.password_file" in sentence(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (OWN.certificate_pem, "no private key"),
        (OWN.key_pem(), "a private key and no certificate"),
        (CHAIN.certificate_pem + OWN.key_pem(), "another key's certificate"),
        (OWN.key_pem() + b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "cannot be read"),
        (b"", "neither PEM nor PFX"),
        (b"PK\x03\x04 something else", "neither PEM nor PFX"),
        (OWN.certificate.public_bytes(serialization.Encoding.DER), "neither PEM nor PFX"),
        (made("curve", "EC").key_pem() + made("curve", "EC").certificate_pem, "not RSA"),
        (made("old", ends=0).key_pem() + made("old", ends=0).certificate_pem, "expired at 2026-11-24 07:00:00+01:00"),
        (
            made("young", begins=1).key_pem() + made("young", begins=1).certificate_pem,
            "is not valid before 2026-11-25 07:00:00+01:00",
        ),
    ],
)
def test_a_file_of_no_use_gets_one_sentence(data: bytes, words: str) -> None:
    assert words in sentence(data)


def test_a_pfx_without_a_key_is_named_so() -> None:
    data = pkcs12.serialize_key_and_certificates(None, None, None, [CHAIN.certificate], NoEncryption())
    assert "no private key" in sentence(data)


def test_a_pair_does_not_show_its_key() -> None:
    assert "PRIVATE" not in repr(read(OWN.key_pem() + OWN.certificate_pem))


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda data: b"-----BEGIN PRIVATE KEY-----\n" + data))
def test_any_bytes_are_a_pair_or_one_sentence(data: bytes) -> None:
    sentence(data, PASSWORD)
