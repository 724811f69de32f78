"""Settings and fixtures of all tests."""

import asyncio
import hashlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping

import pytest
from hypothesis import HealthCheck, settings

import tests.compiled_once
import tests.moving_time  # noqa: F401  # for every test on virtual time
from batch_offboard.journal import machine_lock

# The tests' local time is always an hour ahead of UTC, so that a time in the wrong form fails a test.
os.environ["TZ"] = "TST-1"
if hasattr(time, "tzset"):
    time.tzset()

# A busy machine is not a failure: no example has a deadline, and slow data generation is allowed.
if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # ignored in the background of a shell; the program would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("project", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")


def pytest_configure() -> None:
    """Set no event loop: looptime requests one in every test, which creates one that nobody closes."""
    asyncio.set_event_loop(None)


if sys.platform == "win32":

    def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
        """looptime waits for an event twice: a selector reports it again, Windows' own loop waits for ever."""
        if item.get_closest_marker("looptime"):
            return {"selector": asyncio.SelectorEventLoop}
        return {"default": asyncio.new_event_loop}


@pytest.fixture(autouse=True)
def _locks_of_its_own(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Parallel tests work on the same tenants: each gets machine locks of its own."""
    name = hashlib.sha256(f"{os.getpid()} {request.node.nodeid}".encode()).hexdigest()[:20]
    monkeypatch.setattr(machine_lock, "PREFIX", f"batch-offboard-test-{name}")
