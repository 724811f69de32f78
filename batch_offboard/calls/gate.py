"""The one way to a call: a slot of every window of the quota, and the token buckets' consent.

The buckets (aiolimiter) shape the traffic, the call log in `quota` keeps the promise, the server's own wishes
come before both. Nothing here knows what is called or for whom.
"""

import asyncio
from contextlib import suppress
from math import inf

from aiolimiter import AsyncLimiter

from batch_offboard.base.clock import Clock, Moment, seconds_since
from batch_offboard.core.quota import CallLog, Holds, QuotaLimits, Window, bucket_level, forecast
from batch_offboard.core.slots import CallHistory, Slot, Standing

# A sleeping machine stops the event loop's time but not ours, so that no wait is trusted for longer than this.
LONGEST_NAP = 30.0


class Gate:
    """Admits calls of one quota. Construct it inside the running event loop; one process, one gate for each quota."""

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
        # After a silence one call goes alone; the others follow when it has come back without a new silence.
        self._silenced = self._holds.until > now.ticks
        self._probe: Slot | None = None
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._hour = AsyncLimiter(limits.hour.calls, limits.hour.period)
        self._hour_level = bucket_level(limits.hour.calls, limits.hour.period, ended, now.ticks)
        self._minute = self._minute_bucket(now.ticks)

    async def acquire(self) -> Slot:
        """Wait for a slot of every window; whoever asks first goes first. Cancelling leaves nothing taken."""
        async with self._turn:
            await self._fill_hour_bucket()
            await self._wait_for_log()
            minute = self._minute
            await minute.acquire()
            await self._hour.acquire()
            await self._wait_for_log()  # a 429 may have come while the buckets dripped
            if self._minute is not minute:
                await self._minute.acquire()  # and have taken the pace down: this is the new bucket's first drop
            self._log.start()
            slot = Slot(self._clock.now())
            self._probe = slot if self._silenced else None
            return slot

    def release(self, slot: Slot) -> Moment:
        """The call has ended (or was never sent): from now on its slot comes free. Returns the moment."""
        now = self._clock.now()
        self._log.end(now.ticks)
        if slot is self._probe:
            self._probe, self._silenced = None, self._holds.until > now.ticks
        self._wake()
        return now

    def give_back(self, slot: Slot) -> None:
        """No call is made with the slot after all: it is free again at once, and nobody can use it any more."""
        slot.use()
        self._log.give_back()
        if slot is self._probe:
            self._probe = None
        self._wake()

    def throttled(self, slot: Slot, wait: float) -> bool:
        """A 429 came for this slot's call: nobody calls for `wait` seconds. True if it takes the pace down."""
        now = self._clock.now().ticks
        explained = self._log.full(now)
        stepped = self._holds.throttled(now, started=slot.taken_at.ticks, wait=wait, explained=explained)
        self._silenced = True
        if stepped:
            self._minute = self._minute_bucket(now)
        self._wake()
        return stepped

    def pause(self, seconds: float) -> None:
        """Nobody calls for so long: the network is away, or the server asks for it."""
        self._holds.until = max(self._holds.until, self._clock.now().ticks + seconds)
        self._silenced = True
        self._wake()

    def standing(self) -> Standing:
        """What is left, for people to see."""
        now = self._clock.now().ticks
        name, until = self._reason(now)
        taken = [(self._log.used(window, now), window.calls) for window in self.limits.windows]
        return Standing(taken[0], taken[1], name, until)

    def held(self) -> tuple[float, str]:
        """For how many seconds from now the server or the hour's quota lets nobody call, and which of them it is. The
        minute's quota is no reason here, since it is the pace of the calls."""
        now = self._clock.now().ticks
        hour = self._log.free_at(now, self.limits.hour)
        if self._holds.until >= hour:
            return max(0.0, self._holds.until - now), "The API"
        return max(0.0, hour - now), "The hour's quota"

    def time_for(self, calls: int, latency: float, workers: int) -> float:
        """Seconds until the last of so many further calls will have ended, as things stand."""
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
        """Take the earlier calls' drops, once: aiolimiter's buckets start empty."""
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
        """When to look again, or None if the next call may go now."""
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
