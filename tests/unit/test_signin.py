"""What a token says of itself, when it is refused before a call, and that it never shows."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.config import Secret, SecretName
from batch_offboard.config.secret import SecretPlace
from batch_offboard.errors import ConfigError, SignInError
from batch_offboard.signin import Claims, ReadyToken, RehearsalToken, claims_of

NOW = 1_795_500_000.0
TENANT, OTHER = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"
PLACE = SecretName(SecretPlace.VARIABLE, "TOKEN", "credential.token_env")


def jwt(claims: object) -> str:
    """A token with these claims, as unpadded as they are in the wild."""
    parts = (json.dumps(part).encode() for part in ({"alg": "RS256"}, claims))
    return ".".join([base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts] + ["signature"])


def ready(token: str, tenant: str | None = None) -> ReadyToken:
    return ReadyToken(PLACE, {"TOKEN": token}, NOW, tenant)


@pytest.mark.parametrize(
    ("claims", "read"),
    [
        ({"tid": TENANT, "appid": "app", "exp": 5}, Claims(TENANT, "app", 5.0)),
        ({"tid": TENANT, "azp": "app", "exp": 5.5}, Claims(TENANT, "app", 5.5)),
        ({}, Claims()),
        ({"tid": 7, "appid": ["a"], "exp": "soon"}, Claims()),
        ({"exp": True}, Claims()),
        ([1, 2], Claims()),
        ("text", Claims()),
        (None, Claims()),
    ],
)
def test_claims_are_read_where_they_are_what_they_should_be(claims: object, read: Claims) -> None:
    assert claims_of(Secret(jwt(claims))) == read


@pytest.mark.parametrize("token", ["", "opaque", "a.b", "a.b.c", "a.b.c.d", "..", "a.é.c", "a.////.c", "a.e30.c"])
def test_what_is_no_jwt_claims_nothing(token: str) -> None:
    assert claims_of(Secret(token)) == Claims()


def around(middle: bytes) -> str:
    return f"a.{base64.urlsafe_b64encode(middle).decode()}.c"


@given(st.one_of(st.text(), st.text().map("a.{}.c".format), st.binary().map(around)))
def test_no_token_is_too_strange_to_be_read(token: str) -> None:
    assert isinstance(claims_of(Secret(token)), Claims)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["tid", "appid", "azp", "exp"]), JSON))
def test_no_claims_are_too_strange_to_be_read(claims: Mapping[str, Any]) -> None:
    read = claims_of(Secret(jwt(claims)))
    assert read.expires is None or isinstance(read.expires, float)


@pytest.mark.parametrize("end", ["1" + "0" * 400, "1e400", "-1e400", "NaN", "-1", "-1e15", "1e15"])
def test_a_time_that_no_calendar_shows_is_no_end_of_a_token(end: str) -> None:
    token = around(f'{{"exp": {end}}}'.encode())
    assert ready(token).claims.expires is None


def test_claims_of_bottomless_depth_claim_nothing() -> None:
    assert claims_of(Secret(around(b'{"tid":' * 50_000))) == Claims()


def test_a_token_that_has_ended_is_refused_with_its_place_and_time() -> None:
    with pytest.raises(SignInError, match=r"credential\.token_env: TOKEN.*2026-11-24T05:59:59Z"):
        ready(jwt({"exp": NOW - 1}))


async def test_a_token_that_has_not_ended_is_handed_out_as_it_is() -> None:
    token = jwt({"exp": NOW + 1})
    assert await ready(token).token() == token


def test_a_missing_token_names_its_variable() -> None:
    with pytest.raises(ConfigError, match="TOKEN"):
        ReadyToken(PLACE, {}, NOW)


async def test_a_renewed_token_takes_the_place_of_the_refused_one() -> None:
    environ = {"TOKEN": "old"}
    source = ReadyToken(PLACE, environ, NOW)
    environ["TOKEN"] = "new"
    await source.renew()
    assert await source.token() == "new"


async def test_a_token_that_is_still_the_refused_one_is_no_renewal() -> None:
    source = ready("canary-token")
    with pytest.raises(SignInError, match="get a new one") as raised:
        await source.renew()
    assert "canary-token" not in str(raised.value)
    assert await source.token() == "canary-token"


@pytest.mark.parametrize("named", [TENANT, None])
def test_a_token_of_the_tenant_that_is_named_or_of_any_if_none_is(named: str | None) -> None:
    assert ready(jwt({"tid": TENANT.upper()}), named).claims.tenant == TENANT.upper()


async def test_a_token_of_another_tenant_is_refused_at_first_and_when_renewed() -> None:
    with pytest.raises(SignInError, match="for tenant 9999"):
        ready(jwt({"tid": OTHER}), TENANT)
    environ = {"TOKEN": jwt({"tid": TENANT})}
    source = ReadyToken(PLACE, environ, NOW, TENANT)
    environ["TOKEN"] = jwt({"tid": OTHER})
    with pytest.raises(SignInError, match="for tenant 9999"):
        await source.renew()


async def test_a_rehearsal_has_one_token_and_no_other() -> None:
    assert await RehearsalToken().token() == "rehearsal"
    with pytest.raises(SignInError, match="fault"):
        await RehearsalToken().renew()


def test_no_source_shows_its_token() -> None:
    source = ready("canary-token")
    assert "canary-token" not in repr(source) + str(source)
