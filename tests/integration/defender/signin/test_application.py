"""An application signs in through msal: secret, certificate, another provider's assertion, and each replaced."""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

import jwt
import pytest

from batch_offboard.base.errors import ConfigError, SignInError
from batch_offboard.base.secret import Secret
from batch_offboard.defender.signin import TokenKind, TokenSource, claims_of
from tests.entra.office import RESOURCE, Office, identity, key
from tests.entra.tenant import TOKEN_EXCHANGE, Federation
from tests.entra.wire import Reply
from tests.tokens import CLIENT, TENANT

if TYPE_CHECKING:
    from tests.integration.defender.signin.conftest import MovableClock, SignInAs

SECRET, PASSWORD = "q7R~canary.Secret-1", "canary-password"
ISSUER, SUBJECT = "https://issuer.example", "repo:contoso/offboarding:ref:refs/heads/main"


def own(entra: Office) -> None:
    """Every error in the form of the program's requests."""
    for request in entra.asked:
        assert request.method == "POST"
        assert request.path == f"/{TENANT}/oauth2/v2.0/token"
        assert request.form["client_id"] == CLIENT
        assert request.form["grant_type"] == "client_credentials"
        assert request.form["scope"] == f"{RESOURCE}/.default"
        assert "authorization" not in request.headers


def assertion(subject: str = SUBJECT, expires_in: float = 600, signer: str = "issuer") -> str:
    now = time.time()
    claims = {
        "iss": ISSUER,
        "sub": subject,
        "aud": TOKEN_EXCHANGE,
        "iat": now - 1000,
        "exp": now + expires_in,
        "jti": "1",
    }
    return jwt.encode(claims, key(signer), "RS256")


@pytest.fixture
def federated(entra: Office) -> None:
    registration = entra.tenant.register(CLIENT)
    registration.federations.append(Federation(ISSUER, SUBJECT, key("issuer").public_key()))


# -- a secret --


async def test_a_secret_gets_a_token_and_its_claims(entra: Office, with_secret: TokenSource) -> None:
    claims = with_secret.sign_in()
    assert (claims.tenant, claims.application, claims.kind) == (TENANT, CLIENT, TokenKind.APPLICATION)
    assert claims.audience == RESOURCE
    assert claims.roles == ("Machine.Offboard", "Machine.Read.All")
    assert await with_secret.token() == entra.tenant.tokens[0]
    assert [request.form["client_secret"] for request in entra.asked] == [SECRET]
    own(entra)


async def test_a_token_can_be_had_without_signing_in_first(entra: Office, with_secret: TokenSource) -> None:
    assert await with_secret.token() == entra.tenant.tokens[0]
    assert with_secret.claims.tenant == TENANT


async def test_sixteen_who_ask_at_once_make_one_request(entra: Office, with_secret: TokenSource) -> None:
    tokens = await asyncio.gather(*(with_secret.token() for _ in range(16)))
    assert set(tokens) == set(entra.tenant.tokens)
    assert len(entra.asked) == 1


async def test_a_refused_token_is_replaced_by_a_fresh_one(entra: Office, with_secret: TokenSource) -> None:
    with_secret.sign_in()
    await with_secret.renew()
    assert await with_secret.token() == entra.tenant.tokens[1]
    assert len(set(entra.tenant.tokens)) == 2


async def test_the_tenants_metadata_are_fetched_once(entra: Office, with_secret: TokenSource) -> None:
    with_secret.sign_in()
    await with_secret.renew()
    assert [request.path.rpartition("/")[2] for request in entra.served.requests] == [
        "openid-configuration", "token", "token",
    ]  # fmt: skip


@pytest.mark.fault(109, "The next renewal reads the new one.")
async def test_a_rotated_secret_file_is_read_again(entra: Office, sign_in_as: "SignInAs") -> None:
    path = entra.private_file("secret", "old-secret\n")
    registration = entra.tenant.register(CLIENT, secrets={"old-secret": False, "new-secret": False})
    source = sign_in_as(credential__type="client_secret", credential__secret_file=str(path))
    source.sign_in()
    registration.secrets["old-secret"] = True
    entra.private_file("secret", "new-secret\n")
    await source.renew()
    assert [request.form["client_secret"] for request in entra.asked] == ["old-secret", "new-secret"]


@pytest.mark.skipif("os.name != 'posix'", reason="the mode says nothing on Windows")
def test_a_secret_file_that_others_may_read_is_refused_before_anything_is_sent(
    entra: Office, sign_in_as: "SignInAs"
) -> None:
    path = entra.private_file("secret", SECRET)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        sign_in_as(credential__type="client_secret", credential__secret_file=str(path)).sign_in()
    assert entra.served.requests == []


