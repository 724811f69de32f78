"""The claims of a token. Pure.

A token is opaque: it is not validated here, only passed to the API. If it is a JWT, its tenant, application, expiry
and permissions are read: they name the quota that it uses, and show early that a run cannot succeed.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Any

from batch_offboard.base.secret import Secret

END_OF_CALENDAR = 253_402_300_800  # seconds since the epoch: the year 10000

# For a token without an expiry: too short an assumption costs one request, too long a one the run.
ASSUMED_LIFETIME = 300.0  # seconds

# Each of them permits reading machines and machine actions: learn.microsoft.com/defender-endpoint/api/get-machines and
# get-machineactions-collection; those without `All` are delegated permissions of a user.
READ_PERMISSIONS = ("Machine.Read.All", "Machine.ReadWrite.All", "Machine.Read", "Machine.ReadWrite")

# Entra's tokens are valid for about an hour, with continuous access evaluation up to 28 hours.
LONGEST_LIFETIME = 28 * 3600.0  # seconds


class TokenKind(StrEnum):
    """Whether a token was issued to an application or to a user."""

    APPLICATION = "application"
    USER = "user"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a token, empty where it has none.

    `expires` is in seconds since the epoch. `roles` are application permissions, `scp` delegated permissions of a user.
    """

    tenant: str = ""
    application: str = ""
    expires: float | None = None
    audience: str = ""
    roles: tuple[str, ...] = ()
    scp: tuple[str, ...] = ()
    kind: TokenKind = TokenKind.UNKNOWN

    @property
    def permissions(self) -> tuple[str, ...]:
        """The permissions that the token lists."""
        return self.scp if self.kind is TokenKind.USER else self.roles

    @property
    def may_read(self) -> str:
        """A permission of the token to read the tenant, or ""."""
        return next((each for each in READ_PERMISSIONS if each in self.permissions), "")


def claims_of(token: Secret) -> Claims:
    """The claims of a JWT; empty for any other token.

    Names: https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
    """
    body = _body(token.reveal())
    roles, scp = _words(body, "roles"), _words(body, "scp")
    return Claims(
        tenant=_word(body, "tid"),
        application=_word(body, "appid") or _word(body, "azp"),
        expires=_time(body, "exp"),
        audience=_word(body, "aud"),
        roles=roles,
        scp=scp,
        kind=_kind(body, roles, scp),
    )


def lifetime(expires_in: object, claims: Claims, asked_at: float) -> float:
    """For how many seconds a token is valid from the moment it was requested; 0 or less if it has expired.

    `expires_in` was returned with the token, as a number or text; `asked_at` is that moment in seconds since the epoch.
    """
    seconds = _number(expires_in)
    if seconds is None and claims.expires is not None and claims.expires > asked_at:
        seconds = claims.expires - asked_at
    return ASSUMED_LIFETIME if seconds is None else min(seconds, LONGEST_LIFETIME)


def _body(token: str) -> Mapping[str, Any]:
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        body = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _kind(body: Mapping[str, Any], roles: tuple[str, ...], scp: tuple[str, ...]) -> TokenKind:
    """`idtyp` decides if present; else a user's token has `scp`, and an application is its own subject."""
    said = {"app": TokenKind.APPLICATION, "user": TokenKind.USER}.get(_word(body, "idtyp"))
    if said is not None:
        return said
    if scp:
        return TokenKind.USER
    own_subject = bool(_word(body, "oid")) and _word(body, "oid") == _word(body, "sub")
    return TokenKind.APPLICATION if roles or own_subject else TokenKind.UNKNOWN


def _word(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""


def _words(body: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A list of words, or one string of words separated by spaces."""
    value = body.get(name)
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(word for word in value if isinstance(word, str)) if isinstance(value, list) else ()


def _time(body: Mapping[str, Any], name: str) -> float | None:
    """Seconds since the epoch, or None if `datetime` cannot represent the value."""
    value = body.get(name)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return float(value) if 0 <= value < END_OF_CALENDAR else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None
