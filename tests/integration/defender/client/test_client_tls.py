"""Which certificates the client trusts: a valid one, and invalid ones of each kind."""

import asyncio
import datetime as dt
import ssl
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from batch_offboard.base.errors import ConfigError
from batch_offboard.core.jobs import Alarm, Verdict
from batch_offboard.defender.transport import tls_context
from tests.hanging_names import name_server
from tests.inspection_roots import OMISSIONS, check_as_python_3_13, inspection_root

if TYPE_CHECKING:
    from tests.integration.defender.client.conftest import Authority, Caller, Handler, Serve

LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


async def test_a_certificate_of_the_named_authority_is_trusted(
    serve: "Serve", call: "Caller", accept_all: "Handler", authority: "Authority"
) -> None:
    async with serve(accept_all, tls=authority.server()) as server:
        outcome = await call(server.url, ca_file=authority.ca_file)
    assert outcome.verdict is Verdict.SUBMITTED


@pytest.mark.fault(101, "Not sent, the run stops and names network.ca_file.")
@pytest.mark.parametrize(
    "fault", ["expired", "wrong host", "unknown authority", "unknown to the system", "self-signed"]
)
async def test_a_certificate_that_proves_nothing_ends_the_run_before_a_request(
    serve: "Serve", call: "Caller", accept_all: "Handler", authority: "Authority", tmp_path: Path, fault: str
) -> None:
    ca_file: Path | None = authority.ca_file
    server_side = authority.server()
    if fault == "expired":
        server_side = authority.server(not_before=LONG_AGO, not_after=LONG_AGO + dt.timedelta(days=1))
    elif fault == "wrong host":
        server_side = authority.server("elsewhere.example")
    elif fault == "unknown authority":
        trustme.CA().cert_pem.write_to_path(authority.ca_file)
    elif fault == "unknown to the system":
        ca_file = None
    else:
        server_side = self_signed(tmp_path / "own.pem")
    async with serve(accept_all, tls=server_side) as server:
        outcome = await call(server.url, ca_file=ca_file)
    assert (outcome.verdict, outcome.code, outcome.alarm) == (Verdict.NOT_SENT, "NoTrust", Alarm.NO_TRUST)
    assert "certificate" in outcome.message.lower()
    is_missed = f"; network.ca_file {ca_file} does not hold its root" in outcome.message
    assert is_missed == (fault in ("unknown authority", "self-signed"))
    assert server.requests == []


@pytest.mark.fault(101, "A root of a device that inspects TLS, named in network.ca_file, is trusted as it is.")
@pytest.mark.parametrize("omission", OMISSIONS)
async def test_a_root_that_is_named_is_trusted_though_it_is_not_made_by_the_book(
    serve: "Serve",
    call: "Caller",
    accept_all: "Handler",
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    omission: str,
) -> None:
    check_as_python_3_13(monkeypatch)
    ca_file, tls = inspection_root(tmp_path, omission)
    async with serve(accept_all, tls=tls) as server:
        outcome = await call(server.url, ca_file=ca_file)
    assert (outcome.verdict, outcome.message) == (Verdict.SUBMITTED, "")


@pytest.mark.parametrize("issuer", ["named", "another"])
async def test_an_authority_below_a_root_may_be_named_and_only_that_one_is_trusted(
    serve: "Serve", call: "Caller", accept_all: "Handler", authority: "Authority", issuer: str
) -> None:
    named, another = authority.ca.create_child_ca(), authority.ca.create_child_ca()
    named.cert_pem.write_to_path(authority.ca_file)
    tls = replace(authority, ca=named if issuer == "named" else another).server()
    async with serve(accept_all, tls=tls) as server:
        outcome = await call(server.url, ca_file=authority.ca_file)
    assert outcome.verdict is (Verdict.SUBMITTED if issuer == "named" else Verdict.NOT_SENT)


@pytest.mark.parametrize(("host", "trusted"), [("api.example", True), ("elsewhere.example", False)])
async def test_a_certificate_is_compared_with_the_name_and_not_with_the_address(
    serve: "Serve",
    call: "Caller",
    accept_all: "Handler",
    authority: "Authority",
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    trusted: bool,
) -> None:
    with name_server(monkeypatch, {"api.example": "127.0.0.1"}):
        async with serve(accept_all, tls=authority.server(host)) as server:
            url = server.url.replace("127.0.0.1", "api.example")
            outcome = await call(url, ca_file=authority.ca_file)
    assert outcome.verdict is (Verdict.SUBMITTED if trusted else Verdict.NOT_SENT)


async def test_a_server_that_speaks_no_tls_is_not_sent_anything(call: "Caller", authority: "Authority") -> None:
    received: list[bytes] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(65536))
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        outcome = await call(f"https://127.0.0.1:{port}", ca_file=authority.ca_file)
    assert outcome.verdict is Verdict.NOT_SENT
    assert b"canary-token" not in received[0]


@pytest.mark.fault(101, "Not sent.")
@pytest.mark.parametrize("named", [True, False])
def test_nothing_older_than_tls_1_2_is_spoken(authority: "Authority", named: bool) -> None:
    context = tls_context(authority.ca_file if named else None)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize("content", [None, b"", b"not a certificate"])
def test_a_ca_file_without_certificates_is_named_with_its_key(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "roots.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"network\.ca_file .*roots\.pem"):
        tls_context(path)


def self_signed(path: Path) -> ssl.SSLContext:
    """A server with a self-signed certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(LONG_AGO).not_valid_after(LONG_AGO.replace(year=2199))
    signed = builder.sign(key, hashes.SHA256())
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + signed.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