async def test_a_wrong_secret_is_asked_once_until_it_is_another(entra: Office, sign_in_as: "SignInAs") -> None:
    environ = {"MY_SECRET": "wrong"}
    source = sign_in_as(environ, credential__type="client_secret", credential__secret_env="MY_SECRET")
    for _ in range(3):
        with pytest.raises(SignInError, match=r"variable MY_SECRET \(credential\.secret_env\).*AADSTS7000215"):
            source.sign_in()
    with pytest.raises(SignInError, match="AADSTS7000215"):
        await source.token()
    with pytest.raises(SignInError, match="AADSTS7000215"):
        await source.renew()
    assert len(entra.asked) == 1
    environ["MY_SECRET"] = SECRET
    source.sign_in()
    assert len(entra.asked) == 2


async def test_what_an_administrator_mends_later_helps_a_program_that_was_refused_before(
    entra: Office, sign_in_as: "SignInAs", clock: "MovableClock"
) -> None:
    secrets = entra.tenant.registrations[CLIENT].secrets
    secrets.clear()
    source = sign_in_as({"MY_SECRET": SECRET}, credential__type="client_secret", credential__secret_env="MY_SECRET")
    with pytest.raises(SignInError, match="AADSTS7000215"):
        source.sign_in()
    secrets[SECRET] = False
    clock.pass_by(290)
    with pytest.raises(SignInError, match="AADSTS7000215"):
        await source.token()
    assert len(entra.asked) == 1
    clock.pass_by(20)
    assert await source.token()
    assert len(entra.asked) == 2


def test_no_setting_of_the_environment_sends_the_secret_to_another_host(
    entra: Office, with_secret: TokenSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MSAL_FORCE_REGION", "westeurope")
    monkeypatch.setenv("REGION_NAME", "westeurope")
    with_secret.sign_in()
    assert len(entra.asked) == 1


# -- a certificate --


@pytest.mark.parametrize("form", ["pem", "pfx"])
@pytest.mark.parametrize("password", [None, PASSWORD])
async def test_a_certificate_signs_what_entra_can_check(
    entra: Office, sign_in_as: "SignInAs", form: str, password: str | None
) -> None:
    pair = identity("own")
    entra.tenant.register(CLIENT, certificates=[pair.certificate])
    path = entra.private_file("own", pair.pem(password) if form == "pem" else pair.pfx(password))
    keys = {"credential__password_env": "MY_PASSWORD"} if password else {}
    source = sign_in_as(
        {"MY_PASSWORD": PASSWORD}, credential__type="certificate", credential__certificate_file=str(path), **keys
    )
    assert source.sign_in().application == CLIENT
    await source.renew()
    own(entra)
    for header in entra.tenant.assertions:
        assert header["alg"] == "PS256"
        assert header["x5t#S256"]
        assert len(header["x5c"]) == 1


def test_a_certificate_is_trusted_by_its_subject_name_alone(entra: Office, sign_in_as: "SignInAs") -> None:
    """Microsoft's SNI: the certificate that was sent is trusted because of its authority."""
    pair = identity("own", signer="authority")
    entra.tenant.register(CLIENT, trusted_subjects={"own": key("authority").public_key()})
    path = entra.private_file("own.pem", pair.pem())
    source = sign_in_as(credential__type="certificate", credential__certificate_file=str(path))
    assert source.sign_in().application == CLIENT


@pytest.mark.fault(109, "The next renewal reads the new one.")
async def test_a_rotated_certificate_is_read_again(entra: Office, sign_in_as: "SignInAs") -> None:
    old, new = identity("own"), identity("other")
    registration = entra.tenant.register(CLIENT, certificates=[old.certificate])
    path = entra.private_file("own.pem", old.pem())
    source = sign_in_as(credential__type="certificate", credential__certificate_file=str(path))
    source.sign_in()
    registration.certificates[:] = [new.certificate]
    with pytest.raises(SignInError, match=r"own\.pem \(credential\.certificate_file\).*AADSTS700027"):
        await source.renew()
    entra.private_file("own.pem", new.pem())
    await source.renew()
    assert len(entra.tenant.tokens) == 2


async def test_a_new_certificate_for_the_same_key_is_asked_with_though_the_old_one_was_refused(
    entra: Office, sign_in_as: "SignInAs"
) -> None:
    old, new = identity("own"), identity("own")
    entra.tenant.register(CLIENT, certificates=[new.certificate])
    path = entra.private_file("own.pem", old.pem())
    source = sign_in_as(credential__type="certificate", credential__certificate_file=str(path))
    for _ in range(2):
        with pytest.raises(SignInError, match="AADSTS700027"):
            source.sign_in()
    assert len(entra.asked) == 1
    entra.private_file("own.pem", new.pem())
    assert source.sign_in().application == CLIENT


def test_a_certificate_that_ended_is_refused_before_anything_is_sent(
    entra: Office, sign_in_as: "SignInAs", clock: "MovableClock"
) -> None:
    path = entra.private_file("own.pem", identity("own").pem())
    clock.pass_by(31 * 86_400)
    with pytest.raises(SignInError, match=r"own\.pem expired at 20"):
        sign_in_as(credential__type="certificate", credential__certificate_file=str(path)).sign_in()
    assert entra.served.requests == []


def test_a_wrong_password_is_one_sentence_without_it(entra: Office, sign_in_as: "SignInAs") -> None:
    path = entra.private_file("own.pfx", identity("own").pfx("right"))
    source = sign_in_as(
        {"MY_PASSWORD": PASSWORD},
        credential__type="certificate",
        credential__certificate_file=str(path),
        credential__password_env="MY_PASSWORD",
    )
    with pytest.raises(SignInError, match="cannot be opened with the configured password") as raised:
        source.sign_in()
    assert PASSWORD not in str(raised.value)


# -- an assertion of another provider --


@pytest.mark.usefixtures("federated")
async def test_an_assertion_is_read_again_for_each_token_through_links_and_whoever_may_read_it(
    entra: Office, sign_in_as: "SignInAs"
) -> None:
    data, link = entra.folder / "..data", entra.folder / "token"
    data.write_text(f"{assertion()}\n", encoding="ascii")
    data.chmod(0o644)
    link_or_copy(link, data)
    source = sign_in_as(credential__type="federated", credential__assertion_file=str(link))
    assert source.sign_in().application == CLIENT
    second = assertion(expires_in=700)
    data.write_text(second, encoding="ascii")
    await source.renew()
    assert entra.asked[1].form["client_assertion"] == second
    own(entra)


def link_or_copy(link: Path, target: Path) -> None:
    try:
        link.symlink_to(target)
    except OSError:  # on Windows this needs a privilege
        link.hardlink_to(target)


@pytest.mark.usefixtures("federated")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (assertion(subject="repo:contoso/other"), "AADSTS700213"),
        (assertion(signer="stranger"), "AADSTS700027"),
        (assertion(expires_in=-5), "AADSTS700024"),
    ],
)
def test_an_assertion_that_does_not_fit_is_named_by_its_file(
    entra: Office, sign_in_as: "SignInAs", text: str, words: str
) -> None:
    path = entra.folder / "token"
    path.write_text(text, encoding="ascii")
    with pytest.raises(SignInError, match=rf"token \(credential\.assertion_file\).*{words}"):
        sign_in_as(credential__type="federated", credential__assertion_file=str(path)).sign_in()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "contains no assertion"),
        (b"two words", "contains no assertion"),
        (b"\xff\xfe", "contains no assertion"),
        (b"x" * 70_000, "larger than 64 KiB"),
        (None, "cannot be read"),
    ],
)
def test_a_file_without_an_assertion_is_a_mistake_of_the_configuration(
    entra: Office, sign_in_as: "SignInAs", content: bytes | None, words: str
) -> None:
    path = entra.folder / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        sign_in_as(credential__type="federated", credential__assertion_file=str(path)).sign_in()
    assert entra.served.requests == []


