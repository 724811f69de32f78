"""Failures of a sign-in: one sentence each, nothing sent to other hosts, and no secret in any message."""

import asyncio
import json
import socket
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from batch_offboard.base.errors import ConfigError, SignInError
from batch_offboard.defender.signin import TokenSource, TransientSignInError, session
from tests.entra.office import Office, identity, server_side
from tests.entra.tenant import refusal
from tests.entra.wire import Reply, Request, serving
from tests.hanging_names import name_server
from tests.inspection_roots import OMISSIONS, check_as_python_3_13, inspection_root
from tests.tokens import CLIENT, OTHER_CLIENT, TENANT
from tests.tunnel_proxy import surroundings, tunnel_proxy

if TYPE_CHECKING:
    from tests.integration.defender.signin.conftest import MovableClock, SignInAs

SECRET, PASSWORD = "q7R~canary.Secret-1", "canary-password"
PASSPORT = b"Proxy-Authorization: Basic " + b64encode(f"user:{PASSWORD}".encode())


def sentence(source: TokenSource) -> str:
    with pytest.raises(SignInError) as raised:
        source.sign_in()
    message = str(raised.value)
    assert message.isprintable()
    assert message.endswith(".")
    assert SECRET not in message
    return message


# -- what Entra refuses --


@pytest.mark.fault(105, "One sentence that says which, without the secret.")
@pytest.mark.parametrize(
    ("number", "words"),
    [
        (7000222, "has expired"), (7000215, "not its ID"), (700016, "client_id"), (65001, "consent"),
        (7000112, "disabled"), (500011, "audience"), (53003, "Conditional Access"), (900382, "another cloud"),
        (99999, "No"),
    ],
)  # fmt: skip
def test_each_refusal_is_a_sentence_with_its_code(
    entra: Office, with_secret: TokenSource, number: int, words: str
) -> None:
    entra.tenant.disorders.append(refusal(number))
    message = sentence(with_secret)
    assert words in message
    assert f"AADSTS{number}" in message


def test_an_ended_secret_is_told_from_a_wrong_one(entra: Office, with_secret: TokenSource) -> None:
    entra.tenant.registrations[CLIENT].secrets[SECRET] = True
    assert "has expired (AADSTS7000222: " in sentence(with_secret)


def test_an_unknown_application_is_named(entra: Office, sign_in_as: "SignInAs") -> None:
    source = sign_in_as(
        {"MY_SECRET": SECRET},
        client_id=OTHER_CLIENT,
        credential__type="client_secret",
        credential__secret_env="MY_SECRET",
    )
    assert f"no application {OTHER_CLIENT} in tenant {TENANT} (AADSTS700016: " in sentence(source)


def test_an_unknown_tenant_is_named_before_the_secret_leaves(entra: Office, sign_in_as: "SignInAs") -> None:
    source = sign_in_as(
        {"MY_SECRET": SECRET},
        tenant_id=OTHER_CLIENT,
        credential__type="client_secret",
        credential__secret_env="MY_SECRET",
    )
    assert f"does not know tenant {OTHER_CLIENT} (AADSTS90002: " in sentence(source)
    assert entra.asked == []


def test_an_unknown_audience_is_named(entra: Office, sign_in_as: "SignInAs") -> None:
    source = sign_in_as(
        {"MY_SECRET": SECRET},
        audience="https://elsewhere.example",
        credential__type="client_secret",
        credential__secret_env="MY_SECRET",
    )
    assert "https://elsewhere.example (AADSTS500011: " in sentence(source)


def test_a_refusal_that_quotes_the_secret_is_shown_without_it(entra: Office, with_secret: TokenSource) -> None:
    entra.tenant.disorders.append(refusal(99999, text=f"The secret {SECRET} is odd."))
    assert "The secret *** is odd" in sentence(with_secret)


# -- failures of the service --


