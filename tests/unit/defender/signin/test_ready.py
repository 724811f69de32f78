"""A token from another program: when it is refused before a call, when it is read again, and that it is never shown."""

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.errors import ConfigError, SignInError
from batch_offboard.config import SecretName
from batch_offboard.config.secret import SecretPlace
from batch_offboard.defender.signin import ReadyToken, RehearsalToken
from batch_offboard.defender.signin.ready import objection_to
from tests.tokens import OTHER_TENANT, TENANT, jwt

if TYPE_CHECKING:
    from tests.unit.defender.signin.conftest import HandClock

NOW = 1_795_500_000.0
PLACE = SecretName(SecretPlace.VARIABLE, "TOKEN", "credential.token_env")


@pytest.fixture
def environ() -> dict[str, str]:
    return {}


@pytest.fixture
def source(environ: dict[str, str], clock: "HandClock") -> ReadyToken:
    return ReadyToken(PLACE, environ, clock, TENANT)


def test_signing_in_reads_the_token_and_what_it_says(source: ReadyToken, environ: dict[str, str]) -> None:
    environ["TOKEN"] = jwt({"tid": TENANT, "exp": NOW + 60})
    assert source.claims.tenant == ""
    assert source.sign_in().tenant == source.claims.tenant == TENANT


def test_a_token_that_has_ended_is_refused_with_its_place_and_time(source: ReadyToken, environ: dict[str, str]) -> None:
    environ["TOKEN"] = jwt({"exp": NOW - 1})
    with pytest.raises(SignInError, match=r"credential\.token_env: TOKEN.*2026-11-24 06:59:59\+01:00"):
        source.sign_in()


TOKEN = jwt({"tid": TENANT})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f'"{TOKEN}"', "is in quotes"),
        (f"'{TOKEN}'", "is in quotes"),
        (f"“{TOKEN}”", "is in quotes"),
        (f'{TOKEN}"', "is in quotes"),
        (f"Bearer {TOKEN}", "begins with the word Bearer"),
        (f"bearer {TOKEN}", "begins with the word Bearer"),
        (f"Authorization: Bearer {TOKEN}", "begins with the word Bearer"),
        (f'"Bearer {TOKEN}"', "is in quotes"),
        (f'{{"accessToken": "{TOKEN}"}}', "is JSON"),
        (f' {{"accessToken": "{TOKEN}"}}', "is JSON"),
        ("System.Security.SecureString", "ConvertFrom-SecureString"),
        ('"System.Security.SecureString"', "ConvertFrom-SecureString"),
        ("@{Token=System.Security.SecureString}", "ConvertFrom-SecureString"),
        (f"{TOKEN[:20]} {TOKEN[20:]}", "contains spaces"),
        (f" {TOKEN}", "contains spaces"),
        (f"{TOKEN}\u00a0", "contains spaces"),
        ("null", "a script prints"),
        ("None", "a script prints"),
        (f"<{TOKEN}>", "not allowed in a token"),
        (f"{TOKEN}\u200b", "not allowed in a token"),
        (f"{TOKEN}…", "not allowed in a token"),
    ],
)
async def test_what_is_no_token_is_refused_when_it_is_read_and_says_nothing_of_it(
    source: ReadyToken, environ: dict[str, str], text: str, words: str
) -> None:
    environ["TOKEN"] = text
    with pytest.raises(ConfigError) as raised:
        source.sign_in()
    assert str(raised.value).startswith("The access token (credential.token_env: TOKEN) ")
    assert words in str(raised.value)
    assert TOKEN[10:40] not in str(raised.value)
    with pytest.raises(SignInError, match=words):
        await source.token()


@given(text=st.text(min_size=1, max_size=60))
def test_whatever_is_taken_for_a_token_can_stand_in_a_header_as_it_is(text: str) -> None:
    objection = objection_to(text)
    if objection is None:
        assert re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", text)
    elif len(text) > 8 and not text.isalpha():
        assert text not in objection


