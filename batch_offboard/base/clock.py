"""What time it is, in two ways: the calendar's time, and ticks that no clock change moves.

Everything that counts seconds for the quota uses ticks; the calendar's time is for people and for
comparing moments of different boots of the machine.

Every time that is shown is written here, by one rule. People (terminal, mail, error messages) read local time with its
offset from UTC; files (reports, log, journal) and JSON hold UTC with a Z, whichever machine wrote them. Both forms can
be typed where an option takes a time.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from math import floor
from pathlib import Path
from typing import Protocol
from uuid import uuid4

_EPOCH = datetime.fromtimestamp(0, UTC)

UNKNOWN = "unknown-"  # begins the name of a boot that the system does not tell


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment on both clocks.

    `wall`: seconds since the epoch, moved by every clock change. `ticks`: seconds since some start after
    which the machine has been up without a break, never moved; comparable only within one `boot`.
    """

    wall: float
    ticks: float
    boot: str


def seconds_since(then: Moment, now: Moment) -> float:
    """Seconds that have certainly gone by since `then`, at least 0.

    Within one boot the ticks say it. Across boots only the calendar is left: it is believed when it went
    forward. When it did not, all that is certain is that this boot came later, so its ticks count; and nothing is
    certain if a boot is not known, since then it may be the same.
    """
    if then.boot == now.boot:
        return max(0.0, now.ticks - then.ticks)
    gone = now.wall - then.wall
    if gone >= 0:
        return gone
    return 0.0 if UNKNOWN in (then.boot[: len(UNKNOWN)], now.boot[: len(UNKNOWN)]) else max(0.0, now.ticks)


class Clock(Protocol):
    """Whoever needs the time is given one of these."""

    def now(self) -> Moment: ...


class SystemClock:
    """The machine's clocks."""

    def __init__(self) -> None:
        self._boot = _boot_id()

    def now(self) -> Moment:
        return Moment(time.time(), _machine_ticks(), self._boot)


class LoopClock:
    """The running event loop's time as calendar and ticks, for loops whose time does not pass as the machine's.

    `origin` is the calendar's time (seconds since the epoch) at the moment of construction. Its boot is
    unlike any other, so that moments of an earlier process are compared by the calendar.
    """

    def __init__(self, origin: float, loop_time: Callable[[], float] | None = None) -> None:
        self._time = loop_time or asyncio.get_running_loop().time
        self._start = self._time()
        self._origin = origin
        self._boot = f"loop-{uuid4()}"

    def now(self) -> Moment:
        ticks = self._time() - self._start
        return Moment(self._origin + ticks, ticks, self._boot)


def iso_utc(wall: float) -> str:
    """ISO 8601 in UTC to the second: 2026-11-24T08:15:31Z."""
    return _whole_second(wall, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def exact_utc(microseconds: int, places: str = "microseconds") -> str:
    """ISO 8601 in UTC where a second is long: 2026-11-24T08:15:31.250000Z, or with `milliseconds`. OverflowError where
    there is no such time."""
    at = _EPOCH + timedelta(microseconds=microseconds)
    return at.isoformat(timespec=places).replace("+00:00", "Z")


def stamp(wall: float) -> str:
    """A time in a name, such as a batch's: 20261124-0815, in UTC, so that names sort by time everywhere."""
    return _whole_second(wall, UTC).strftime("%Y%m%d-%H%M")


def readable_utc(wall: float) -> str:
    """The same for whoever reads a file: 2026-11-24 08:15:31Z."""
    return _whole_second(wall, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def cell_time(wall: float) -> datetime:
    """The same as a date of a spreadsheet program, which knows no zones."""
    return _whole_second(wall, UTC).replace(tzinfo=None)


def wall_of(iso: str) -> float:
    """Seconds since the epoch of a time that `iso_utc` wrote. ValueError if it is none."""
    return datetime.fromisoformat(iso).timestamp()


def local_time(wall: float, zone: tzinfo | None = None, *, seconds: bool = True) -> str:
    """A time for people, with its offset from UTC: 2026-11-24 09:15:31+01:00. `zone`: by default the machine's own."""
    return _whole_second(wall, zone).isoformat(" ", "seconds" if seconds else "minutes")


def time_of_day(wall: float, now: float, zone: tzinfo | None = None) -> str:
    """The same without the date while that is today's: 09:15:31+01:00."""
    then = local_time(wall, zone)
    return then[11:] if then[:10] == local_time(now, zone)[:10] else then


def local_date(wall: float, zone: tzinfo | None = None) -> str:
    """The day of a time for people: 2026-11-24."""
    return local_time(wall, zone)[:10]


def _whole_second(wall: float, zone: tzinfo | None) -> datetime:
    # By way of UTC: Windows knows no local time before 1970, and none of a moment that is not in its own zone.
    return datetime.fromtimestamp(floor(wall), UTC).astimezone(zone)


def _machine_ticks() -> float:
    """Seconds since the machine was started; on Linux the time asleep is counted too."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def _boot_id() -> str:
    """What names this boot of the machine; without a known name, one that equals no other."""
    try:
        if sys.platform == "linux":
            return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        if sys.platform == "win32":
            return _windows_boot_id()
    except OSError:
        pass
    return f"{UNKNOWN}{uuid4()}"


def _windows_boot_id() -> str:
    # Windows counts its boots here for the prefetcher; no other number of the boot is to be had without a service.
    import winreg

    place = r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters"
    with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, place) as key:  # type: ignore[attr-defined,unused-ignore]  # Windows only
        return f"windows-{winreg.QueryValueEx(key, 'BootId')[0]}"  # type: ignore[attr-defined,unused-ignore]  # Windows only