# -- a token's lifetime --


async def test_a_token_is_renewed_before_its_end(
    entra: Office, with_secret: TokenSource, clock: "MovableClock"
) -> None:
    with_secret.sign_in()
    clock.pass_by(3590)
    assert await with_secret.token() == entra.tenant.tokens[1]


async def test_a_good_token_is_used_on_while_the_service_is_down(
    entra: Office, with_secret: TokenSource, clock: "MovableClock"
) -> None:
    with_secret.sign_in()
    entra.tenant.disorders.append(Reply(500, {}, {"Retry-After": "0"}))
    clock.pass_by(3590)
    assert await with_secret.token() == entra.tenant.tokens[0]
    assert len(entra.asked) == 2
    clock.pass_by(31)
    assert await with_secret.token() == entra.tenant.tokens[1]


@pytest.mark.parametrize("lifetime", ["3599", 3599, None])
def test_a_life_may_be_a_number_a_text_or_left_out(entra: Office, with_secret: TokenSource, lifetime: object) -> None:
    entra.tenant.lifetime = lifetime
    assert with_secret.sign_in().tenant == TENANT


@pytest.mark.fault(106, "Refused.")
@pytest.mark.parametrize("lifetime", [-5, "-5", 0, "soon", {}])
def test_a_life_that_is_none_is_refused(entra: Office, with_secret: TokenSource, lifetime: object) -> None:
    entra.tenant.lifetime = lifetime
    with pytest.raises(SignInError, match=r"expired token|cannot be read"):
        with_secret.sign_in()


@pytest.mark.fault(110, "Refused.")
@pytest.mark.parametrize(
    ("claims", "words"),
    [({"tid": "99999999-0000-4000-8000-000000000000"}, "correct tenant_id"), ({"appid": "x"}, "correct client_id")],
)
def test_a_token_of_somebody_else_is_not_taken(
    entra: Office, with_secret: TokenSource, claims: dict[str, object], words: str
) -> None:
    entra.tenant.claims = claims
    with pytest.raises(SignInError, match=words):
        with_secret.sign_in()


async def test_an_opaque_token_is_taken_as_it_is(entra: Office, with_secret: TokenSource) -> None:
    entra.tenant.disorders.append(Reply(body={"access_token": "opaque", "token_type": "Bearer", "expires_in": 60}))
    with_secret.sign_in()
    assert await with_secret.token() == "opaque"
    assert claims_of(Secret("opaque")) == with_secret.claims
