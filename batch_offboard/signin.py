"""Where the bearer token comes from, and what it says about itself.

A token is opaque: it is never checked, only handed to the API. If it happens to be a JWT, its tenant,
application and end are read, since they name the quota that it uses and spare a run that must fail.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from batch_offboard.clock import iso_utc
from batch_offboard.config import AccessToken, Config, Secret, SecretName, read_secret
from batch_offboard.config.tree import ZERO_ID
from batch_offboard.errors import SignInError, UsageError
from batch_offboard.safe_text import one_line

END_OF_CALENDAR = 253_402_300_800  # seconds since the epoch: the year 10000


class TokenSource(Protocol):
    """Gives the token for the next call."""

    async def token(self) -> str: ...

    async def renew(self) -> None:
        """Get a token that is not the one refused; SignInError if there is none."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says of itself, empty where it says nothing."""

    tenant: str = ""
    application: str = ""
    expires: float | None = None


def claims_of(secret: Secret) -> Claims:
    """The claims of a JWT (Microsoft's access-token-claims-reference names them); of anything else, none."""
    parts = secret.reveal().split(".")
    if len(parts) != 3:
        return Claims()
    try:
        body = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return Claims()
    if not isinstance(body, dict):
        return Claims()
    return Claims(_word(body, "tid"), _word(body, "appid") or _word(body, "azp"), _time(body, "exp"))


class ReadyToken:
    """A bearer token that somebody else got; read again when the API refuses it, since it may have been renewed.

    `tenant` is the one that the configuration names, if it names one: no other tenant's token is taken.
    """

    def __init__(self, place: SecretName, environ: Mapping[str, str], now: float, tenant: str | None = None) -> None:
        self._place, self._environ, self._tenant = place, environ, tenant
        self._secret = self._read()
        self.claims = claims_of(self._secret)
        if self.claims.expires is not None and self.claims.expires <= now:
            raise SignInError(
                f"The access token ({place.key}: {place.name}) ended at {iso_utc(self.claims.expires)}; get a new one."
            )

    async def token(self) -> str:
        return self._secret.reveal()

    async def renew(self) -> None:
        fresh = self._read()
        if fresh.reveal() == self._secret.reveal():
            raise SignInError(
                f"The API does not accept the access token ({self._place.key}: {self._place.name}); "
                "get a new one, then `resume`."
            )
        self._secret = fresh

    def _read(self) -> Secret:
        secret = read_secret(self._place, self._environ)
        tenant = claims_of(secret).tenant.lower()
        if self._tenant and tenant and tenant != self._tenant:
            raise SignInError(
                f"The access token ({self._place.key}: {self._place.name}) is for tenant {one_line(tenant)}, and the "
                f"configuration names {self._tenant}; get a token of that tenant, or correct tenant_id."
            )
        return secret


class RehearsalToken:
    """What the embedded tenant takes for a token."""

    async def token(self) -> str:
        return "rehearsal"

    async def renew(self) -> None:
        raise SignInError("The embedded tenant does not accept its own token; was a fault asked for?")


def token_source(config: Config, environ: Mapping[str, str], now: float) -> ReadyToken:
    """The source that the configuration names."""
    credential = config.credential
    if not isinstance(credential, AccessToken):
        raise UsageError(
            f"This version signs in with a ready token only, not with credential.type {credential.type}; "
            "use access_token with a token from `az account get-access-token`, or rehearse with --simulate."
        )
    tenant = config.tenant_id if config.tenant_id != ZERO_ID else None
    return ReadyToken(credential.token, environ, now, tenant)


def _word(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""


def _time(body: Mapping[str, Any], name: str) -> float | None:
    """Seconds since the epoch, if they are a time that a calendar can show."""
    value = body.get(name)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return float(value) if 0 <= value < END_OF_CALENDAR else None
