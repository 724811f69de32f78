"""The service's timestamps: UTC with seven fractional digits, 2026-11-23T08:15:31.4412093Z.

Pure; it never reads a clock.
"""

import math
from datetime import UTC, datetime

_TICKS = 10_000_000  # in a second


def stamp(moment: float) -> str:
    """Seconds since the epoch in the service's format."""
    # Split first: the product of the whole number would be too large for a float to represent each tick.
    whole = math.floor(moment)
    seconds, ticks = divmod(whole * _TICKS + round((moment - whole) * _TICKS), _TICKS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ticks:07d}Z"


def moment_of(text: str) -> float:
    """Seconds since the epoch of a timestamp from `stamp` or the service. Raises `ValueError`.

    All seven digits are used, so that for current dates it returns exactly the number passed to `stamp`.
    """
    seconds, _, fraction = sortable(text).partition(".")
    return datetime.fromisoformat(seconds).replace(tzinfo=UTC).timestamp() + int(fraction) / _TICKS


def sortable(text: str) -> str:
    """A timestamp in a form whose lexical order is its order in time.

    `text` has a zone (`Z` or an offset) and any number of fractional digits, of which seven are used.
    Raises `ValueError` for anything else.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    try:
        seconds = moment.astimezone(UTC).replace(microsecond=0, tzinfo=None)
    except OverflowError as error:
        raise ValueError(f"{text!r} is outside the range of dates") from error
    return f"{seconds.isoformat()}.{_fraction(text)}"


def sortable_utc(text: str) -> str:
    """The same for a timestamp that is known to end in `Z`, without parsing the date: fast, for long lists."""
    seconds, _, fraction = text.rstrip("Z").partition(".")
    return f"{seconds}.{fraction[:7]:0<7}"


def _fraction(text: str) -> str:
    digits = text.partition(".")[2].partition("Z")[0].partition("+")[0].partition("-")[0]
    return f"{digits[:7]:0<7}"
