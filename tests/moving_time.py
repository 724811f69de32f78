"""Virtual time that never stands still, and that advances as soon as nothing else can happen; importing this patches
looptime's loops.

A timer set for the current time fires without advancing the time. aiolimiter sets such timers in a loop while rounding
leaves a tiny rest in its bucket: a real clock advances meanwhile, so the virtual one must, too.

Before time advances to the next timer, looptime runs the loop 42 times, in case the kernel still carries data from one
socket to another; this took most of the time of these tests. Loopback delivers within the call that sends, so that some
polls are enough.
"""

import asyncio
from typing import Any

from looptime import LoopTimeEventLoop

RESOLUTION = 1e-6  # looptime's own, in seconds
POLLS = 8


def _call_later_than_now(loop: LoopTimeEventLoop, when: float, *arguments: Any, **options: Any) -> asyncio.TimerHandle:
    later = max(when, loop.time() + RESOLUTION)
    return super(LoopTimeEventLoop, loop).call_at(later, *arguments, **options)


_select = LoopTimeEventLoop._LoopTimeEventLoop__replaced_select  # type: ignore[attr-defined]


def _select_before_time_moves(loop: Any, timeout: float | None) -> list[tuple[Any, Any]]:
    if timeout:
        for _ in range(POLLS):
            ready: list[tuple[Any, Any]] = loop._LoopTimeEventLoop__original_select(0)
            if ready:
                return ready
        loop._LoopTimeEventLoop__noop_limit = loop._LoopTimeEventLoop__noop_cycle = 0
    return _select(loop, timeout)  # type: ignore[no-any-return]


LoopTimeEventLoop.call_at = _call_later_than_now  # type: ignore[method-assign,assignment]
LoopTimeEventLoop._LoopTimeEventLoop__replaced_select = _select_before_time_moves  # type: ignore[attr-defined]
