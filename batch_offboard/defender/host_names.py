"""Resolves host names with a timeout.

`getaddrinfo` has no timeout and cannot be interrupted: if the name server does not respond, it blocks for as long as
resolv.conf(5) allows, which can be a minute. So it runs in a background thread that the program does not wait for.
"""

import asyncio
import socket
import time
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from batch_offboard.base.addresses import is_loopback
from batch_offboard.base.background import begun, in_background

PATIENCE = 15.0  # seconds
SLICE = 0.1  # seconds; on Windows, Ctrl-C is not delivered while the main thread waits for another


@dataclass(frozen=True, slots=True)
class Address:
    """One IP address of a host."""

    family: int
    protocol: int
    ip: str


class UnresolvedError(OSError):
    """A name has no address, or was not resolved in time; `strerror` names it and says what to check."""


def not_resolved(host: str, seconds: float) -> str:
    """The clause about a name server that does not respond."""
    return f"the name {host} was not resolved in {seconds:g} s; check DNS"


def look_up(host: str, port: int, seconds: float) -> list[Address]:
    """The addresses of a host, in the order to try them. Raises UnresolvedError if there is none within `seconds`;
    Ctrl-C interrupts it."""
    asked = begun(partial(_ask, host, port, socket.AF_UNSPEC))
    end = time.monotonic() + seconds
    while not _is_done(asked, min(SLICE, max(0.0, end - time.monotonic()))):
        if time.monotonic() >= end:
            raise UnresolvedError(socket.EAI_AGAIN, not_resolved(host, seconds))
    return asked.result()


async def look_up_async(host: str, port: int, seconds: float, family: int = socket.AF_UNSPEC) -> list[Address]:
    """The same as `look_up`, for the event loop."""
    try:
        async with asyncio.timeout(seconds):
            return await in_background(partial(_ask, host, port, family))
    except TimeoutError:
        raise UnresolvedError(socket.EAI_AGAIN, not_resolved(host, seconds)) from None


def _is_done(asked: "Future[list[Address]]", seconds: float) -> bool:
    try:
        asked.exception(seconds)
    except TimeoutError:
        return False
    return True


def _ask(host: str, port: int, family: int) -> list[Address]:
    flags = 0 if is_loopback(host) else socket.AI_ADDRCONFIG  # loopback works without any network
    try:
        found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not a valid host name"
        raise UnresolvedError(
            getattr(error, "errno", None), f"the name {host} cannot be resolved: {reason}; check DNS"
        ) from None
    return [Address(kind, protocol, _digits(place)) for kind, _, protocol, _, place in found]


def _digits(place: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]) -> str:
    """The address as text, with its zone if it is valid on one link only (RFC 4007, 11)."""
    scope = place[3] if len(place) == 4 else 0
    return f"{place[0]}%{scope}" if scope else str(place[0])
