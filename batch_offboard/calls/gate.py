"""The only way to a call: a slot of every window of the quota, and a place in the buckets.

The buckets (aiolimiter) shape the traffic, the call log in `core.quota` guarantees the quota, and the server's
Retry-After takes precedence over both. The gate does not depend on what is called.
"""

import asyncio
from contextlib import suppress
from math import inf

from aiolimiter import AsyncLimiter

from batch_offboard.base.clock import Clock, Moment, seconds_since
from batch_offboard.core.quota import CallLog, Holds, QuotaLimits, Window, bucket_level, forecast
from batch_offboard.core.slots import CallHistory, Slot, Standing

# The event loop's clock stops while the machine sleeps and ours does not, so no wait is longer than this.
LONGEST_NAP = 30.0  # seconds


class Gate:
    """Admits calls of one quota. Create it in the running event loop, and only one per process and quota."""

    def __init__(self, limits: QuotaLimits, clock: Clock, history: CallHistory | None = None) -> None:
        history = history or CallHistory()
        now = clock.now()
        ended = sorted(now.ticks - seconds_since(then, now) for then in history.ended)
        self.limits = limits
        self._clock = clock
        self._log = CallLog(limits.windows, ended)
        self._holds = Holds(steps=sorted(now.ticks - seconds_since(then, now) for then in history.steps))
        for then, wait in history.holds:
            self._holds.until = max(self._holds.until, now.ticks - seconds_since(then, now) + wait)
        # After a pause one call is made alone; the others follow when it has ended without a new pause.
        self._silenced = self._holds.until > now.ticks
        self._probe: Slot | None = None
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._hour = AsyncLimiter(limits.hour.calls, limits.hour.period)
        self._hour_level = bucket_level(limits.hour.calls, limits.hour.period, ended, now.ticks)
        self._minute = self._minute_bucket(now.ticks)

    async def acquire(self) -> Slot:
        """Wait for a slot of every window, in the order of the callers. Cancelling it takes nothing."""
        async with self._turn:
            await self._fill_hour_bucket()
            await self._wait_for_log()
            minute = self._minute
            await minute.acquire()
            await self._hour.acquire()
            await self._wait_for_log()  # a 429 may have arrived while waiting for the buckets
            if self._minute is not minute:
                await self._minute.acquire()  # and have reduced the pace: this is the new bucket's first drop
            self._log.start()
            slot = Slot(self._clock.now())
            self._probe = slot if self._silenced else None
            return slot

    def release(self, slot: Slot) -> Moment:
        """The call has ended (or was not sent): its slot is free once its windows have passed. Returns the time."""
        now = self._clock.now()
        self._log.end(now.ticks)
        if slot is self._probe:
            self._probe, self._silenced = None, self._holds.until > now.ticks
        self._wake()
        return now

    def give_back(self, slot: Slot) -> None:
        """Return a slot without a call: it is free again at once, and the slot object can no longer be used."""
        slot.use()
        self._log.give_back()
        if slot is self._probe:
            self._probe = None
        self._wake()

    def throttled(self, slot: Slot, wait: float) -> bool:
        """This slot's call was answered with 429: no call is made for `wait` seconds. True if it reduces the pace."""
        now = self._clock.now().ticks
        explained = self._log.full(now)
        stepped = self._holds.throttled(now, started=slot.taken_at.ticks, wait=wait, explained=explained)
        self._silenced = True
        if stepped:
            self._minute = self._minute_bucket(now)
        self._wake()
        return stepped

    def pause(self, seconds: float) -> None:
        """Make no call for so long: the network is down, or the server requires it."""
        self._holds.until = max(self._holds.until, self._clock.now().ticks + seconds)
        self._silenced = True
        self._wake()

    def standing(self) -> Standing:
        """The usage of the quota, to show to people."""
        now = self._clock.now().ticks
        name, until = self._reason(now)
        taken = [(self._log.used(window, now), window.calls) for window in self.limits.windows]
        return Standing(taken[0], taken[1], name, until)

    def held(self) -> tuple[float, str]:
        """For how many seconds from now the server or the hour's quota permits no call, and which of the two it is. The
        minute's quota does not count here, since it only paces the calls."""
        now = self._clock.now().ticks
        hour = self._log.free_at(now, self.limits.hour)
        if self._holds.until >= hour:
            return max(0.0, self._holds.until - now), "The API"
        return max(0.0, hour - now), "The hour's quota"

    def time_for(self, calls: int, latency: float, workers: int) -> float:
        """The forecast of the seconds until the last of `calls` further calls has ended."""
        now = self._clock.now().ticks
        return forecast(
            self.limits,
            calls,
            ended=self._log.ended,
            now=now,
            hold_until=self._holds.until,
            steps=self._holds.pace(now),
            latency=latency,
            workers=workers,
        ).end

    def _minute_bucket(self, now: float) -> AsyncLimiter:
        burst = self.limits.burst
        return AsyncLimiter(burst, burst * self.limits.interval(self._holds.pace(now)))

    async def _fill_hour_bucket(self) -> None:
        """Add the earlier calls to the bucket, once: aiolimiter's buckets start empty."""
        level, self._hour_level = self._hour_level, 0.0
        if level:
            await self._hour.acquire(min(level, self.limits.hour.calls))

    async def _wait_for_log(self) -> None:
        while (until := self._free_at(self._clock.now().ticks)) is not None:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(until - self._clock.now().ticks, LONGEST_NAP)):
                    await self._changed.wait()

    def _free_at(self, now: float) -> float | None:
        """When to check again, or None if the next call may be made now."""
        if self._probe is not None:
            return inf
        at = max(self._holds.until, self._log.free_at(now))
        return at if at > now else None

    def _reason(self, now: float) -> tuple[str | None, float | None]:
        if self._holds.until > now and self._holds.until >= self._log.free_at(now):
            return "the server's Retry-After", self._holds.until
        window: Window | None = self._log.blocking(now)
        if window is None:
            return None, None
        at = self._log.free_at(now)
        return f"a slot of the {window.name} quota", None if at == inf else at

    def _wake(self) -> None:
        self._changed.set()