@pytest.mark.fault(104, "One sentence, nothing is sent.")
@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(500, {"error": "server_error"}), "HTTP 500"),
        (Reply(503, b"<html>Service Unavailable</html>"), "HTTP 503"),
        (Reply(429, {"error": "x"}), "HTTP 429"),
        (Reply(429, b"slow down"), "HTTP 429"),
        (refusal(90033, status=400), "HTTP 400"),
        (Reply(200, b"<html>Sign in to the network</html>"), "cannot be read (HTTP 200, no JSON)"),
        (Reply(403, b"<html>Blocked</html>"), "cannot be read (HTTP 403, no JSON)"),
        (Reply(200, b""), "cannot be read"),
        (Reply(200, []), "cannot be read"),
        (Reply(200, {"access_token": None}), "no error code"),
        (Reply(200, {"access_token": 7, "expires_in": 60}), "no error code"),
        (Reply(200, b" " * (session.MAX_ANSWER + 1)), "larger than 256 KiB"),
        (Reply(200, b"\xff\xfe\x00"), "cannot be read"),
        (Reply(307, b"", {"Location": "https://evil.example/token"}), "redirect to evil.example"),
        (Reply(302, b"", {"Location": "/elsewhere"}), "redirect to nowhere"),
    ],
)
def test_an_answer_that_is_no_answer_is_a_sentence(
    entra: Office, with_secret: TokenSource, reply: Reply, words: str
) -> None:
    entra.tenant.disorders.append(reply)
    message = sentence(with_secret)
    assert words in message
    assert "127.0.0.1" in message
    assert len(entra.asked) == 1


async def test_a_retry_after_of_the_service_is_obeyed(entra: Office, with_secret: TokenSource) -> None:
    entra.tenant.disorders.append(Reply(429, {"error": "x"}, {"Retry-After": "600"}))
    for _ in range(3):
        with pytest.raises(TransientSignInError, match="HTTP 429"):
            with_secret.sign_in()
    with pytest.raises(TransientSignInError, match="HTTP 429"):
        await with_secret.renew()
    assert len(entra.asked) == 1


@pytest.mark.fault(104, "One sentence, nothing is sent.")
@pytest.mark.parametrize("reply", [Reply(hang=True), Reply(drip=True)])
def test_no_answer_is_waited_for_without_end(
    entra: Office, with_secret: TokenSource, monkeypatch: pytest.MonkeyPatch, reply: Reply
) -> None:
    monkeypatch.setattr(session, "PATIENCE", 0.1)
    entra.tenant.disorders.append(reply)
    assert "no answer within the timeout" in sentence(with_secret)


# -- the network --


def test_a_service_that_is_not_there_is_named(entra: Office, sign_in_as: "SignInAs") -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening, so that no other process takes the port
        port = taken.getsockname()[1]
        source = sign_in_as(
            {"MY_SECRET": SECRET},
            sign_in_url=f"https://127.0.0.1:{port}",
            credential__type="client_secret",
            credential__secret_env="MY_SECRET",
        )
        message = sentence(source)
    assert f"127.0.0.1:{port} cannot be reached (" in message
    assert "network.proxy" in message


@pytest.mark.parametrize("fault", ["unknown authority", "wrong host", "unknown to the system"])
def test_a_certificate_that_proves_nothing_gets_no_secret(
    entra: Office, sign_in_as: "SignInAs", tmp_path: Path, fault: str
) -> None:
    authority = trustme.CA()
    roots = tmp_path / "other-roots.pem"
    (trustme.CA() if fault == "unknown authority" else authority).cert_pem.write_to_path(roots)
    host = "elsewhere.example" if fault == "wrong host" else "127.0.0.1"
    trusted = "null" if fault == "unknown to the system" else str(roots)
    with serving(entra.tenant.answer, server_side(authority, host)) as stranger:
        source = sign_in_as(
            {"MY_SECRET": SECRET},
            sign_in_url=stranger.url,
            credential__type="client_secret",
            credential__secret_env="MY_SECRET",
            network__ca_file=trusted,
        )
        message = sentence(source)
    assert "is not trusted" in message
    assert "certificate" in message
    assert (f"; network.ca_file {roots} does not hold its root" in message) == (fault == "unknown authority")
    assert stranger.requests == []


