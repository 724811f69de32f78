"""A managed identity, through msal and its environment variables: a virtual machine, App Service and Azure Arc."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batch_offboard.base.errors import SignInError
from batch_offboard.defender.connection import Connection
from batch_offboard.defender.signin import TokenKind, TokenSource, TransientSignInError
from batch_offboard.defender.signin.managed import ManagedMachine
from tests.entra.machine import SYSTEM, Machine
from tests.entra.office import RESOURCE, Office
from tests.entra.wire import Reply, Served, serving
from tests.tokens import CLIENT, OTHER_CLIENT, OTHER_TENANT, TENANT
from tests.tunnel_proxy import surroundings

if TYPE_CHECKING:
    from tests.integration.defender.signin.conftest import MovableClock, SignInAs

VARIABLES = (
    "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT", "MSI_ENDPOINT", "MSI_SECRET",
    "IMDS_ENDPOINT", "AZURE_POD_IDENTITY_AUTHORITY_HOST",
)  # fmt: skip

Place = Callable[[], None]


@pytest.fixture
def machine(clock: "MovableClock") -> Machine:
    return Machine(TENANT, RESOURCE, (CLIENT,), now=clock.wall)


@pytest.fixture(params=["virtual machine", "app service"])
def service(machine: Machine, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Served]:
    """The machine's identity service at the address that msal calls."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with serving(machine.answer) as served:
        if request.param == "virtual machine":
            monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", served.url)
        else:
            monkeypatch.setenv("IDENTITY_ENDPOINT", f"{served.url}/msi/token")
            monkeypatch.setenv("IDENTITY_HEADER", machine.header)
        yield served


@pytest.fixture
def as_machine(sign_in_as: "SignInAs", service: Served) -> "SignInAs":
    """A source with credential.type managed_identity; the two IDs are omitted unless given."""

    def source(**keys: str) -> TokenSource:
        return sign_in_as(**{"tenant_id": "null", "client_id": "null", "credential__type": "managed_identity"} | keys)

    return source


async def test_the_system_assigned_identity_gets_a_token(
    as_machine: "SignInAs", machine: Machine, service: Served
) -> None:
    source = as_machine()
    claims = source.sign_in()
    assert (claims.tenant, claims.application, claims.kind) == (TENANT, SYSTEM, TokenKind.APPLICATION)
    assert await source.token() == machine.tokens[0]
    assert ["client_id" in request.query for request in service.requests] == [False]


def test_the_client_id_picks_a_user_assigned_identity(as_machine: "SignInAs", service: Served) -> None:
    assert as_machine(client_id=CLIENT).sign_in().application == CLIENT
    assert [request.query["client_id"] for request in service.requests] == [CLIENT]


def test_an_identity_that_the_machine_lacks_is_named(as_machine: "SignInAs") -> None:
    with pytest.raises(SignInError, match=rf"no token for identity {OTHER_CLIENT} \(.*\); assign the identity"):
        as_machine(client_id=OTHER_CLIENT).sign_in()


def test_the_machines_tenant_must_be_the_configured_one(as_machine: "SignInAs", machine: Machine) -> None:
    machine.tenant_id = OTHER_TENANT
    with pytest.raises(SignInError, match="correct tenant_id"):
        as_machine(tenant_id=TENANT).sign_in()


@pytest.mark.parametrize("status", [404, 410, 429, 500, 503])
async def test_a_machine_that_is_not_ready_is_asked_again_later(
    as_machine: "SignInAs", machine: Machine, clock: "MovableClock", status: int
) -> None:
    source = as_machine()
    machine.disorders.append(Reply(status, {"error": "not_ready"}, {"Retry-After": "0"}))
    with pytest.raises(TransientSignInError, match=f"not ready \\(HTTP {status}"):
        source.sign_in()
    assert source.sign_in().tenant == TENANT


@pytest.mark.parametrize(
    "reply", [Reply(200, b"<html>"), Reply(200, b"[]"), Reply(302, b"", {"Location": "http://e.example/"})]
)
def test_an_answer_of_something_else_is_a_sentence(as_machine: "SignInAs", machine: Machine, reply: Reply) -> None:
    machine.disorders.append(reply)
    with pytest.raises(SignInError, match="managed_identity works only on an Azure"):
        as_machine().sign_in()


