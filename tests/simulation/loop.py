"""An event loop without a machine: time passes when nobody has anything to do, and a seed decides who comes first.

What would reach the operating system (threads, connections) goes to whoever plays it in the simulation. A callback
belongs to the process in whose context it was made, so that a process can stand still or be gone.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Coroutine
from heapq import heappop, heappush
from random import Random
from typing import Any, Protocol, TypeVar, TypeVarTuple
from weakref import WeakSet

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# Work takes time, too. Without this, two timers that differ by a float's last digit could set each other for ever.
WORK = 1e-6  # seconds for one round of callbacks


class Owner(Protocol):
    """A process, as the loop sees it. While it is `parked` its callbacks are laid aside in `held`, in order."""

    parked: bool
    gone: bool
    held: list["Call"]
    tasks: WeakSet[asyncio.Task[Any]]

    def disk_time(self) -> float:
        """Seconds that its next piece of work in a thread takes."""


OWNER: contextvars.ContextVar[Owner | None] = contextvars.ContextVar("owner", default=None)


class Network(Protocol):
    """Where connections lead."""

    async def connect(self, sock: object, address: tuple[str, int]) -> None:
        """Make a connection in the socket's name; OSError if there can be none."""

    def join(self, sock: object, protocol: asyncio.BaseProtocol) -> asyncio.Transport:
        """The client's end of the connection that was made in the socket's name."""

    def listen(self, factory: Callable[[], asyncio.BaseProtocol], host: str) -> Any: ...


class Call(asyncio.TimerHandle):
    """A callback to come. It belongs to the process in whose context it was made; asyncio's own kind costs three times
    as much."""

    __slots__ = ("args", "at", "callback", "context", "is_off", "owner")

    def __init__(
        self, at: float, callback: Callable[..., object], args: tuple[Any, ...], context: contextvars.Context | None
    ) -> None:
        self.at, self.callback, self.args, self.is_off = at, callback, args, False
        self.context = contextvars.copy_context() if context is None else context
        self.owner = self.context.get(OWNER)

    def cancel(self) -> None:
        self.is_off = True
        self.callback, self.args = _nothing, ()

    def cancelled(self) -> bool:
        return self.is_off

    def when(self) -> float:
        return self.at


def _nothing() -> None:
    """What is left of a call that was cancelled."""


class StandstillError(AssertionError):
    """Nobody has anything to do, now or ever, and what was waited for has not come."""


