"""Names of hosts, resolved within a time.

`getaddrinfo` knows no timeout and cannot be interrupted: with a name server that says nothing it takes as long as
resolv.conf(5) allows, a minute perhaps. So it works in the background, where nobody has to wait for it.
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
SLICE = 0.1  # seconds; on Windows, Ctrl-C is not heard while a thread waits for another


@dataclass(frozen=True, slots=True)
class Address:
    """One of a host's addresses, as digits."""

    family: int
    protocol: int
    ip: str


class UnresolvedError(OSError):
    """A name has no address, or none in time; `strerror` says which name, and what to check."""


def silence(host: str, seconds: float) -> str:
    """What is said of a name server that does not answer, in a clause."""
    return f"the name {host} was not resolved in {seconds:g} s; check DNS"


def look_up(host: str, port: int, seconds: float) -> list[Address]:
    """The addresses of a host, in the order in which they are to be tried. UnresolvedError if there is none within
    `seconds`; Ctrl-C is heard meanwhile."""
    asked = begun(partial(_ask, host, port, socket.AF_UNSPEC))
    end = time.monotonic() + seconds
    while not _is_done(asked, min(SLICE, max(0.0, end - time.monotonic()))):
        if time.monotonic() >= end:
            raise UnresolvedError(socket.EAI_AGAIN, silence(host, seconds))
    return asked.result()


async def looked_up(host: str, port: int, seconds: float, family: int = socket.AF_UNSPEC) -> list[Address]:
    """Likewise on the event loop."""
    try:
        async with asyncio.timeout(seconds):
            return await in_background(partial(_ask, host, port, family))
    except TimeoutError:
        raise UnresolvedError(socket.EAI_AGAIN, silence(host, seconds)) from None


def _is_done(asked: "Future[list[Address]]", seconds: float) -> bool:
    try:
        asked.exception(seconds)
    except TimeoutError:
        return False
    return True


def _ask(host: str, port: int, family: int) -> list[Address]:
    flags = 0 if is_loopback(host) else socket.AI_ADDRCONFIG  # this computer is there without any network
    try:
        found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not a valid host name"
        raise UnresolvedError(
            getattr(error, "errno", None), f"the name {host} cannot be resolved: {reason}; check DNS"
        ) from None
    return [Address(kind, protocol, _digits(place)) for kind, _, protocol, _, place in found]


def _digits(place: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]) -> str:
    """An address that holds within one network alone says which (RFC 4007, 11)."""
    scope = place[3] if len(place) == 4 else 0
    return f"{place[0]}%{scope}" if scope else str(place[0])
