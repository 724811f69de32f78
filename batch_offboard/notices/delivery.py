"""Sends a notice over all configured channels at the same time, and returns the result of each. Never raises."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from batch_offboard.base.clock import Clock
from batch_offboard.base.errors import BatchOffboardError
from batch_offboard.config import Notices, SecretName, read_secret
from batch_offboard.defender.connection import Connection
from batch_offboard.defender.transport import tls_context
from batch_offboard.notices import mail, textfile, webhook
from batch_offboard.notices.attempts import NotDelivered
from batch_offboard.notices.metrics import as_metrics
from batch_offboard.notices.notice import Notice
from batch_offboard.notices.rendering import as_json, as_slack, as_teams, as_text, title

PAYLOADS = {"json": as_json, "teams": as_teams, "slack": as_slack}


@dataclass(frozen=True, slots=True)
class Delivery:
    """The result of one channel: `problem` is a clause that says why the delivery failed, empty if it succeeded."""

    way: str
    problem: str = ""

    @property
    def delivered(self) -> bool:
        return not self.problem


@dataclass(frozen=True, slots=True)
class Means:
    """What every channel needs: the configuration, where the secrets are, the time, and how to reach the network."""

    config: Notices
    environ: Mapping[str, str]
    clock: Clock
    connection: Connection


Way = Callable[[Notice, Means], Awaitable[None]]


async def tell(
    notice: Notice, config: Notices, environ: Mapping[str, str], clock: Clock, connection: Connection | None = None
) -> list[Delivery]:
    """Send the notice if the configuration selects this event. Takes `config.timeout` seconds at most."""
    if notice.happening not in config.happenings:
        return []
    means = Means(config, environ, clock, connection or Connection())
    return list(await asyncio.gather(*(_delivered(name, way, notice, means) for name, way in ways(config))))


def ways(config: Notices) -> Iterator[tuple[str, Way]]:
    """The configured channels, by names for people."""
    if config.webhook_url is not None:
        yield f"{config.webhook_kind} webhook", partial(_by_webhook, config.webhook_url)
    if config.mail_to is not None and config.mail_from is not None and config.mail_server is not None:
        addresses = tuple(address.strip() for address in config.mail_to.split(","))
        by_mail = partial(_by_mail, config.mail_server, config.mail_from, addresses)
        yield f"mail to {', '.join(addresses)}", by_mail
    if config.textfile is not None:
        yield f"textfile {config.textfile}", partial(_by_textfile, config.textfile)


async def _delivered(name: str, way: Way, notice: Notice, means: Means) -> Delivery:
    try:
        await way(notice, means)
    except NotDelivered as error:
        return Delivery(name, str(error))
    except BatchOffboardError as error:
        return Delivery(name, str(error).rstrip("."))
    except Exception as error:  # noqa: BLE001  # a failed notice must not end the command
        return Delivery(name, f"unexpected {type(error).__name__}, a bug in the program")
    return Delivery(name)


async def _by_webhook(url: SecretName, notice: Notice, means: Means) -> None:
    payload = PAYLOADS[means.config.webhook_kind](notice)
    secret = read_secret(url, means.environ)
    await webhook.post(payload, secret, means.connection, means.config.timeout, means.clock)


async def _by_mail(address: str, sender: str, recipients: tuple[str, ...], notice: Notice, means: Means) -> None:
    config = means.config
    password = read_secret(config.mail_password, means.environ) if config.mail_password else None
    server = mail.Server(address, config.mail_tls, config.mail_user, password)
    room = int(config.mail_attach_mib * 1024 * 1024)
    letter = mail.Letter(title(notice), as_text(notice), sender, recipients, notice.at, notice.reports, room)
    await mail.send(letter, server, lambda: tls_context(means.connection.ca_file), config.timeout)


async def _by_textfile(path: Path, notice: Notice, _means: Means) -> None:
    try:
        textfile.write(path, as_metrics(notice))
    except OSError as error:
        raise NotDelivered(f"the file cannot be written ({error.strerror})") from None
