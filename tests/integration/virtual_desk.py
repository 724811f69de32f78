"""The commands' own functions on virtual time, against a tenant that the test sees."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from batch_offboard.calls.tenancy import Tenancy
from batch_offboard.cli.signals import SignalEnding
from batch_offboard.commands.access import Say, TenantAccess, unheard
from batch_offboard.commands.desk import Desk
from batch_offboard.commands.options import Options
from batch_offboard.commands.views import Talk
from batch_offboard.config.places import lock_folder
from batch_offboard.defender.target import Target
from tests.commands import ANN
from tests.integration.world import SPEED, MovedClock, World


class _Access(TenantAccess):
    """The way to the test's tenant."""

    def __init__(self, world: World, desk: Desk, target: Target) -> None:
        super().__init__(desk.options, desk.journal, desk.clock, lambda: desk.config)
        self._world, self._target = world, target

    @asynccontextmanager
    async def at(self, target: Target, say: Say = unheard) -> AsyncIterator[Tenancy]:
        opened = self._world.opened(
            target, clock=self._clock, lock_folder=lock_folder(), unreadable=self.unreadable, say=say
        )
        async with opened as tenancy:
            try:
                yield tenancy
            finally:
                self.unreadable = tenancy.unreadable


class VirtualDesk(Desk):
    """A desk whose clock is that of the test's loop, and whose real tenant is the test's."""

    def __init__(self, world: World, url: str, folder: Path, *, lookup: bool = True, **target: Any) -> None:
        options = Options({}, folder, ANN, journal=world.journal.path, speed=SPEED, comment="CHG0042", lookup=lookup)
        super().__init__(options, clock=MovedClock())
        self.tenants = _Access(world, self, world.target(url, **target))
        self._world = world

    @property
    def talk(self) -> Talk:
        """Says everything to the world's ears, and hears this process's signals."""
        return Talk(self._world.ears, self._world.ears.said, SignalEnding())


def rows_of(sheet: Path, rows: Sequence[Sequence[str]], columns: Sequence[str] = ("Device ID", "Device Name")) -> Path:
    """A CSV of these rows, the first of them in row 2."""
    lines = [",".join(columns), *(",".join(row) for row in rows)]
    sheet.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return sheet
