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


@pytest.fixture(scope="session")
def new_journal(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A journal that nothing was written to: a copy takes a tenth of the time of making one."""
    path = tmp_path_factory.mktemp("new") / "journal.db"
    Journal(path, create=True).close()
    return path.read_bytes()


@pytest.fixture
async def world(new_journal: bytes) -> AsyncIterator[World]:
    """On memory where it can be a folder: thousands of syncs take minutes on a busy disk and are tested elsewhere."""
    memory = Path("/dev/shm")  # noqa: S108  # a folder of random name is made in it
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        path = Path(folder) / "journal.db"
        path.touch(0o600)
        path.write_bytes(new_journal)
        world = World(Journal(path))
        yield world
        world.journal.close()  # the test may have put another one in its place


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
