"""What the runs on virtual time share: a world of one journal, whatever tenants it is worked against."""

import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from batch_offboard.core.brakes import Halt
from batch_offboard.journal.store import Journal
from tests.integration.inspection import fullest
from tests.integration.virtual_desk import VirtualDesk
from tests.integration.world import MovedClock, Tokens, World, interrupted


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """On memory where it can be a folder: thousands of syncs take minutes on a busy disk and are tested elsewhere."""
    memory = Path("/dev/shm")  # noqa: S108  # a folder of random name is made in it
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        journal = Journal(Path(folder) / "journal.db", create=True)
        yield World(journal)
        journal.close()


@pytest.fixture
async def desk_at(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., VirtualDesk]]:
    """Desks in the test's own folder, each for the tenant at a URL; their locks are in that folder, too."""
    for variable in ("XDG_STATE_HOME", "HOME", "LOCALAPPDATA", "WIN_PD_OVERRIDE_LOCAL_APPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "state"))
    with ExitStack() as opened:
        yield lambda url, **more: opened.enter_context(VirtualDesk(world, url, tmp_path, **more))


@pytest.fixture(name="interrupted")
def _interrupted() -> Callable[..., Awaitable[Halt | None]]:
    return interrupted


@pytest.fixture
def moved_clock() -> Callable[..., MovedClock]:
    return MovedClock


@pytest.fixture
def tokens() -> Callable[..., Tokens]:
    return Tokens


@pytest.fixture
def most_in_any() -> Callable[[Sequence[float], float], int]:
    return fullest
