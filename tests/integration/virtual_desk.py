"""The commands' own functions on virtual time, against a tenant that the test sees."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread
from typing import Any, TypeVar

from batch_offboard.calls.tenancy import Tenancy
from batch_offboard.commands.desk import Desk, Options, lock_folder
from batch_offboard.commands.views import Talk
from batch_offboard.defender.target import Target
from tests.integration.world import SPEED, MovedClock, World

T = TypeVar("T")

Say = Callable[[str], None]


class _Wall:
    """Lets time pass as on a wall, while a command's thread works by itself: otherwise the loop, which has nothing to
    do then, would go on to its next timer. looptime does so while a thread of the loop's works; here one waits."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._end = Event()

    def begin(self) -> None:
        self._end.clear()
        asyncio.get_running_loop().run_in_executor(self._thread, self._end.wait)

    def end(self) -> None:
        self._end.set()

    def close(self) -> None:
        self.end()
        self._thread.shutdown()


class VirtualDesk(Desk):
    """A desk whose clock is that of the test's loop, and whose real tenant is asked on that loop.

    A command runs a loop of its own; here the command runs in a thread, and the test's loop does the loop's work.
    """

    def __init__(self, world: World, url: str, folder: Path, *, lookup: bool = True, **target: Any) -> None:
        options = Options({}, folder, journal=world.journal.path, speed=SPEED, comment="CHG0042", lookup=lookup)
        super().__init__(options)
        self.clock = MovedClock()
        self._target = world.target(url, **target)
        self._world = world
        self._loop = asyncio.get_running_loop()
        self._wall = _Wall()

    @property
    def talk(self) -> Talk:
        """Says everything to the world's ears, and agrees to everything."""
        return Talk(self._world.ears, lambda _view: None, self._world.ears.said)

    def with_tenant(self, target: Target, work: Callable[[Tenancy], Awaitable[T]], say: Say) -> T:
        async def inside() -> T:
            self._wall.end()
            try:
                return await at_the_tenant()
            finally:
                self._wall.begin()

        async def at_the_tenant() -> T:
            opened = self._world.opened(
                target, clock=self.clock, lock_folder=lock_folder(), unreadable=self.unreadable, say=say
            )
            async with opened as tenancy:
                try:
                    return await work(tenancy)
                finally:
                    self.unreadable = tenancy.unreadable

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result()

    async def command(self, work: Callable[[], T]) -> T:
        """What a command comes to that works at this desk."""
        ended: asyncio.Future[T] = self._loop.create_future()

        def run() -> None:
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001  # whatever it is, the test shall see it
                self._loop.call_soon_threadsafe(ended.set_exception, error)
            else:
                self._loop.call_soon_threadsafe(ended.set_result, result)

        self._wall.begin()
        thread = Thread(target=run, daemon=True)
        thread.start()
        try:
            return await ended
        finally:
            self._wall.end()

    def __exit__(self, *exception: object) -> None:
        self._wall.close()
        super().__exit__(*exception)


def rows_of(sheet: Path, rows: Sequence[Sequence[str]], columns: Sequence[str] = ("Device ID", "Device Name")) -> Path:
    """A CSV of these rows, the first of them in row 2."""
    lines = [",".join(columns), *(",".join(row) for row in rows)]
    sheet.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return sheet
