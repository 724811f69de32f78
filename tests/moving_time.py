"""Virtual time that never stands still; importing this changes looptime's loops.

A timer set for this very moment rings without time going on. aiolimiter sets such timers again and again while
rounding leaves a hair of a drop to drip out: a machine's clock goes on meanwhile, and so has a virtual one to.
"""

import asyncio
from typing import Any

from looptime import LoopTimeEventLoop

RESOLUTION = 1e-6  # looptime's own, in seconds


def _call_later_than_now(loop: LoopTimeEventLoop, when: float, *arguments: Any, **options: Any) -> asyncio.TimerHandle:
    later = max(when, loop.time() + RESOLUTION)
    return super(LoopTimeEventLoop, loop).call_at(later, *arguments, **options)


LoopTimeEventLoop.call_at = _call_later_than_now  # type: ignore[method-assign,assignment]
