"""A person signs in with a code, through msal: what is shown, how it polls, and what is stored."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msal_extensions
import pytest
from cryptography.fernet import Fernet

from batch_offboard.base.errors import ConfigError, SignInError
from batch_offboard.defender.signin import KeptToken, TokenKind, TokenSource, TransientSignInError
from tests.entra.office import RESOURCE, Office
from tests.entra.tenant import DEVICE_CODE
from tests.entra.wire import Reply
from tests.tokens import CLIENT, TENANT

if TYPE_CHECKING:
    from tests.integration.defender.signin.conftest import MovableClock, SignInAs

# msal reads the machine's clock, and the tests advance the time themselves.
pytestmark = pytest.mark.filterwarnings("ignore:Attempted too soon")

AsPerson = Callable[..., TokenSource]


@pytest.fixture
def as_person(sign_in_as: "SignInAs", entra: Office, clock: "MovableClock") -> AsPerson:
    """A source with credential.type device_code, for which the test advances the time between two polls."""
    entra.tenant.register(CLIENT, public=True)

    def source(**keys: str) -> TokenSource:
        made = sign_in_as(credential__type="device_code", **keys)
        assert isinstance(made, KeptToken)
        made._asking()._wait = clock.pass_by  # type: ignore[attr-defined]  # it is a Person
        return made

    return source


def polls(entra: Office) -> int:
    return sum(request.form["grant_type"] == DEVICE_CODE for request in entra.asked)


async def test_a_person_is_told_where_to_type_what_and_gets_a_token(entra: Office, as_person: AsPerson) -> None:
    source = as_person()
    claims = source.sign_in()
    assert (claims.tenant, claims.kind, claims.scp) == (TENANT, TokenKind.USER, ("Machine.Offboard", "Machine.Read"))
    assert await source.token() == entra.tenant.tokens[0]
    code, who = entra.told
    assert "open https://microsoft.example/devicelogin in a browser and enter the code ABCD-EFGH, until 20" in code
    assert who == "Signed in as ann@contoso.example."


def test_it_is_waited_for_as_slowly_as_the_service_wants(entra: Office, as_person: AsPerson) -> None:
    entra.tenant.person.extendleft(["waits", "slow_down", "waits", "waits"])
    as_person().sign_in()
    assert polls(entra) == 5
    assert entra.tenant.faults == []


async def test_the_life_of_a_token_begins_when_somebody_has_signed_in_and_not_when_they_were_asked(
    entra: Office, as_person: AsPerson
) -> None:
    entra.tenant.person.extendleft(["waits"] * 5)
    entra.tenant.interval, entra.tenant.lifetime = 100, 120
    source = as_person()
    source.sign_in()
    assert await source.token() == entra.tenant.tokens[0]
    assert len(entra.tenant.tokens) == 1


def test_a_service_that_names_no_interval_is_not_asked_without_a_pause(
    entra: Office, as_person: AsPerson, clock: "MovableClock"
) -> None:
    entra.tenant.interval = 0
    as_person().sign_in()
    assert clock.ahead >= 1


@pytest.mark.parametrize(
    ("does", "words"),
    [("declines", r"declined \(AADSTS65004: .+\); start again"), ("waits", r"expired before anyone.*AADSTS70020")],
)
def test_a_code_that_is_declined_or_forgotten_is_a_sentence(
    entra: Office, as_person: AsPerson, does: str, words: str
) -> None:
    entra.tenant.person[0], entra.tenant.code_lasts, entra.tenant.interval = does, 60, 25
    with pytest.raises(SignInError, match=words):
        as_person().sign_in()


def test_a_code_that_the_service_never_ends_is_ended_here(
    entra: Office, as_person: AsPerson, clock: "MovableClock"
) -> None:
    entra.tenant.now, entra.tenant.interval = lambda: 0.0, 0
    entra.tenant.person[0], entra.tenant.code_lasts = "waits", 3
    with pytest.raises(SignInError, match=r"expired before anyone.*code_expired"):
        as_person().sign_in()
    assert clock.ahead <= 4


def test_trouble_while_somebody_types_does_not_end_the_waiting(entra: Office, as_person: AsPerson) -> None:
    entra.tenant.disorders.append(Reply(503, {}, {"Retry-After": "0"}))
    assert as_person().sign_in().tenant == TENANT


def test_trouble_until_the_code_has_ended_is_told(entra: Office, as_person: AsPerson) -> None:
    entra.tenant.disorders.extend([Reply(503, {}, {"Retry-After": "0"})] * 100)
    entra.tenant.code_lasts, entra.tenant.interval = 60, 25
    with pytest.raises(TransientSignInError, match="HTTP 503"):
        as_person().sign_in()


def test_an_application_that_allows_no_public_flow_is_named(entra: Office, as_person: AsPerson) -> None:
    entra.tenant.registrations[CLIENT].public = False
    with pytest.raises(SignInError, match=r"Allow public client flows.*") as raised:
        as_person().sign_in()
    assert "AADSTS7000218" in str(raised.value)


def test_ctrl_c_ends_the_waiting(entra: Office, as_person: AsPerson) -> None:
    entra.tenant.person[0] = "waits"
    source = as_person()

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    source._asking()._wait = interrupted  # type: ignore[attr-defined]  # it is a KeptToken
    with pytest.raises(KeyboardInterrupt):
        source.sign_in()


# -- later in the run --


async def test_a_token_is_renewed_without_asking_the_person_again(
    entra: Office, as_person: AsPerson, clock: "MovableClock"
) -> None:
    source = as_person()
    source.sign_in()
    for turn in range(1, 4):
        clock.pass_by(3590)
        assert await source.token() == entra.tenant.tokens[turn]
    await source.renew()
    assert [request.form["grant_type"] for request in entra.asked[1:]] == ["refresh_token"] * 4
    assert len(entra.told) == 2


@pytest.mark.parametrize("number", [70043, 50173, 700082])
async def test_a_sign_in_that_was_ended_meanwhile_is_told_and_nobody_is_asked(
    entra: Office, as_person: AsPerson, clock: "MovableClock", number: int
) -> None:
    source = as_person()
    source.sign_in()
    entra.tenant.ended_refresh = number
    clock.pass_by(3590)
    assert await source.token() == entra.tenant.tokens[0]
    clock.pass_by(11)
    with pytest.raises(SignInError, match=f"has expired \\(AADSTS{number}[:)]"):
        await source.token()
    assert len(entra.told) == 2


async def test_a_run_that_nobody_signed_in_for_asks_nobody(entra: Office, as_person: AsPerson) -> None:
    with pytest.raises(SignInError, match="No account is signed in"):
        await as_person().token()
    assert entra.told == []


# -- what is stored --


class Vault(msal_extensions.FilePersistence):  # type: ignore[misc]  # it comes without types
    """Replaces the operating system's encryption, which is not available everywhere."""

    is_encrypted = True
    fernet = Fernet(Fernet.generate_key())

    def save(self, content: str) -> None:
        super().save(self.fernet.encrypt(content.encode()).decode())

    def load(self) -> str:
        return self.fernet.decrypt(super().load().encode()).decode()