@pytest.mark.fault(101, "Likewise for the sign-in.")
@pytest.mark.parametrize("omission", OMISSIONS)
def test_a_root_that_is_named_is_trusted_though_it_is_not_made_by_the_book(
    entra: Office, sign_in_as: "SignInAs", tmp_path: Path, monkeypatch: pytest.MonkeyPatch, omission: str
) -> None:
    check_as_python_3_13(monkeypatch)
    ca_file, tls = inspection_root(tmp_path, omission)
    with serving(entra.tenant.answer, tls) as inspected:
        entra.tenant.url = inspected.url
        source = sign_in_as(
            {"MY_SECRET": SECRET},
            sign_in_url=inspected.url,
            credential__type="client_secret",
            credential__secret_env="MY_SECRET",
            network__ca_file=str(ca_file),
        )
        assert source.sign_in().tenant == TENANT


def test_the_systems_roots_do_not_come_in_beside_those_that_are_named(
    entra: Office, with_secret: TokenSource, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """requests would take them from these variables, or from certifi."""
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(stranger)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(stranger))
    assert with_secret.sign_in().tenant == TENANT


def test_requests_own_roots_are_trusted_no_more_than_the_environments(
    entra: Office, sign_in_as: "SignInAs", monkeypatch: pytest.MonkeyPatch
) -> None:
    """certifi's list may contain an authority that the operating system, or the company, has removed."""
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(entra.ca_file))
    source = sign_in_as(
        {"MY_SECRET": SECRET},
        network__ca_file="null",
        credential__type="client_secret",
        credential__secret_env="MY_SECRET",
    )
    assert "is not trusted" in sentence(source)
    assert entra.served.requests == []


def test_a_ca_file_of_no_use_is_a_mistake_of_the_configuration(entra: Office, sign_in_as: "SignInAs") -> None:
    source = sign_in_as(
        {"MY_SECRET": SECRET},
        network__ca_file=str(entra.folder / "nowhere.pem"),
        credential__type="client_secret",
        credential__secret_env="MY_SECRET",
    )
    with pytest.raises(ConfigError, match=r"network\.ca_file"):
        source.sign_in()


@pytest.mark.fault(110, "Refused, nothing is sent there.")
@pytest.mark.parametrize("key", ["token_endpoint", "device_authorization_endpoint"])
@pytest.mark.parametrize(
    ("elsewhere", "words"),
    [
        (
            "https://login.microsoftonline.us/x/token",
            "to https://login.microsoftonline.us, and nothing was sent there; set cloud",
        ),
        ("https://127.0.0.1:1/x/token", "to https://127.0.0.1:1, and nothing was sent there"),
        ("http://127.0.0.1/x/token", ""),
    ],
)
def test_nothing_is_sent_where_the_metadata_of_another_cloud_point(
    entra: Office, sign_in_as: "SignInAs", key: str, elsewhere: str, words: str
) -> None:
    entra.tenant.metadata = {key: elsewhere}
    entra.tenant.registrations[CLIENT].public = True
    way = {"credential__type": "client_secret", "credential__secret_env": "MY_SECRET"}
    if key != "token_endpoint":
        way = {"credential__type": "device_code"}
    assert words in sentence(sign_in_as({"MY_SECRET": SECRET}, **way))
    assert [request.method for request in entra.served.requests] == ["GET"]


@pytest.mark.parametrize("metadata", [b"<html>", b"{}", b"[]", b'{"token_endpoint": 7, "authorization_endpoint": 7}'])
def test_metadata_of_no_use_are_a_sentence(sign_in_as: "SignInAs", tmp_path: Path, metadata: bytes) -> None:
    authority = trustme.CA()
    roots = tmp_path / "other-roots.pem"
    authority.cert_pem.write_to_path(roots)

    def answer(_request: Request) -> Reply:
        return Reply(body=metadata)

    with serving(answer, server_side(authority)) as stranger:
        source = sign_in_as(
            {"MY_SECRET": SECRET},
            sign_in_url=stranger.url,
            network__ca_file=str(roots),
            credential__type="client_secret",
            credential__secret_env="MY_SECRET",
        )
        assert "cannot be read" in sentence(source)
    assert [request.method for request in stranger.requests] == ["GET"]


# -- a proxy --