class Loop(asyncio.AbstractEventLoop):
    """Runs callbacks in the order in which they were asked for; with `shuffled`, tasks that are ready together run in
    an order that `draw` decides."""

    def __init__(self, draw: Random, *, shuffled: bool = False) -> None:
        self._draw, self._shuffled = draw, shuffled
        self._now = 0.0
        self._ready: deque[Call] = deque()
        self._timers: list[tuple[float, int, Call]] = []
        self._number = 0
        self._tasks = 0
        self.made = 0  # callbacks
        self._busy_until: dict[int, float] = {}
        self.network: Network | None = None
        self.errors: list[dict[str, Any]] = []

    # -- time and callbacks --

    def time(self) -> float:
        return self._now

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        call = Call(self._now, callback, args, context)
        self._ready.append(call)
        return call

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        call = Call(when, callback, args, context)
        self._number += 1
        heappush(self._timers, (when, self._number, call))
        return call

    def resume(self, calls: list["Call"]) -> None:
        """Let calls that were laid aside come next."""
        self._ready.extend(calls)

    def run_until_complete(self, future: Any) -> Any:
        """Run until the coroutine or future is done; StandstillError if it can never be."""
        asyncio._set_running_loop(self)
        try:
            task = asyncio.ensure_future(future, loop=self)
            while not task.done():
                self._round()
            return task.result()
        finally:
            asyncio._set_running_loop(None)

    def _round(self) -> None:
        ready = self._ready
        if not ready:
            self._pass_time()
        self._now += WORK
        if len(ready) > 1 and self._shuffled:
            self._shuffle()
        for _ in range(len(ready)):
            call = ready.popleft()
            if call.is_off:
                continue
            if call.owner is not None and call.owner.parked:
                call.owner.held.append(call)
            else:
                self._make(call)

    def _make(self, call: "Call") -> None:
        self.made += 1
        try:
            call.context.run(call.callback, *call.args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001  # nobody waits for what a callback comes to
            self.call_exception_handler({"message": f"Exception in {call.callback!r}", "exception": error})

    def _pass_time(self) -> None:
        """Go to the next moment at which somebody has something to do."""
        timers = self._timers
        while timers:
            when, _, call = heappop(timers)
            if call.is_off:
                continue
            if call.owner is not None and call.owner.gone and call.owner.parked:
                call.owner.held.append(call)
                continue
            self._now = max(self._now, when)
            self._ready.append(call)
            return
        raise StandstillError("Everybody waits for somebody else, for ever.")

    def _shuffle(self) -> None:
        """Change the order of the tasks; what is no task (bytes that arrive, say) keeps its place."""
        ready = list(self._ready)
        places = [
            place
            for place, call in enumerate(ready)
            if isinstance(getattr(call.callback, "__self__", None), asyncio.Task)
        ]
        if len(places) < 2:
            return
        drawn = self._draw.sample(places, len(places))
        for place, other in zip(places, drawn, strict=True):
            self._ready[place] = ready[other]

    # -- tasks and threads --

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Any, *, name: str | None = None, context: contextvars.Context | None = None, **options: Any
    ) -> asyncio.Task[Any]:
        self._tasks += 1
        name = name or f"task-{self._tasks}"
        task = _Task(coro, self._tasks, loop=self, name=name, context=context, **options)
        owner = OWNER.get() if context is None else context.get(OWNER)
        if owner is not None:
            owner.tasks.add(task)
        return task

    def run_in_executor(self, executor: Any, func: Callable[[*Ts], T], *args: *Ts) -> "asyncio.Future[T]":
        """The work is done in one piece, when its time in the thread is over; an executor here has one thread."""
        future: asyncio.Future[T] = self.create_future()
        owner = OWNER.get()
        begin = max(self._now, self._busy_until.get(id(executor), 0.0))
        end = begin + (owner.disk_time() if owner is not None else 0.0)
        self._busy_until[id(executor)] = end
        self.call_at(end, _work, future, begin == self._now, func, args)
        return future

    # -- the network --

    async def sock_connect(self, sock: Any, address: Any) -> None:
        assert self.network is not None
        await self.network.connect(sock, address)

    async def create_connection(self, protocol_factory: Any, *_args: Any, sock: Any = None, **_options: Any) -> Any:
        assert self.network is not None
        sock.close()  # only its name was needed
        protocol = protocol_factory()
        return self.network.join(sock, protocol), protocol

    async def create_server(self, protocol_factory: Any, host: Any = None, *_args: Any, **_options: Any) -> Any:
        assert self.network is not None
        return self.network.listen(protocol_factory, host)

    # -- what is asked of every loop --

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return asyncio._get_running_loop() is self

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What nobody took care of is a finding."""
        self.errors.append(context)


class _Task(asyncio.Task[T]):
    """Hashed by its number: a set of tasks has the same order each time."""

    def __init__(self, coro: Coroutine[Any, Any, T], number: int, **options: Any) -> None:
        self._number = number
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


def _work(future: "asyncio.Future[T]", begun: bool, func: Callable[..., T], args: tuple[Any, ...]) -> None:
    """What a thread does with a piece of work: one that it has begun is done to its end, wanted or not."""
    if future.cancelled() and not begun:
        return
    try:
        result = func(*args)
    except BaseException as error:  # noqa: BLE001  # it belongs to whoever waits
        if not future.cancelled():
            future.set_exception(error)
    else:
        if not future.cancelled():
            future.set_result(result)
