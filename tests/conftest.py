"""What every test stands on."""

import asyncio
import hashlib
import os
import signal
import time

import pytest
from hypothesis import HealthCheck, settings

import tests.compiled_once
import tests.moving_time  # noqa: F401  # for every test on virtual time
from batch_offboard.journal import machine_lock

# Wherever they run, the tests' clocks are an hour ahead of UTC: a time in the wrong form is seen.
os.environ["TZ"] = "TST-1"
if hasattr(time, "tzset"):
    time.tzset()

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


@pytest.fixture(autouse=True)
def _locks_of_its_own(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Tests that run side by side work on the same tenants: each counts as a computer of its own."""
    name = hashlib.sha256(f"{os.getpid()} {request.node.nodeid}".encode()).hexdigest()[:20]
    monkeypatch.setattr(machine_lock, "PREFIX", f"batch-offboard-test-{name}")
