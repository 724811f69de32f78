"""What every test stands on."""

import asyncio
import signal

from hypothesis import HealthCheck, settings

import tests.moving_time  # noqa: F401  # for every test on virtual time

# A busy machine is no failure: no example has a deadline, and slow data is data.
if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # as in the background of a shell; the program would ignore it, too
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")


def pytest_configure() -> None:
    """Say that no event loop is wanted: looptime asks for one in every test, and so makes one that nobody closes."""
    asyncio.set_event_loop(None)
