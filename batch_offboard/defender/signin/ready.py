"""A bearer token that another program obtains and renews."""

import re
from collections.abc import Callable, Mapping, Sequence

from batch_offboard.base import logs
from batch_offboard.base.clock import Clock, iso_utc, local_time
from batch_offboard.base.errors import ConfigError, SignInError, TransientSignInError
from batch_offboard.base.secret import Secret
from batch_offboard.base.text import one_line
from batch_offboard.config import SecretName, read_secret
from batch_offboard.defender.signin.claims import Claims, claims_of

# RFC 6750, 2.1: what may follow "Bearer " in a header.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")

_QUOTES = "\"'`´‘’‚“”„«»"  # including those of word processors
_WORDS = frozenset({"null", "none", "undefined", "nil", "true", "false"})

# What people put in place of a token, and the end of a sentence with the remedy. The first match counts.
_OBJECTIONS: Sequence[tuple[Callable[[str], object], str]] = (
    (
        lambda text: text.strip(_QUOTES + " ").startswith(("System.Security.SecureString", "@{")),
        "is the name of a PowerShell object, not a token; convert it with `ConvertFrom-SecureString -AsPlainText`",
    ),
    (
        lambda text: text.strip().startswith(("{", "[")),
        "is JSON; put only the value of its accessToken there (`--query accessToken --output tsv` of the Azure CLI)",
    ),
    (
        lambda text: text.strip()[:1] in _QUOTES or text.strip()[-1:] in _QUOTES,
        "is in quotes; remove them",
    ),
    (
        lambda text: re.match(r"\s*(?:authorization\s*:\s*)?bearer\b", text, re.IGNORECASE),
        "begins with the word Bearer; remove that word",
    ),
    (
        lambda text: any(character.isspace() for character in text),
        "contains spaces; copy it again as one piece",
    ),
    (
        lambda text: text.lower() in _WORDS,
        "is what a script prints when it has no token; check the script",
    ),
    (
        lambda text: not _TOKEN.fullmatch(text),
        "has characters that are not allowed in a token; copy it again",
    ),
)


def objection_to(token: str) -> str | None:
    """Why a text cannot be a bearer token, as the end of a sentence that shows nothing of it; None if it can be one."""
    return next((words for holds, words in _OBJECTIONS if holds(token)), None)


class ReadyToken:
    """A `TokenSource` that reads the token again when it has expired or the API refuses it: it may have been renewed.

    `tenant` is the configured one, if any: a token of another tenant is refused.
    """

    def __init__(self, place: SecretName, environ: Mapping[str, str], clock: Clock, tenant: str | None = None) -> None:
        self._place, self._environ, self._clock, self._tenant = place, environ, clock, tenant
        self._secret: Secret | None = None
        self.claims = Claims()

    def sign_in(self) -> Claims:
        if self._secret is None or self._has_ended():
            self._take(self._read())
            if self._has_ended():
                ended = local_time(self.claims.expires or 0)
                raise SignInError(f"The access token ({self._named}) expired at {ended}; get a new one.")
        return self.claims

    async def token(self) -> str:
        """The token, even if it has expired by this computer's clock, which may be wrong: the API decides."""
        if self._secret is None or self._has_ended():
            self._take(self._read_in_a_run())
        return self._secret.reveal() if self._secret else ""

    async def renew(self) -> None:
        fresh = self._read_in_a_run()
        if self._secret is not None and fresh.reveal() == self._secret.reveal():
            raise SignInError(
                f"The API does not accept the access token ({self._named}); get a new one, then try again."
            )
        self._take(fresh)

    @property
    def _named(self) -> str:
        return f"{self._place.key}: {self._place.name}"

    def _has_ended(self) -> bool:
        return self.claims.expires is not None and self.claims.expires <= self._clock.now().wall

    def _take(self, secret: Secret) -> None:
        self._secret, self.claims = secret, claims_of(secret)
        expires = self.claims.expires
        logs.info("token read", place=self._named, ends=iso_utc(expires) if expires is not None else None)

    def _read_in_a_run(self) -> Secret:
        """The token; during a run, a missing file is as transient as any other failure to get one."""
        try:
            return self._read()
        except ConfigError as error:
            raise TransientSignInError(str(error)) from error

    def _read(self) -> Secret:
        secret = read_secret(self._place, self._environ)
        objection = objection_to(secret.reveal())
        if objection is not None:
            raise ConfigError(f"The access token ({self._named}) {objection}.")
        tenant = claims_of(secret).tenant.lower()
        if self._tenant and tenant and tenant != self._tenant:
            raise SignInError(
                f"The access token ({self._named}) is for tenant {one_line(tenant)}, but the configuration names "
                f"{self._tenant}; get a token of that tenant, or correct tenant_id."
            )
        return secret