@given(claims=st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=4))
def test_a_token_is_never_objected_to(claims: dict[str, str]) -> None:
    assert objection_to(jwt(claims)) is None


async def test_a_token_is_handed_out_as_it_is(source: ReadyToken, environ: dict[str, str]) -> None:
    environ["TOKEN"] = token = jwt({"exp": NOW + 1})
    source.sign_in()
    assert await source.token() == token


def test_a_missing_token_names_its_variable(source: ReadyToken) -> None:
    with pytest.raises(ConfigError, match="TOKEN"):
        source.sign_in()


async def test_a_token_that_is_gone_in_the_middle_of_a_run_is_a_failed_sign_in(
    source: ReadyToken, environ: dict[str, str]
) -> None:
    environ["TOKEN"] = "opaque"
    source.sign_in()
    del environ["TOKEN"]
    with pytest.raises(SignInError, match="TOKEN"):
        await source.renew()


async def test_a_token_that_was_renewed_before_its_end_is_noticed_at_its_end(
    source: ReadyToken, environ: dict[str, str], clock: "HandClock"
) -> None:
    environ["TOKEN"] = first = jwt({"exp": NOW + 60})
    source.sign_in()
    environ["TOKEN"] = second = jwt({"exp": NOW + 120})
    assert await source.token() == first
    clock.pass_by(60)
    assert await source.token() == second


async def test_a_token_that_nobody_renewed_is_left_to_the_api_to_refuse(
    source: ReadyToken, environ: dict[str, str], clock: "HandClock"
) -> None:
    environ["TOKEN"] = token = jwt({"exp": NOW + 60})
    source.sign_in()
    clock.pass_by(61)
    assert await source.token() == token


async def test_a_renewed_token_takes_the_place_of_the_refused_one(source: ReadyToken, environ: dict[str, str]) -> None:
    environ["TOKEN"] = "old"
    source.sign_in()
    environ["TOKEN"] = "new"
    await source.renew()
    assert await source.token() == "new"


async def test_a_token_that_is_still_the_refused_one_is_no_renewal(source: ReadyToken, environ: dict[str, str]) -> None:
    environ["TOKEN"] = "canary-token"
    source.sign_in()
    with pytest.raises(SignInError, match="get a new one") as raised:
        await source.renew()
    assert "canary-token" not in str(raised.value)
    assert await source.token() == "canary-token"


@pytest.mark.parametrize("named", [TENANT, None])
def test_a_token_of_the_tenant_that_is_named_or_of_any_if_none_is(named: str | None, clock: "HandClock") -> None:
    source = ReadyToken(PLACE, {"TOKEN": jwt({"tid": TENANT.upper()})}, clock, named)
    assert source.sign_in().tenant == TENANT.upper()


async def test_a_token_of_another_tenant_is_refused_at_first_and_when_renewed(
    source: ReadyToken, environ: dict[str, str]
) -> None:
    environ["TOKEN"] = jwt({"tid": OTHER_TENANT})
    with pytest.raises(SignInError, match="for tenant 9999"):
        source.sign_in()
    environ["TOKEN"] = jwt({"tid": TENANT})
    source.sign_in()
    environ["TOKEN"] = jwt({"tid": OTHER_TENANT})
    with pytest.raises(SignInError, match="for tenant 9999"):
        await source.renew()


async def test_a_rehearsal_has_one_token_and_no_other() -> None:
    source = RehearsalToken()
    assert source.sign_in() == source.claims
    assert await source.token() == "rehearsal"
    with pytest.raises(SignInError, match="fault"):
        await source.renew()


def test_no_source_shows_its_token(source: ReadyToken, environ: dict[str, str]) -> None:
    environ["TOKEN"] = "canary-token"
    source.sign_in()
    assert "canary-token" not in repr(source) + str(source) + repr(source.claims)
