"""A computer and the processes on it: its clocks, its locks, and every way in which a process can end.

A process is a command of ours, run in a thread that works only while everybody else waits; what it awaits runs on the
simulation's loop. When it is killed it gets no further: its files stay as they were at that moment, and nothing of it
reaches a file, the network or the journal any more.
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any, TypeVar
from weakref import WeakSet

from batch_offboard.base.clock import Clock, Moment
from batch_offboard.core.ending import Ending
from tests.simulation.loop import OWNER, Call, Loop

T = TypeVar("T")

ORIGIN = 1_795_500_017.25  # seconds since the epoch; begins no whole minute or hour


class ProcessDied(BaseException):  # nothing went wrong: it is no more
    """Unwinds what is left of a process that was killed. No code of ours can catch it as an error."""


class Blow(StrEnum):
    """What can strike at a step."""

    KILL = "kill"
    SIGTERM = "SIGTERM"
    DISK_FULL = "disk full"
    IO_ERROR = "I/O error"
    IO_ERROR_AFTER = "I/O error after the fact"
    RESET = "connection reset"


@dataclass(frozen=True, slots=True)
class Step:
    """Something that a process does to the world outside, in the order in which it does it, from 1.

    `moment` is the same for steps between which no signal can be heard; 0 where a signal ends the process at once.
    """

    number: int
    kind: str  # journal, file or network
    what: str
    moment: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: with a result, with an error, or killed."""

    result: object = None
    error: BaseException | None = None
    killed: bool = False


Strikes = Callable[["Process", Step], Blow | None]


def nothing_strikes(_process: "Process", _step: Step) -> None:
    """No step is struck."""


class Host:
    """One computer. `wall_error` is what its calendar is wrong by, in seconds."""

    def __init__(self, loop: Loop, folder: Path, draw: Random, name: str = "host") -> None:
        self.loop, self.folder, self.name = loop, folder, name
        self.wall_errors: dict[int, set[float]] = {1: {0.0}}  # all that there were, by boot
        self._wall_error = 0.0
        self.drift = 0.0
        self.boots = 1
        self._booted = -1000.0
        self.draw = draw
        self.disk = (0.0005, 0.005)
        self.locks: dict[Path, Process] = {}
        self.processes: list[Process] = []
        self.strikes: Strikes = nothing_strikes
        self.steps: list[Step] = []
        self.keep_steps = False
        self.taken = 0
        self.on_death: list[Callable[[Process], None]] = []
        self.on_move: Callable[[str, str], None] = lambda _before, _after: None

    def now(self) -> Moment:
        true = self.loop.time()
        ticks = (true - self._booted) * (1 + self.drift)
        return Moment(ORIGIN + true + self._wall_error, ticks, f"{self.name}-boot-{self.boots}")

    @property
    def wall_error(self) -> float:
        return self._wall_error

    @wall_error.setter
    def wall_error(self, seconds: float) -> None:
        self._wall_error = seconds
        self.wall_errors[self.boots].add(seconds)

    def reboot(self, wall_error: float | None = None) -> None:
        """Every process is gone, and the ticks begin anew."""
        for process in self.processes:
            process.kill()
        self.boots += 1
        self._booted = self.loop.time()
        self._wall_error = self._wall_error if wall_error is None else wall_error
        self.wall_errors[self.boots] = {self._wall_error}

    def start(self, name: str, command: Callable[["Process"], object]) -> "Process":
        process = Process(self, f"{name}-{len(self.processes) + 1}", command)
        self.processes.append(process)
        return process