@pytest.mark.usefixtures("service")
def test_a_machine_without_an_identity_service_is_told_from_a_broken_network(
    as_machine: "SignInAs", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1")
    monkeypatch.delenv("IDENTITY_ENDPOINT", raising=False)
    with pytest.raises(SignInError, match=r"identity service cannot be reached \(.+\); managed_ident"):
        as_machine().sign_in()


def test_no_proxy_ever_sees_a_machines_token(
    as_machine: "SignInAs", service: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(lambda _request: Reply(500)) as proxy:
        surroundings(monkeypatch, proxy.url)
        as_machine(network__proxy="environment").sign_in()
        as_machine(network__proxy=proxy.url).sign_in()
    assert (len(service.requests), len(proxy.requests)) == (2, 0)


def test_no_proxy_is_on_the_way_to_a_machines_service_that_speaks_tls() -> None:
    """As in a Service Fabric cluster, where msal derives a session from ours."""
    machine = ManagedMachine(None, RESOURCE, Connection(proxy="http://proxy.example:8080"))
    with machine._line.open() as session:
        assert (session.proxies, session.trust_env, session.max_redirects) == ({}, False, 0)


async def test_a_token_that_the_machine_keeps_is_no_replacement_for_a_refused_one(
    as_machine: "SignInAs", machine: Machine
) -> None:
    machine.keeps = True
    source = as_machine()
    source.sign_in()
    with pytest.raises(SignInError, match="returns the same one again"):
        await source.renew()


async def test_a_kept_token_is_asked_for_again_nearer_to_its_end(
    as_machine: "SignInAs", machine: Machine, service: Served, clock: "MovableClock"
) -> None:
    """The machine returns the rest of its token's lifetime, which the program obeys each time."""
    machine.keeps, machine.lifetime = True, 3600
    source = as_machine()
    source.sign_in()
    for left, asked in ((301, 1), (29, 2), (28, 2), (3, 3)):
        machine.lifetime = left
        clock.ahead = 3600 - left
        assert await source.token() == machine.tokens[0]
        assert len(service.requests) == asked, left


async def test_no_log_shows_the_machines_header_or_token(
    as_machine: "SignInAs",
    machine: Machine,
    everything_logged: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    entra: Office,
) -> None:
    as_machine().sign_in()
    machine.disorders.append(Reply(200, b"<html>canary-answer"))
    with pytest.raises(SignInError):
        as_machine().sign_in()
    shown = "".join([everything_logged.text, *capfd.readouterr(), *entra.told])
    assert [word for word in (machine.header, "canary-answer", *machine.tokens) if word in shown] == []


# -- Azure Arc --


@pytest.fixture
def arc(machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Machine]:
    """An Azure Arc machine, with its keys in a folder of the test."""
    machine.key = tmp_path / "tokens" / "one.key"
    machine.key.parent.mkdir()
    machine.key.write_text("canary-arc-key", encoding="ascii")
    folders = {sys.platform: str(machine.key.parent)}
    monkeypatch.setattr("msal.managed_identity._supported_arc_platforms_and_their_prefixes", folders)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with serving(machine.answer) as served:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{served.url}/arc/token")
        monkeypatch.setenv("IMDS_ENDPOINT", served.url)
        yield machine


def on_arc(sign_in_as: "SignInAs", **keys: str) -> TokenSource:
    return sign_in_as(**{"tenant_id": "null", "client_id": "null", "credential__type": "managed_identity"} | keys)


@pytest.mark.parametrize(("keys", "identity"), [({}, SYSTEM), ({"client_id": CLIENT}, CLIENT)])
@pytest.mark.usefixtures("arc")
def test_a_machine_of_azure_arc_gets_a_token(sign_in_as: "SignInAs", keys: dict[str, str], identity: str) -> None:
    assert on_arc(sign_in_as, **keys).sign_in().application == identity


def test_an_agent_that_takes_no_client_id_is_told_from_a_broken_answer(sign_in_as: "SignInAs", arc: Machine) -> None:
    arc.knows_users = False
    with pytest.raises(SignInError) as raised:
        on_arc(sign_in_as, client_id=CLIENT).sign_in()
    assert str(raised.value).startswith(f"Azure Arc gives no token for identity {CLIENT} (Azure Arc did not confirm")
    assert "; leave client_id out" in str(raised.value)
    assert arc.tokens[0] not in str(raised.value)


@pytest.mark.skipif(os.name != "posix", reason="the groups are named for each system")
def test_a_key_that_may_not_be_read_is_named_with_the_group_that_may(
    sign_in_as: "SignInAs", arc: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(file: str, *_more: object, **_named: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), file)  # root may read everything

    monkeypatch.setattr("msal.managed_identity.open", closed, raising=False)
    with pytest.raises(SignInError) as raised:
        on_arc(sign_in_as).sign_in()
    assert str(raised.value) == (
        f"Azure Arc's key file {arc.key} cannot be read (Permission denied); add the account that this program runs as "
        "to the group himds."
    )
    assert not isinstance(raised.value, TransientSignInError)


def test_a_key_that_is_not_there_yet_is_asked_for_again(sign_in_as: "SignInAs", arc: Machine) -> None:
    assert arc.key is not None
    arc.key.unlink()
    source = on_arc(sign_in_as)
    with pytest.raises(TransientSignInError, match=r"key file .*one\.key is missing \(.+\); check with"):
        source.sign_in()
    arc.key.write_text("canary-arc-key", encoding="ascii")
    assert source.sign_in().application == SYSTEM


def test_the_words_of_azure_arc_stay_in_the_sentence(sign_in_as: "SignInAs", arc: Machine) -> None:
    words = "User assigned identities are not supported on this machine."
    arc.disorders.append(Reply(400, {"error": "invalid_request", "error_description": words}))
    with pytest.raises(SignInError, match=r"User assigned identities are not supported.*\(leave it out"):
        on_arc(sign_in_as, client_id=CLIENT).sign_in()


def test_a_challenge_that_nobody_understands_is_a_sentence(sign_in_as: "SignInAs", arc: Machine) -> None:
    arc.disorders.append(Reply(401, {}, {"WWW-Authenticate": "Negotiate"}))
    with pytest.raises(SignInError, match=r"identity service cannot be used \(Unrecognizable WWW-Authenticate"):
        on_arc(sign_in_as).sign_in()
