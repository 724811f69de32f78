"""Gets the bearer token, and reads its claims.

Every way to sign in is a `TokenSource`; `token_source` makes the configured one. The protocol is msal's, which is
imported when the first token is requested.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import urlsplit

from yarl import URL

from batch_offboard.base.clock import Clock
from batch_offboard.base.errors import TransientSignInError
from batch_offboard.config import (
    AccessToken,
    Certificate,
    ClientSecret,
    Config,
    DeviceCode,
    Federated,
    ManagedIdentity,
)
from batch_offboard.config.tree import ZERO_ID
from batch_offboard.defender.connection import Connection
from batch_offboard.defender.signin.claims import READ_PERMISSIONS, Claims, TokenKind, claims_of
from batch_offboard.defender.signin.ready import ReadyToken
from batch_offboard.defender.signin.refusals import Asked
from batch_offboard.defender.signin.renewal import Applicant, Expected, KeptToken
from batch_offboard.defender.signin.source import RehearsalToken, TokenSource

__all__ = [
    "READ_PERMISSIONS",
    "Claims",
    "KeptToken",
    "ReadyToken",
    "RehearsalToken",
    "TokenKind",
    "TokenSource",
    "TransientSignInError",
    "claims_of",
    "given",
    "token_source",
]


def token_source(
    config: Config, connection: Connection, environ: Mapping[str, str], clock: Clock, say: Callable[[str], None]
) -> TokenSource:
    """The configured source; nothing is read or requested yet. `say` shows a line to the person."""
    way = config.credential
    tenant, application = given(config.tenant_id), given(config.client_id)
    if isinstance(way, AccessToken):
        return ReadyToken(way.token, environ, clock, tenant)
    applicant = partial(_applicant, config, connection, environ, clock, say)
    return KeptToken(applicant, Expected(tenant, application), clock)


def given(identifier: str | None) -> str | None:
    """An ID from the configuration, or None if it is missing or the placeholder of the example."""
    return None if identifier == ZERO_ID else identifier


def _applicant(
    config: Config, connection: Connection, environ: Mapping[str, str], clock: Clock, say: Callable[[str], None]
) -> Applicant:
    """Called when the first token is requested, since msal is slow to import."""
    from batch_offboard.defender.signin import device, entra, managed, session

    way, endpoints = config.credential, config.endpoints
    if isinstance(way, ManagedIdentity):
        return managed.ManagedMachine(config.client_id, endpoints.audience, connection)
    tenant, application = str(config.tenant_id), str(config.client_id)
    authority = f"{endpoints.sign_in}/{tenant}"

    def line(place: str) -> session.Line:
        asked = Asked(urlsplit(endpoints.sign_in).netloc, tenant, application, endpoints.audience, place)
        return session.Line(asked, connection, URL(endpoints.sign_in).origin())

    if isinstance(way, (ClientSecret, Certificate, Federated)):
        read, place = entra.proof_of(way, environ, clock)
        return entra.Application(read, line(place), authority, endpoints.scope, clock)
    cache: Callable[[], object] = device.memory_cache
    if isinstance(way, DeviceCode) and way.token_cache == "encrypted":  # noqa: S105  # no secret
        cache = partial(device.encrypted_cache, tenant, application)
    return device.Person(line("the browser"), authority, endpoints.scope, cache, clock, say, time.sleep)
