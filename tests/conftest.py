"""What every test stands on."""

import asyncio


def pytest_configure() -> None:
    """Say that no event loop is wanted: looptime asks for one in every test, and so makes one that nobody closes."""
    asyncio.set_event_loop(None)