class Paper(msal_extensions.FilePersistence):  # type: ignore[misc]  # likewise
    """Stores everything unencrypted."""


@pytest.fixture
def vault(entra: Office, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the stored sign-ins."""
    state = entra.folder / "state"
    for name in ("XDG_STATE_HOME", "LOCALAPPDATA", "WIN_PD_OVERRIDE_LOCAL_APPDATA", "HOME"):
        monkeypatch.setenv(name, str(state))
    monkeypatch.setattr(msal_extensions, "build_encrypted_persistence", Vault)
    return state


def kept(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_nothing_is_kept_unless_it_is_asked_for(entra: Office, as_person: AsPerson, vault: Path) -> None:
    as_person().sign_in()
    assert not vault.exists()
    as_person().sign_in()
    assert polls(entra) == 2


async def test_an_encrypted_sign_in_serves_the_next_command_and_says_whose_it_is(
    entra: Office, as_person: AsPerson, vault: Path
) -> None:
    as_person(credential__token_cache="encrypted").sign_in()
    entra.told.clear()
    later = as_person(credential__token_cache="encrypted")
    assert later.sign_in().tenant == TENANT
    assert entra.told == ["Signed in as ann@contoso.example."]
    assert polls(entra) == 1
    await later.renew()
    content = kept(vault)
    assert content
    assert [token for token in entra.tenant.tokens if token.encode() in content] == []
    assert b"refresh-token" not in content


def test_a_kept_sign_in_that_has_ended_is_asked_for_anew(
    entra: Office, as_person: AsPerson, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_person(credential__token_cache="encrypted").sign_in()
    entra.tenant.ended_refresh = 70043
    entra.told.clear()
    with hours_later(monkeypatch):
        assert as_person(credential__token_cache="encrypted").sign_in().tenant == TENANT
    assert [text.split(",")[0] for text in entra.told] == [
        "The stored sign-in has expired.", "To sign in", "Signed in as ann@contoso.example.",
    ]  # fmt: skip


def test_a_kept_sign_in_is_not_thrown_away_because_the_service_is_down(
    entra: Office, as_person: AsPerson, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_person(credential__token_cache="encrypted").sign_in()
    entra.tenant.disorders.append(Reply(503, {}))
    entra.told.clear()
    with hours_later(monkeypatch), pytest.raises(TransientSignInError, match="HTTP 503"):
        as_person(credential__token_cache="encrypted").sign_in()
    assert entra.told == []


def test_whoever_signs_in_anew_takes_the_place_of_who_did_before(
    entra: Office, as_person: AsPerson, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_person(credential__token_cache="encrypted").sign_in()
    entra.tenant.ended_refresh, entra.tenant.user = 50173, "bob@contoso.example"
    with hours_later(monkeypatch):
        as_person(credential__token_cache="encrypted").sign_in()
    entra.told.clear()
    as_person(credential__token_cache="encrypted").sign_in()
    assert entra.told == ["Signed in as bob@contoso.example."]


def test_nobody_is_picked_when_several_people_are_kept(
    entra: Office, as_person: AsPerson, clock: "MovableClock"
) -> None:
    source = as_person()
    source.sign_in()
    cache = source._asking()._cache  # type: ignore[attr-defined]  # it is a KeptToken
    other = {"home_account_id": "bob.x", "environment": "127.0.0.1", "realm": TENANT, "username": "bob"}
    other |= {"local_account_id": "b", "authority_type": "MSSTS"}
    cache.modify(cache.CredentialType.ACCOUNT, other, other)
    clock.pass_by(3590)
    source.sign_in()
    assert polls(entra) == 2
    clock.pass_by(3590)
    source.sign_in()
    assert polls(entra) == 2


@contextmanager
def hours_later(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """msal's cache uses the machine's clock."""
    now = time.time
    with monkeypatch.context() as patched:
        patched.setattr("msal.application.time.time", lambda: now() + 7200)
        yield


@pytest.mark.parametrize(
    ("offer", "words"),
    [
        (Paper, "its storage is not encrypted"),
        (None, "ImportError"),
    ],
)
def test_a_system_without_encryption_keeps_nothing_and_says_what_to_do(
    entra: Office,
    as_person: AsPerson,
    vault: Path,
    monkeypatch: pytest.MonkeyPatch,
    offer: type[msal_extensions.FilePersistence] | None,
    words: str,
) -> None:
    def missing(_place: str) -> None:
        raise ImportError("Unable to import module 'gi'")

    monkeypatch.setattr(msal_extensions, "build_encrypted_persistence", offer or missing)
    with pytest.raises(ConfigError, match=words) as raised:
        as_person(credential__token_cache="encrypted").sign_in()
    assert "set it to memory, or on Linux install python3-gi" in str(raised.value)
    assert entra.asked == []
    assert kept(vault) == b""


def test_a_missing_package_is_named(entra: Office, as_person: AsPerson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msal_extensions", None)
    with pytest.raises(ConfigError, match="pip install msal-extensions"):
        as_person(credential__token_cache="encrypted").sign_in()


def test_what_is_kept_and_cannot_be_decrypted_is_a_sentence(
    entra: Office, as_person: AsPerson, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_person(credential__token_cache="encrypted").sign_in()
    monkeypatch.setattr(Vault, "fernet", Fernet(Fernet.generate_key()))
    monkeypatch.setattr("msal_extensions.token_cache.time.sleep", lambda _seconds: None)
    with pytest.raises(SignInError) as raised:
        as_person(credential__token_cache="encrypted").sign_in()
    assert "Traceback" not in str(raised.value)
    assert os.fspath(vault) not in str(raised.value) or "cannot be read" in str(raised.value)


# -- secrets --


async def test_no_log_shows_a_code_a_token_or_what_refreshes_it(
    entra: Office,
    as_person: AsPerson,
    everything_logged: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    source = as_person()
    source.sign_in()
    await source.renew()
    assert RESOURCE in source.claims.audience
    shown = "".join([everything_logged.text, *capfd.readouterr(), *entra.told, repr(source)])
    hidden = ["refresh-token", "device-code-", *entra.tenant.tokens]
    assert [word for word in hidden if word in shown] == []