async def test_the_named_proxy_is_used_with_its_password_and_never_sees_the_secret(
    entra: Office, sign_in_as: "SignInAs"
) -> None:
    async with tunnel_proxy() as proxy:
        environ = {"MY_SECRET": SECRET, "PROXY_PASSWORD": PASSWORD}
        source = sign_in_as(
            environ,
            credential__type="client_secret",
            credential__secret_env="MY_SECRET",
            network__proxy=proxy.url,
            network__proxy_user="user",
            network__proxy_password_env="PROXY_PASSWORD",
        )
        await asyncio.to_thread(source.sign_in)
        heads = b"".join(proxy.heads)
    assert heads.startswith(f"CONNECT {entra.served.url.removeprefix('https://')} ".encode())
    assert PASSPORT in heads
    assert SECRET.encode() not in heads
    assert all("proxy-authorization" not in request.headers for request in entra.served.requests)


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "502 Bad Gateway"])
async def test_a_proxy_that_opens_no_tunnel_is_named_without_its_password(
    entra: Office, sign_in_as: "SignInAs", status: str
) -> None:
    async with tunnel_proxy(refuse=status) as proxy:
        environ = {"MY_SECRET": SECRET, "PROXY_PASSWORD": PASSWORD}
        source = sign_in_as(
            environ,
            credential__type="client_secret",
            credential__secret_env="MY_SECRET",
            network__proxy=proxy.url,
            network__proxy_user="user",
            network__proxy_password_env="PROXY_PASSWORD",
        )
        message = await asyncio.to_thread(sentence, source)
    assert status[:3] in message
    assert "check network.proxy, its user and its password" in message
    assert PASSWORD not in message
    assert entra.served.requests == []


@pytest.mark.parametrize(("asked", "no_proxy", "tunnels"), [(False, "", 0), (True, "", 1), (True, "127.0.0.1", 0)])
async def test_the_environments_proxy_is_used_when_asked_and_not_excepted(
    entra: Office,
    sign_in_as: "SignInAs",
    monkeypatch: pytest.MonkeyPatch,
    asked: bool,
    no_proxy: str,
    tunnels: int,
) -> None:
    async with tunnel_proxy() as proxy:
        surroundings(monkeypatch, proxy.url.replace("//", f"//user:{PASSWORD}@"))
        monkeypatch.setenv("no_proxy", no_proxy)
        source = sign_in_as(
            {"MY_SECRET": SECRET},
            credential__type="client_secret",
            credential__secret_env="MY_SECRET",
            network__proxy="environment" if asked else "null",
        )
        await asyncio.to_thread(source.sign_in)
    assert bool(proxy.heads) == bool(tunnels)
    assert all(PASSPORT in head for head in proxy.heads)
    assert len(entra.asked) == 1


