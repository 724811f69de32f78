"""What a command works on: one tenant and application, how to reach them, and the limits that apply."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from batch_offboard.base.addresses import is_loopback
from batch_offboard.base.clock import Clock
from batch_offboard.base.text import one_line
from batch_offboard.config import AccessToken, Config, Guards, Network, Quota, read_secret
from batch_offboard.core.batches import SIMULATED_PREFIX
from batch_offboard.core.platforms import Platforms
from batch_offboard.core.quota import QuotaLimits
from batch_offboard.core.settling import HORIZON
from batch_offboard.defender.connection import Connection
from batch_offboard.defender.signin import Claims, RehearsalToken, TokenSource, given, token_source


@dataclass(frozen=True, slots=True)
class Target:
    """`scope` names the tenant and application that the quota and the known devices belong to; `horizon` is the age in
    seconds at which a call that the tenant does not list counts as not accepted."""

    scope: str
    api_url: str
    token: TokenSource = field(repr=False)
    limits: QuotaLimits
    workers: int
    guards: Guards
    comment: str | None
    connection: Connection
    simulated: bool
    platforms: Platforms = Platforms.STANDARD
    horizon: float = HORIZON


def real_target(config: Config, environ: Mapping[str, str], clock: Clock, say: Callable[[str], None]) -> Target:
    """The configured tenant. Signs in only if the configuration does not say whose quota it is.

    `say` shows a line to the person, who may have to sign in.
    """
    connection = connection_of(config.network, config.workers, environ)
    token = token_source(config, connection, environ, clock, say)
    if isinstance(config.credential, AccessToken) or not (given(config.tenant_id) and given(config.client_id)):
        token.sign_in()
    return Target(
        scope=scope_of(config, token.claims),
        api_url=config.endpoints.api_url,
        token=token,
        limits=limits_of(config.quota),
        workers=config.workers,
        guards=config.guards,
        comment=config.comment,
        connection=connection,
        simulated=False,
        platforms=config.lookup.platforms,
        horizon=config.lookup.horizon,
    )


def rehearsal_target(api_url: str, scope: str, config: Config | None) -> Target:
    """The embedded tenant. The configuration's limits are used, its credential never is."""
    workers = config.workers if config else 8
    return Target(
        scope=scope,
        api_url=api_url,
        token=RehearsalToken(),
        limits=limits_of(config.quota if config else Quota()),
        workers=workers,
        guards=config.guards if config else Guards(),
        comment=config.comment if config else None,
        connection=Connection(workers=workers),
        simulated=True,
        platforms=config.lookup.platforms if config else Platforms.STANDARD,
        horizon=config.lookup.horizon if config else HORIZON,
    )


def scope_of(config: Config, claims: Claims) -> str:
    """TENANT/APPLICATION: from the token, since the quota belongs to its application, else as configured.

    A server on this machine counts as a tenant of its own.
    """
    tenant = claims.tenant.lower() or given(config.tenant_id) or "unknown tenant"
    application = claims.application.lower() or given(config.client_id) or "unknown application"
    host = urlsplit(config.endpoints.api_url)
    own = f"@{host.netloc}" if is_loopback(host.hostname or "") else ""
    return "/".join(one_line(part).replace("/", "_") for part in (f"{tenant}{own}", application))


def limits_of(quota: Quota) -> QuotaLimits:
    return QuotaLimits(quota.per_minute, quota.per_hour, quota.burst, quota.share)


def connection_of(network: Network, workers: int, environ: Mapping[str, str]) -> Connection:
    password: Callable[[], str] | None = None
    if network.proxy_password is not None:
        password = read_secret(network.proxy_password, environ).reveal
    from_environment = network.proxy == "environment"
    return Connection(
        timeout=network.timeout,
        proxy=None if from_environment else network.proxy,
        proxy_user=network.proxy_user,
        proxy_password=password,
        use_environment_proxy=from_environment,
        ca_file=network.ca_file,
        workers=workers,
    )


def new_batch_id(stamp: str, *, simulated: bool) -> str:
    """Sortable and short: the minute of planning (`stamp`, YYYYMMDD-HHMM) and four random letters, without i, l, o."""
    letters = "".join(secrets.choice("abcdefghjkmnpqrstuvwxyz") for _ in range(4))
    return f"{SIMULATED_PREFIX if simulated else ''}{stamp}-{letters}"
