"""How long it takes to get N devices through the quota, beside what people use instead.

Nothing waits: the event loop's time jumps to the next moment at which somebody has something to do. The server counts
calls as the embedded tenant does, in each of its four ways. Ours is the worker pool with its gate; the others are made
anew from what they are known to do.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from aiolimiter import AsyncLimiter

from batch_offboard.base.clock import LoopClock, Moment
from batch_offboard.base.fasttime import FastLoop
from batch_offboard.calls.gate import Gate
from batch_offboard.calls.pool import Pool
from batch_offboard.core.brakes import Brakes
from batch_offboard.core.jobs import CallOutcome, Job, Verdict
from batch_offboard.core.quota import QuotaLimits
from batch_offboard.core.slots import Slot
from batch_offboard.simulator import QuotaMode
from batch_offboard.simulator.quotas import make_quota
from benchmarks.figures import Curve, Findings, Picture, Table, Target, seconds_text

LIMITS = ((100, 60), (1500, 3600))
LATENCY = (0.05, 2.0)  # seconds, there and back
WORKERS = 8
ORIGIN = 1_795_500_017.25  # begins no whole minute or hour, as seen by a server that counts in those

# Nothing waits. What is worked through takes the machine's own time, which is nothing beside minutes.
NO_WAITING = 1e9

SIZES = (50, 100, 1_000, 1_500, 10_000, 50_000)
QUICK_SIZES = (50, 100, 300)


def best_possible(calls: int) -> float:
    """Seconds from the first call to the last under a sliding window of 100 a minute and 1,500 an hour."""
    return 3600 * ((calls - 1) // 1500) + 60 * ((calls - 1) % 1500 // 100)


class Server:
    """Counts calls as they arrive, half a latency after they were sent."""

    def __init__(self, mode: QuotaMode) -> None:
        self._quota = make_quota(mode, LIMITS)
        self._draw = random.Random(7)  # noqa: S311  # the same jitter for everybody
        self.refusals = 0
        self.arrivals: list[float] = []  # of the calls that were admitted

    async def call(self) -> float | None:
        """None if the call was admitted, else the seconds of its `Retry-After`."""
        loop = asyncio.get_running_loop()
        latency = self._draw.uniform(*LATENCY)
        await asyncio.sleep(latency / 2)
        exceeded = self._quota.admit(ORIGIN + loop.time())
        if exceeded is None:
            self.arrivals.append(loop.time())
        else:
            self.refusals += 1
        await asyncio.sleep(latency / 2)
        return None if exceeded is None else float(exceeded.retry_after)


@dataclass(frozen=True, slots=True)
class Result:
    """`seconds` from the first admitted call to the last; `lost` are devices that were never admitted."""

    seconds: float
    refusals: int
    lost: int

    def __str__(self) -> str:
        return f"{seconds_text(self.seconds)} / {self.refusals:,} / {self.lost:,}"


Contender = Callable[[Server, int], Awaitable[None]]


# -- what people use --


async def loop_with_a_pause(server: Server, devices: int) -> None:
    """One call after the other with half a second between them, and nothing is tried again."""
    for _ in range(devices):
        await server.call()
        await asyncio.sleep(0.5)


async def loop_that_obeys(server: Server, devices: int) -> None:
    """One call after the other; after a 429 it waits as it is told, and tries again."""
    for _ in range(devices):
        while (wait := await server.call()) is not None:  # noqa: ASYNC110  # this is what it is known to do
            await asyncio.sleep(wait)


async def steady_pace(server: Server, devices: int) -> None:
    """A call every 2.4 seconds, which is what the hour allows, whatever the minute would."""
    for number in range(devices):
        await asyncio.sleep(max(0.0, number * 2.4 - asyncio.get_running_loop().time()))
        await server.call()


async def plain_buckets(server: Server, devices: int) -> None:
    """Eight workers behind two of aiolimiter's buckets, as its manual shows them; nothing is tried again."""
    minute, hour = (AsyncLimiter(calls, period) for calls, period in LIMITS)
    left = iter(range(devices))

    async def work() -> None:
        for _ in left:
            async with hour, minute:
                await server.call()

    await asyncio.gather(*(work() for _ in range(WORKERS)))


# -- ours --


class _Jobs:
    """A journal that is thin air: what is durable costs no time here, and is measured elsewhere."""

    def __init__(self, devices: int) -> None:
        self._jobs = deque(Job(row, f"{row:040x}", 0) for row in range(devices))

    async def next_jobs(self) -> list[Job]:
        return [self._jobs.popleft() for _ in range(min(500, len(self._jobs)))]

    async def start(self, job: Job, at: Moment) -> None: ...

    async def end(self, job: Job, at: Moment, outcome: CallOutcome, *, slower: bool) -> None: ...


class _Sender:
    def __init__(self, server: Server) -> None:
        self._server = server

    async def send(self, job: Job, slot: Slot) -> CallOutcome:
        slot.use()
        wait = await self._server.call()
        if wait is None:
            return CallOutcome(Verdict.SUBMITTED, 201, f"action-{job.row}")
        return CallOutcome(Verdict.THROTTLED, 429, retry_after=wait)

    async def renew_sign_in(self) -> None: ...