async def test_passwords_of_netrc_are_not_sent(
    entra: Office, with_secret: TokenSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = entra.private_file("netrc", "default login thief password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with_secret.sign_in()
    assert all("authorization" not in request.headers for request in entra.served.requests)


# -- names --


def by_name(entra: Office, sign_in_as: "SignInAs", host: str, **keys: str) -> tuple[TokenSource, str]:
    """The sign-in at the service under this name, and its URL."""
    place = f"{host}:{entra.served.url.rpartition(':')[2]}"
    source = sign_in_as(
        {"MY_SECRET": SECRET},
        sign_in_url=f"https://{place}",
        credential__type="client_secret",
        credential__secret_env="MY_SECRET",
        **keys,
    )
    return source, place


@pytest.mark.parametrize(("host", "words"), [("login.example", ""), ("elsewhere.example", "is not trusted")])
def test_a_certificate_is_compared_with_the_name_and_not_with_the_address(
    entra: Office, sign_in_as: "SignInAs", monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str, words: str
) -> None:
    authority = trustme.CA()
    roots = tmp_path / "other-roots.pem"
    authority.cert_pem.write_to_path(roots)
    known = {"login.example": "127.0.0.1", "elsewhere.example": "127.0.0.1"}
    with (
        name_server(monkeypatch, known),
        serving(
            lambda _request: Reply(400, {"error": "invalid_tenant"}), server_side(authority, "login.example")
        ) as stranger,
    ):
        source = sign_in_as(
            {"MY_SECRET": SECRET},
            sign_in_url=stranger.url.replace("127.0.0.1", host),
            network__ca_file=str(roots),
            credential__type="client_secret",
            credential__secret_env="MY_SECRET",
        )
        assert words in sentence(source)
    assert bool(stranger.requests) == (not words)


@pytest.mark.fault(90, "The sign-in says which name.")
def test_a_name_that_nobody_knows_is_named(
    entra: Office, sign_in_as: "SignInAs", monkeypatch: pytest.MonkeyPatch
) -> None:
    source, place = by_name(entra, sign_in_as, "login.example")
    with name_server(monkeypatch, {}):
        message = sentence(source)
    assert message.startswith(
        f"{place} cannot be reached (the name login.example cannot be resolved: Name or service not known; check DNS);"
    )


@pytest.mark.fault(90, "A name server that does not answer: one sentence, within the sign-in's timeout.")
@pytest.mark.parametrize("proxy", ["null", "http://proxy.example:8080"])
def test_a_name_server_that_says_nothing_is_not_waited_for(
    entra: Office, sign_in_as: "SignInAs", monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setattr(session, "PATIENCE", 0.2)
    source, place = by_name(entra, sign_in_as, "login.example", network__proxy=proxy)
    with name_server(monkeypatch, {}, silent=True):
        message = sentence(source)
    name = "login.example" if proxy == "null" else "proxy.example"
    begins = f"{place} cannot be reached" if proxy == "null" else f"The proxy on the way to {place} did not connect"
    assert message.startswith(f"{begins} (the name {name} was not resolved in 0.2 s; check DNS);")


# -- secrets --


@pytest.mark.parametrize("reply", [None, refusal(7000215), Reply(200, b"<html>canary-answer</html>"), Reply(500, {})])
async def test_no_log_output_or_repr_shows_a_secret_or_a_token(
    entra: Office,
    sign_in_as: "SignInAs",
    everything_logged: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    reply: Reply | None,
) -> None:
    pair = identity("own")
    entra.tenant.register(CLIENT, secrets={SECRET: False}, certificates=[pair.certificate])
    path = entra.private_file("own.pem", pair.pem(PASSWORD))
    environ = {"MY_SECRET": SECRET, "MY_PASSWORD": PASSWORD}
    ways = [
        {"type": "client_secret", "secret_env": "MY_SECRET"},
        {"type": "certificate", "certificate_file": str(path), "password_env": "MY_PASSWORD"},
    ]
    said = []
    for way in ways:
        source = sign_in_as(environ, **{f"credential__{key}": value for key, value in way.items()})
        if reply is not None:
            entra.tenant.disorders.append(reply)
            said.append(sentence(source))
        else:
            source.sign_in()
            await source.renew()
        said += [repr(source), repr(source.claims)]
    shown = "".join([*said, *capfd.readouterr(), everything_logged.text, json.dumps(entra.told)])
    hidden = [SECRET, PASSWORD, "PRIVATE KEY", "canary-answer", *entra.tenant.tokens]
    hidden += [request.form["client_assertion"] for request in entra.asked if "client_assertion" in request.form]
    assert [word for word in hidden if word in shown] == []
    assert "Traceback" not in shown


def test_a_missing_secret_names_its_variable_and_sends_nothing(entra: Office, sign_in_as: "SignInAs") -> None:
    source = sign_in_as({}, credential__type="client_secret", credential__secret_env="MY_SECRET")
    with pytest.raises(ConfigError, match="MY_SECRET"):
        source.sign_in()
    assert entra.served.requests == []


async def test_a_secret_that_is_gone_in_the_middle_of_a_run_is_a_failed_sign_in(
    entra: Office, sign_in_as: "SignInAs", clock: "MovableClock"
) -> None:
    environ = {"MY_SECRET": SECRET}
    source = sign_in_as(environ, credential__type="client_secret", credential__secret_env="MY_SECRET")
    source.sign_in()
    del environ["MY_SECRET"]
    clock.pass_by(3590)
    assert await source.token() == entra.tenant.tokens[0]
    clock.pass_by(20)
    with pytest.raises(SignInError, match="MY_SECRET"):
        await source.token()
