"""Connections without a network: what one end writes arrives at the other, unless the weather has it otherwise.

Above is aiohttp, as it is, on both sides. One rule holds whatever happens: a request arrives while its connection
lasts, or never. Beyond that no client can keep a quota by the time of arrival.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.simulation.framing import Frames, Head
from tests.simulation.host import Blow, Process, ProcessDied, current_process
from tests.simulation.loop import Loop
from tests.simulation.record import Exchange, Record
from tests.simulation.weather import Fate, Mishap, Weather

HIGH_WATER = 1 << 16  # bytes on their way, beyond which a writer has to wait

RESET = "the connection was reset"
CLOSED = "the connection was closed"


class Net:
    """All connections of a simulation."""

    def __init__(self, loop: Loop, weather: Weather) -> None:
        self.loop, self.weather = loop, weather
        self.began: Callable[[Exchange], None] = _nobody  # told of a request as its first byte leaves
        self.ended: Callable[[Exchange], None] = _nobody  # told when its answer is read, or its connection over
        self.record = Record()
        self._listeners: dict[int, tuple[Callable[[], asyncio.BaseProtocol], contextvars.Context]] = {}
        self._made: dict[int, Line] = {}
        self._lines = 0
        self.open_lines: set[Line] = set()

    async def connect(self, sock: object, address: tuple[str, int]) -> None:
        """Raises OSError where no connection comes about."""
        process = current_process()
        if process.step("network", "connect") is Blow.RESET:
            raise ConnectionResetError(104, "Connection reset by peer")
        mishap, delay = self.weather.connecting(self.loop.time())
        await asyncio.sleep(delay)
        if mishap or address[1] not in self._listeners:
            self.record.note(self.loop.time(), 0, f"no connection from {process.name}")
            raise ConnectionRefusedError(111, "Connection refused")
        self._lines += 1
        line = Line(self, self._lines, process)
        self._made[id(sock)] = line
        factory, context = self._listeners[address[1]]
        line.server.opened(factory(), context.copy())

    def join(self, sock: object, protocol: asyncio.BaseProtocol) -> asyncio.Transport:
        line = self._made.pop(id(sock))
        line.client.opened(protocol, contextvars.copy_context())
        return line.client

    def listen(self, factory: Callable[[], asyncio.BaseProtocol], host: str) -> "Listener":
        port = 49152 + len(self._listeners)
        self._listeners[port] = (factory, contextvars.copy_context())
        return Listener(self._listeners, host, port)

    def died(self, process: Process) -> None:
        """The operating system closes what the process had open."""
        for line in sorted(self.open_lines, key=lambda each: each.number):
            if line.process is process:
                line.client_is_gone(CLOSED)


def _nobody(_exchange: Exchange) -> None:
    """Listens."""


class Listener:
    """What `loop.create_server` gives: somewhere to connect to."""

    def __init__(self, listeners: dict[int, Any], host: str, port: int) -> None:
        self._listeners, self._name = listeners, (host, port)
        self.sockets = (self,)

    def getsockname(self) -> tuple[str, int]:
        return self._name

    def close(self) -> None:
        self._listeners.pop(self._name[1], None)

    async def wait_closed(self) -> None: ...


class Line:
    """One connection. The client's end belongs to a process, the server's to the tenant."""

    def __init__(self, net: Net, number: int, process: Process) -> None:
        self.net, self.number, self.process = net, number, process
        self.client, self.server = End(self, "client"), End(self, "server")
        self.client.peer, self.server.peer = self.server, self.client
        self.exchange: Exchange | None = None
        self._requests = Frames(answers=False)
        self._answers = Frames(answers=True)
        self._fate = Fate()
        self._request = bytearray()
        self.over = False
        net.open_lines.add(self)

    # -- from the client --

    def client_writes(self, data: bytes) -> None:
        """The bytes of requests, of one or a part of one; head and body leave one after the other."""
        for head, piece, is_last in self._requests.feed(data):
            if head is not None:
                self._begin(head)
            if self.over:
                return
            blow = self.process.step("network", "head leaves" if head is not None else "body leaves")
            if blow is Blow.RESET:
                self.reset()
                return
            self._request += piece
            self._carry(piece, is_last=is_last)

    def _begin(self, head: Head) -> None:
        net = self.net
        method, path = head.words[0], head.words[1]
        exchange = Exchange(len(net.record.exchanges), self.process, method, path, net.loop.time())
        net.record.exchanges.append(exchange)
        self.exchange = exchange
        self._request.clear()
        self._fate = net.weather.fate(exchange.began)
        exchange.mishap = self._fate.mishap
        net.began(exchange)
        net.record.note(
            exchange.began, self.number, f"{self.process.name} {method} {path} {self._fate.mishap}".rstrip()
        )
        if self._fate.mishap is Mishap.RESET_BEFORE:
            self.reset()

    def _carry(self, piece: bytes, *, is_last: bool) -> None:
        fate = self._fate
        if fate.mishap is Mishap.SWALLOWED:
            return
        if fate.mishap is Mishap.RESET_HALFWAY:
            self.client.carry(piece[: len(piece) // 2], fate.slices)
            self.net.loop.call_later(self.net.weather.latency(), self.reset)
            self._fate = Fate(Mishap.SWALLOWED)
            return
        if is_last:
            self.client.carry(piece, fate.slices, fate.delay, self._request_arrives)
        else:
            self.client.carry(piece, fate.slices)

    def _request_arrives(self) -> None:
        exchange = self.exchange
        if exchange is None:
            return
        exchange.arrived = self.net.loop.time()
        self.net.record.note(exchange.arrived, self.number, f"request {exchange.number} arrived")
        if self._fate.mishap is Mishap.RESET_AFTER:
            self.net.loop.call_later(self._fate.then, self.reset)
        if self._fate.mishap is Mishap.DOUBLED:
            self._double(exchange)

    def _double(self, exchange: Exchange) -> None:
        """A box on the way sends the whole request once more, on a connection of its own, and drops its answer."""
        exchange.copies += 1
        copy = Line(self.net, -exchange.number - 1, self.process)
        factory, context = next(iter(self.net._listeners.values()))
        copy.server.opened(factory(), context.copy())
        self.net.loop.call_later(self._fate.then, copy.client.carry, bytes(self._request), 1, context=context.copy())

    # -- from the server --

    def server_writes(self, data: bytes) -> None:
        for head, piece, is_last in self._answers.feed(data):
            if head is not None and self.exchange is not None:
                self.exchange.status = int(head.words[1])
                self.exchange.retry_after = head.all("retry-after")
            if self._fate.mishap is Mishap.ANSWER_CUT and is_last:
                self.server.carry(piece[: len(piece) // 2], self._fate.slices)
                self.net.loop.call_later(self.net.weather.latency() * 4, self.reset)
                self._fate = Fate(Mishap.SWALLOWED)
                return
            if self._fate.mishap is Mishap.SWALLOWED:
                return
            if is_last:
                self.server.carry(piece, self._fate.slices, self._fate.answer_delay, self._answer_is_read)
            else:
                self.server.carry(piece, self._fate.slices)

    def _answer_is_read(self) -> None:
        if self.exchange is not None:
            self.exchange.answered = True
        self._exchange_is_over()

    def _exchange_is_over(self) -> None:
        """The whole answer is at the client, or the connection is over."""
        if self.exchange is not None and self.exchange.ended is None:
            self.exchange.ended = self.net.loop.time()
            self.net.record.note(self.exchange.ended, self.number, f"{self.exchange.number}: {self.exchange.status}")
            self.net.ended(self.exchange)

    # -- the end --

    def reset(self) -> None:
        """Both ends are told that the connection is no more."""
        if not self.over:
            self._settle_flights()
            self._end(RESET)
            for end in (self.client, self.server):
                end.lost(ConnectionResetError(104, "Connection reset by peer"))

    def client_is_gone(self, why: str) -> None:
        """The client's end was closed, by the program or with it."""
        if not self.over:
            self._settle_flights()
            self._end(why)
            self.server.carry_end()

    def _settle_flights(self) -> None:
        """What is on its way to the server arrives now or never."""
        if self.net.weather.arrives_at_the_end():
            self.client.land_now()
        self.client.drop_flights()
        self.server.drop_flights()

    def _end(self, why: str) -> None:
        self.over = True
        self.net.open_lines.discard(self)
        self.net.record.note(self.net.loop.time(), self.number, why)
        self._exchange_is_over()