class _Nobody:
    def began(self, job: Job) -> None: ...

    def ended(self, job: Job, outcome: CallOutcome) -> None: ...


async def batch_offboard(server: Server, devices: int) -> None:
    """The worker pool behind its gate, with the configuration that it comes with."""
    clock = LoopClock(ORIGIN)
    gate = Gate(QuotaLimits(), clock)
    await Pool(_Jobs(devices), gate, _Sender(server), Brakes(10), _Nobody(), clock, WORKERS).run()


CONTENDERS: dict[str, Contender] = {
    "batch-offboard": batch_offboard,
    "a loop with a pause of 0.5 s": loop_with_a_pause,
    "a loop that obeys Retry-After": loop_that_obeys,
    "aiolimiter's two plain buckets": plain_buckets,
    "a call every 2.4 s": steady_pace,
}


def measure(contender: Contender, mode: QuotaMode, devices: int) -> Result:
    """Let the contender work so many devices off, on a server that counts in this way."""

    async def story() -> Result:
        server = Server(mode)
        await contender(server, devices)
        return Result(server.arrivals[-1] - server.arrivals[0], server.refusals, devices - len(server.arrivals))

    with asyncio.Runner(loop_factory=partial(_Loop, NO_WAITING)) as runner:
        return runner.run(story())


class _Loop(FastLoop):
    """Begins at zero, and lets time pass between two timers that differ by a float's last digit."""

    def __init__(self, speed: float) -> None:
        self._began = 0.0
        super().__init__(speed)
        self._began = super().time()

    def time(self) -> float:
        return super().time() - self._began


def run(quick: bool) -> Findings:
    sizes = QUICK_SIZES if quick else SIZES
    tables, targets, curves = [], [], []
    for mode in QuotaMode:
        found = {name: [measure(each, mode, size) for size in sizes] for name, each in CONTENDERS.items()}
        tables.append(_table(mode, sizes, found))
        ours = found["batch-offboard"]
        if mode is QuotaMode.SMOOTH:
            targets.append(_lost_target(mode, ours))
            continue
        targets.append(_time_target(mode, sizes, ours))
        targets.append(_refusal_target(mode, ours))
        if mode is QuotaMode.SLIDING:
            best = Curve("the best possible", [(size, max(1.0, best_possible(size))) for size in sizes])
            curves = [best, *(_curve(name, sizes, results) for name, results in found.items())]
    picture = Picture("schedule", "Time until the last device is admitted", "devices", "seconds", curves)
    return Findings("The schedule", _EXPLANATION, tables, targets, [picture])


_EXPLANATION = """Time from the first admitted call to the last, calls that were refused with a 429, and devices that
were never admitted (`time / 429s / lost`), for 100 calls a minute and 1,500 an hour. Every call takes between 0.05
and 2 seconds. The server counts in one of four ways, since Microsoft does not say how it does. The clock is virtual.
The best possible is that of a sliding window: 1,500 devices an hour, 100 of them in each of its first fifteen
minutes."""


def _table(mode: QuotaMode, sizes: Sequence[int], found: dict[str, list[Result]]) -> Table:
    rows = [
        [f"{size:,}", seconds_text(best_possible(size)), *(str(found[name][place]) for name in CONTENDERS)]
        for place, size in enumerate(sizes)
    ]
    return Table(f"A server that counts in a {_MODES[mode]}", ["devices", "best possible", *CONTENDERS], rows)


_MODES = {
    QuotaMode.SLIDING: "sliding window",
    QuotaMode.FIXED: "fixed window",
    QuotaMode.BUCKET: "token bucket of the same size",
    QuotaMode.SMOOTH: "token bucket without any burst, which allows a call every 2.4 s and nothing sooner",
}


def _curve(name: str, sizes: Sequence[int], results: Sequence[Result]) -> Curve:
    return Curve(name, [(size, max(1.0, result.seconds)) for size, result in zip(sizes, results, strict=True)])


def _time_target(mode: QuotaMode, sizes: Sequence[int], ours: Sequence[Result]) -> Target:
    late = [
        result.seconds - best_possible(size) * 1.01 for size, result in zip(sizes, ours, strict=True)
    ]  # beyond the best possible and a hundredth of it
    what = f"last call on a server with a {_MODES[mode]}, later than the best possible plus 1 %"
    return Target(what, f"{max(late):.1f} s at most", "60 s", max(late) <= 60)


def _refusal_target(mode: QuotaMode, ours: Sequence[Result]) -> Target:
    refusals = sum(result.refusals for result in ours)
    return Target(f"429s from our own traffic on a server with a {_MODES[mode]}", str(refusals), "0", refusals == 0)


def _lost_target(mode: QuotaMode, ours: Sequence[Result]) -> Target:
    lost = sum(result.lost for result in ours)
    return Target(f"devices lost on a server with a {_MODES[mode]}", str(lost), "0", lost == 0)
