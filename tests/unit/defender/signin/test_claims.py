"""The claims of a token, and how long it is valid."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.secret import Secret
from batch_offboard.defender.signin.claims import (
    ASSUMED_LIFETIME,
    LONGEST_LIFETIME,
    Claims,
    TokenKind,
    claims_of,
    lifetime,
)
from tests.tokens import TENANT, around, jwt

NOW = 1_795_500_000.0


@pytest.mark.parametrize(
    ("claims", "read"),
    [
        ({"tid": TENANT, "appid": "app", "exp": 5}, Claims(TENANT, "app", 5.0)),
        ({"tid": TENANT, "azp": "app", "exp": 5.5}, Claims(TENANT, "app", 5.5)),
        ({"aud": "https://api.example"}, Claims(audience="https://api.example")),
        ({"aud": ["a", "b"]}, Claims()),
        ({"roles": ["Machine.Offboard", 7, "Machine.Read.All"]}, Claims(
            roles=("Machine.Offboard", "Machine.Read.All"), kind=TokenKind.APPLICATION
        )),
        ({"scp": "Machine.Offboard Machine.Read"}, Claims(
            scp=("Machine.Offboard", "Machine.Read"), kind=TokenKind.USER
        )),
        ({}, Claims()),
        ({"tid": 7, "appid": ["a"], "exp": "soon", "roles": 7, "scp": {}}, Claims()),
        ({"exp": True}, Claims()),
        ([1, 2], Claims()),
        ("text", Claims()),
        (None, Claims()),
    ],
)  # fmt: skip
def test_claims_are_read_where_they_are_what_they_should_be(claims: object, read: Claims) -> None:
    assert claims_of(Secret(jwt(claims))) == read


@pytest.mark.parametrize(
    ("claims", "kind"),
    [
        ({"idtyp": "app"}, TokenKind.APPLICATION),
        ({"idtyp": "user", "roles": ["a role that the user has"]}, TokenKind.USER),
        ({"idtyp": "device"}, TokenKind.UNKNOWN),
        ({"scp": "x", "roles": ["a role that the user has"]}, TokenKind.USER),
        ({"roles": ["x"]}, TokenKind.APPLICATION),
        ({"oid": "1", "sub": "1"}, TokenKind.APPLICATION),
        ({"oid": "1", "sub": "2"}, TokenKind.UNKNOWN),
        ({"sub": ""}, TokenKind.UNKNOWN),
    ],
)
def test_a_token_speaks_for_an_application_or_for_a_user(claims: object, kind: TokenKind) -> None:
    assert claims_of(Secret(jwt(claims))).kind is kind


@pytest.mark.parametrize("token", ["", "opaque", "a.b", "a.b.c", "a.b.c.d", "..", "a.é.c", "a.////.c", "a.e30.c"])
def test_what_is_no_jwt_claims_nothing(token: str) -> None:
    assert claims_of(Secret(token)) == Claims()


@given(st.one_of(st.text(), st.text().map("a.{}.c".format), st.binary().map(around)))
def test_no_token_is_too_strange_to_be_read(token: str) -> None:
    assert isinstance(claims_of(Secret(token)), Claims)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["tid", "appid", "azp", "exp", "aud", "roles", "scp", "idtyp", "oid", "sub"])


@given(st.dictionaries(NAMES, JSON))
def test_no_claims_are_too_strange_to_be_read(claims: Mapping[str, Any]) -> None:
    read = claims_of(Secret(jwt(claims)))
    assert read.expires is None or isinstance(read.expires, float)
    assert all(isinstance(word, str) for word in (*read.roles, *read.scp))


@pytest.mark.parametrize("end", ["1" + "0" * 400, "1e400", "-1e400", "NaN", "-1", "-1e15", "1e15"])
def test_a_time_that_no_calendar_shows_is_no_end_of_a_token(end: str) -> None:
    assert claims_of(Secret(around(f'{{"exp": {end}}}'.encode()))).expires is None


def test_claims_of_bottomless_depth_claim_nothing() -> None:
    assert claims_of(Secret(around(b'{"tid":' * 50_000))) == Claims()


# -- how long --


@pytest.mark.parametrize(
    ("expires_in", "end", "seconds"),
    [
        (3599, None, 3599),
        ("3599", None, 3599),
        (59.5, None, 59.5),
        (3599, NOW + 60, 3599),  # the service's lifetime does not depend on our clock
        (None, NOW + 60, 60),
        ("soon", NOW + 60, 60),
        (float("nan"), NOW + 60, 60),
        (True, NOW + 60, 60),
        (None, None, ASSUMED_LIFETIME),
        (None, NOW - 60, ASSUMED_LIFETIME),  # the service's clock counts, not ours
        ([3599], None, ASSUMED_LIFETIME),
        (10**400, None, ASSUMED_LIFETIME),
        (10**9, None, LONGEST_LIFETIME),
        (0, NOW + 60, 0),
        (-5, NOW + 60, -5),
        ("-5", None, -5),
    ],
)
def test_a_lifetime_is_what_came_with_the_token_or_what_it_says_or_short(
    expires_in: object, end: float | None, seconds: float
) -> None:
    assert lifetime(expires_in, Claims(expires=end), NOW) == seconds


@given(JSON, st.none() | st.floats(0, 1e12))
def test_no_lifetime_is_longer_than_the_longest(expires_in: object, end: float | None) -> None:
    assert lifetime(expires_in, Claims(expires=end), NOW) <= LONGEST_LIFETIME