@dataclass(slots=True, eq=False)
class _Flight:
    """Bytes on their way, and what is true as soon as they are there. Without bytes: the end of them."""

    data: bytes
    fact: Callable[[], None] | None = None
    handle: asyncio.TimerHandle | None = None


class End(asyncio.Transport):
    """One end of a line, as aiohttp sees it."""

    def __init__(self, line: Line, side: str) -> None:
        super().__init__()
        self.line, self._side = line, side
        self.peer: End
        self.protocol: asyncio.Protocol | None = None
        self.context = contextvars.copy_context()
        self._closing = False
        self._lost = False
        self._last = 0.0
        self._flights: deque[_Flight] = deque()
        self._on_the_way = 0
        self._writer_waits = False
        self._reading = True
        self._unread: deque[_Flight] = deque()
        self._waiting: list[_Flight] = []

    def opened(self, protocol: Any, context: contextvars.Context) -> None:
        self.protocol, self.context = protocol, context
        context.run(protocol.connection_made, self)
        waiting, self._waiting = self._waiting, []
        for flight in waiting:
            self._land(flight)

    # -- what the protocol asks for --

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or self.line.over:
            return
        if self._side == "client":
            self.line.client_writes(bytes(data))
        else:
            self.line.server_writes(bytes(data))

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if self._side == "client":
            self.line.client_is_gone(CLOSED)
        elif not self.line.over:
            self.carry_end()
        self.lost(None)

    def abort(self) -> None:
        if self._side == "client":
            self.close()
        else:
            self.line.reset()

    def is_closing(self) -> bool:
        return self._closing or self._lost

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        ends = {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}
        return ends.get(name, default)

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        while self._unread and self._reading:
            self._land(self._unread.popleft())

    def is_reading(self) -> bool:
        return self._reading

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def can_write_eof(self) -> bool:
        return False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol  # type: ignore[assignment]  # aiohttp's are all of the streaming kind

    def get_protocol(self) -> Any:
        return self.protocol

    # -- the way --

    def carry(self, data: bytes, slices: int = 1, delay: float = 0.0, fact: Callable[[], None] | None = None) -> None:
        """Send bytes on their way, in so many pieces, `delay` seconds late. `fact` is true with the last."""
        if not data:
            return
        size = max(1, -(-len(data) // slices))
        for start in range(0, len(data), size):
            end = start + size
            self._send(_Flight(data[start:end], fact if end >= len(data) else None), delay)
        if self._on_the_way > HIGH_WATER and not self._writer_waits and self.protocol is not None:
            self._writer_waits = True
            self.protocol.pause_writing()

    def carry_end(self) -> None:
        self._send(_Flight(b""), 0.0)

    def _send(self, flight: _Flight, delay: float) -> None:
        loop = self.line.net.loop
        self._last = max(self._last, loop.time() + self.line.net.weather.latency() + delay)
        self._flights.append(flight)
        self._on_the_way += len(flight.data)
        flight.handle = loop.call_at(self._last, self._arrive, flight, context=self.peer.context)

    def _arrive(self, flight: _Flight) -> None:
        self._flights.remove(flight)
        self._on_the_way -= len(flight.data)
        if self._writer_waits and self._on_the_way <= HIGH_WATER and self.protocol is not None:
            self._writer_waits = False
            self.protocol.resume_writing()
        self.peer._land(flight)

    def _land(self, flight: _Flight) -> None:
        if self.protocol is None:
            self._waiting.append(flight)
        elif not self._reading:
            self._unread.append(flight)
        elif not flight.data:
            self._other_end_is_closed()
        elif self._side == "server":
            if flight.fact is not None:
                flight.fact()
            if not self._lost:
                self.protocol.data_received(flight.data)
        elif not self._lost and self._may_read():
            self.protocol.data_received(flight.data)
            if flight.fact is not None:
                flight.fact()

    def _may_read(self) -> bool:
        try:
            if self.line.process.step("network", "answer arrives") is Blow.RESET:
                self.line.reset()
        except ProcessDied:
            return False
        return not self.line.over

    def land_now(self) -> None:
        """All that is on its way is there at once."""
        while self._flights:
            flight = self._flights[0]
            if flight.handle is not None:
                flight.handle.cancel()
            self.peer.context.run(self._arrive, flight)

    def drop_flights(self) -> None:
        for flight in self._flights:
            if flight.handle is not None:
                flight.handle.cancel()
        self._flights.clear()

    def _other_end_is_closed(self) -> None:
        if self._closing or self._lost or self.protocol is None:
            return
        if not self.protocol.eof_received():
            self.close()

    def lost(self, error: Exception | None) -> None:
        """Tell the protocol, soon, that there is no connection any more."""
        if not self._lost:
            self._lost = self._closing = True
            if self.protocol is not None:
                self.line.net.loop.call_soon(self.protocol.connection_lost, error, context=self.context)