class HostClock:
    """The computer's clocks as a command asks for them."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def now(self) -> Moment:
        return self._host.now()


class Process:
    """One command at work; an owner of callbacks to the loop."""

    def __init__(self, host: Host, name: str, command: Callable[["Process"], object]) -> None:
        self.host, self.name = host, name
        self.clock: Clock = HostClock(host)
        self.parked = self.gone = False
        self.held: list[Call] = []
        self.tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self.ended: asyncio.Future[Ended] = host.loop.create_future()
        self.ending = Ending()
        self.signalled = 0
        self.was_hurried = False  # told twice to end: it gives up what it has begun
        self.connections: list[Any] = []
        self.disk_is: Blow | None = None
        self.was_struck = False  # by its disk: what it knew may not be in the journal
        self.died_at: float | None = None
        self.steps = 0
        self.protected: frozenset[str] = frozenset()  # as it stood when the command began
        self.stray: list[str] = []
        self._command = command
        self._context = contextvars.copy_context()
        self._context.run(OWNER.set, self)
        self._mine, self._theirs = threading.Semaphore(0), threading.Semaphore(0)
        self._wanted: Coroutine[Any, Any, Any] | None = None
        self._main: asyncio.Task[Any] | None = None
        self._over = False
        self._outcome = Ended()
        self._thread = threading.Thread(target=self._context.copy().run, args=(self._live,), daemon=True)
        self._thread.start()
        host.loop.call_soon(self._turn, context=self._context)

    # -- what the command sees --

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """As `asyncio.run`: what the coroutine comes to, on the simulation's loop."""
        self._wanted = work
        self._theirs.release()
        self._mine.acquire()
        self.check()
        assert self._main is not None
        result: T = self._main.result()
        return result

    def check(self) -> None:
        if self.gone:
            raise ProcessDied(self.name)

    def step(self, kind: str, what: str) -> Blow | None:
        """The process is about to do something to the world; returns what strikes it then, unless it is death."""
        self.check()
        host = self.host
        host.taken += 1
        self.steps += 1
        step = Step(host.taken, kind, what, host.loop.made if self.ending.is_heard else 0)
        if host.keep_steps:
            host.steps.append(step)
        blow = host.strikes(self, step)
        if blow is Blow.KILL:
            self.kill()
        elif blow is Blow.SIGTERM:
            self.signal()
        elif blow in (Blow.DISK_FULL, Blow.IO_ERROR):
            self.disk_is, self.was_struck = blow, True
        elif blow is Blow.IO_ERROR_AFTER:
            self.was_struck = True
        self.check()
        return blow

    # -- what happens to it --

    def signal(self, name: str = "SIGTERM") -> None:
        """The first time it drains and the second time it stops; where no run listens, it ends at once."""
        if self._over or self.gone:
            return
        if not self.ending.is_heard:
            self.kill()
            return
        self.signalled += 1
        self.was_hurried = self.was_hurried or self.signalled > 1
        self.host.loop.call_soon(self.ending.ask, name, context=self._context)

    def kill(self) -> None:
        """It gets no further. The operating system drops its locks and connections."""
        if not self._over and not self.gone:
            contextvars.Context().run(self._die)  # nobody's context: what is done now is not its own doing

    def _die(self) -> None:
        self.parked = self.gone = True
        self.died_at = self.host.loop.time()
        for path in [path for path, holder in self.host.locks.items() if holder is self]:
            del self.host.locks[path]
        for connection in self.connections:
            connection.abandon()
        for told in self.host.on_death:
            told(self)
        self.ended.set_result(Ended(killed=True))

    def freeze(self) -> None:
        self.parked = True

    def thaw(self) -> None:
        """Everything that was due comes at once."""
        if not self.gone:
            self.parked = False
            held, self.held = self.held, []
            self.host.loop.resume(held)

    def disk_time(self) -> float:
        return self.host.draw.uniform(*self.host.disk)

    @property
    def is_running(self) -> bool:
        return not self._over and not self.gone

    async def bury(self) -> None:
        """Unwind what is left of it once nobody looks at its files any more, so that nothing is left open."""
        if not self.gone or self._over:
            return
        self.parked = False
        held, self.held = self.held, []
        self.host.loop.resume(held)
        while self._main is not None and not self._main.done():
            self._main.cancel()
            await asyncio.wait([self._main], timeout=60.0)
        if not self._over:
            await self._cancel_rest()
            self._mine.release()
            self._theirs.acquire()
        self._thread.join()

    # -- the two sides of the hand-over --

    def _live(self) -> None:
        self._mine.acquire()
        try:
            self.check()
            self._outcome = Ended(self._command(self))
        except BaseException as error:  # noqa: BLE001  # whatever ends it is the story's to judge
            self._outcome = Ended(error=error)
        self._over = True
        self._theirs.release()

    def _turn(self) -> None:
        """Let the thread work until it waits for the loop, or ends. Everybody else stands still meanwhile."""
        self._mine.release()
        self._theirs.acquire()
        wanted = self._take_wanted()
        if wanted is not None and not self.gone:
            self._main = self.host.loop.create_task(wanted, context=self._context)
            self._main.add_done_callback(self._main_done, context=self._context)
        elif self._over:
            self._thread.join()
            if not self.gone:
                self.ended.set_result(self._outcome)

    def _take_wanted(self) -> Coroutine[Any, Any, Any] | None:
        wanted, self._wanted = self._wanted, None
        return wanted

    def _main_done(self, _main: asyncio.Task[Any]) -> None:
        if not self.gone:
            self.host.loop.create_task(self._finish_loop(), context=self._context)

    async def _finish_loop(self) -> None:
        await self._cancel_rest()
        self._turn()

    async def _cancel_rest(self) -> None:
        """As `asyncio.run` does with tasks that nobody has waited for."""
        current = asyncio.current_task()
        rest = sorted((task for task in self.tasks if task is not current and not task.done()), key=hash)
        for task in rest:
            self.stray.append(repr(task.get_coro()))
            task.cancel()
        if rest:
            await asyncio.wait(rest)


def current_process() -> Process:
    process = OWNER.get()
    assert isinstance(process, Process), "only processes do this"
    return process


class OsLock:
    """In the place of `FileLock`: the operating system's lock on a file, which dies with the process that holds it."""

    def __init__(self, path: Path, *, mode: int, timeout: float) -> None:
        assert (mode, timeout) == (0o600, 0), "a private lock, and nobody waits for it"
        self.path = path

    def acquire(self) -> None:
        from filelock import Timeout

        process = current_process()
        process.check()
        if self.path in process.host.locks:
            raise Timeout(str(self.path))
        process.host.locks[self.path] = process

    def release(self) -> None:
        process = current_process()
        process.check()
        if process.host.locks.get(self.path) is process:
            del process.host.locks[self.path]


class OsMachineLock:
    """In the place of `machine_lock`: a lock that all processes of the host share by its name."""

    def __init__(self, name: str) -> None:
        self._name = Path("shared", name)

    def acquire(self) -> None:
        from batch_offboard.journal.machine_lock import HeldError

        process = current_process()
        process.check()
        if self._name in process.host.locks:
            raise HeldError("another process")
        process.host.locks[self._name] = process

    def release(self) -> None:
        process = current_process()
        process.check()
        if process.host.locks.get(self._name) is process:
            del process.host.locks[self._name]
