"""The current time on two clocks: wall-clock time, and monotonic ticks that no clock change moves.

Everything that counts seconds for the quota uses ticks; wall-clock time is for people and for comparing moments of
different boots of the machine.

All times are formatted here, by one rule. People (terminal, mail, error messages) read local time with its offset from
UTC; files (reports, log, journal) and JSON hold UTC with a Z on every machine. Options take times in both forms.
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

UNKNOWN = "unknown-"  # prefix of a boot's name where the system does not provide one


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment on both clocks.

    `wall`: seconds since the epoch, moved by every clock change. `ticks`: monotonic seconds, never moved by a clock
    change; comparable only within one `boot`.
    """

    wall: float
    ticks: float
    boot: str


def seconds_since(then: Moment, now: Moment) -> float:
    """The seconds that have certainly passed since `then`, at least 0.

    Within one boot it is the difference of the ticks. Across boots only the wall clock can be used, and only if it
    moved forward. If it did not, the only certain thing is that this boot is the later one, so its ticks count. If a
    boot is unknown, nothing is certain, because both may be the same boot.
    """
    if then.boot == now.boot:
        return max(0.0, now.ticks - then.ticks)
    gone = now.wall - then.wall
    if gone >= 0:
        return gone
    return 0.0 if UNKNOWN in (then.boot[: len(UNKNOWN)], now.boot[: len(UNKNOWN)]) else max(0.0, now.ticks)


class Clock(Protocol):
    """The interface through which the time is passed in."""

    def now(self) -> Moment: ...


class SystemClock:
    """The machine's clocks."""

    def __init__(self) -> None:
        self._boot = _boot_id()

    def now(self) -> Moment:
        return Moment(time.time(), _machine_ticks(), self._boot)


class LoopClock:
    """The running event loop's time as wall clock and ticks, for loops whose time runs faster than the machine's.

    `origin` is the wall-clock time (seconds since the epoch) at construction. Its boot is unique, so that moments of an
    earlier process are compared by the wall clock.
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
    """ISO 8601 in UTC with microseconds, or with `milliseconds`: 2026-11-24T08:15:31.250000Z. Raises OverflowError for
    a time outside the calendar."""
    at = _EPOCH + timedelta(microseconds=microseconds)
    return at.isoformat(timespec=places).replace("+00:00", "Z")


def stamp(wall: float) -> str:
    """A time in a name, such as a batch's: 20261124-0815, in UTC, so that names sort by time everywhere."""
    return _whole_second(wall, UTC).strftime("%Y%m%d-%H%M")


def readable_utc(wall: float) -> str:
    """UTC for people who read a file: 2026-11-24 08:15:31Z."""
    return _whole_second(wall, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def cell_time(wall: float) -> datetime:
    """UTC as a date for spreadsheet programs, which have no time zones."""
    return _whole_second(wall, UTC).replace(tzinfo=None)


def wall_of(iso: str) -> float:
    """Seconds since the epoch of a time that `iso_utc` wrote. Raises ValueError for any other text."""
    return datetime.fromisoformat(iso).timestamp()


def local_time(wall: float, zone: tzinfo | None = None, *, seconds: bool = True) -> str:
    """A time for people, with its offset from UTC: 2026-11-24 09:15:31+01:00. `zone`: by default the machine's own."""
    return _whole_second(wall, zone).isoformat(" ", "seconds" if seconds else "minutes")


def time_of_day(wall: float, now: float, zone: tzinfo | None = None) -> str:
    """The same, without the date if it is today: 09:15:31+01:00."""
    then = local_time(wall, zone)
    return then[11:] if then[:10] == local_time(now, zone)[:10] else then


def local_date(wall: float, zone: tzinfo | None = None) -> str:
    """The day of a time for people: 2026-11-24."""
    return local_time(wall, zone)[:10]


def _whole_second(wall: float, zone: tzinfo | None) -> datetime:
    # Converted from UTC: Windows has no local time before 1970, and converts only to its own zone.
    return datetime.fromtimestamp(floor(wall), UTC).astimezone(zone)


def _machine_ticks() -> float:
    """Seconds since the machine was started; on Linux including the time it was suspended."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def _boot_id() -> str:
    """The identifier of this boot of the machine; a unique one if the system provides none."""
    try:
        if sys.platform == "linux":
            return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        if sys.platform == "win32":
            return _windows_boot_id()
    except OSError:
        pass
    return f"{UNKNOWN}{uuid4()}"


def _windows_boot_id() -> str:
    # Windows counts its boots here for the prefetcher; any other number of the boot needs a service.
    import winreg

    place = r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters"
    with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, place) as key:  # type: ignore[attr-defined,unused-ignore]  # Windows only
        return f"windows-{winreg.QueryValueEx(key, 'BootId')[0]}"  # type: ignore[attr-defined,unused-ignore]  # Windows only
