"""Times as people type them: a clock time, a date with a time, a duration."""

import re
from datetime import datetime, timedelta

from batch_offboard.base.errors import UsageError

_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}


def deadline(until: str | None, duration: str | None, now: datetime) -> float | None:
    """The moment that `--until` or `--for` names, in seconds since the epoch; None if neither is given.

    A time without a zone is in the zone of `now`. Raises UsageError.
    """
    if until is not None and duration is not None:
        raise UsageError("--until and --for both name an end; leave one out.")
    if duration is not None:
        return now.timestamp() + seconds_of(duration)
    return None if until is None else moment_of(until, now).timestamp()


def seconds_of(text: str) -> float:
    """Seconds of a duration such as 90s, 45m, 2h, 1h30m or 3d."""
    parts = re.findall(r"([0-9]{1,6})\s*(s|min|m|h|d)", text.strip().lower())
    if not parts or re.sub(r"[0-9]{1,6}\s*(?:s|min|m|h|d)\s*", "", text.strip().lower()):
        raise UsageError(f"{text!r} is not a duration; write one as 45m, 2h, 1h30m or 3d.")
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


def moment_of(text: str, now: datetime) -> datetime:
    """The next time of day HH:MM, or a date and time in ISO 8601; a time without a zone is in `now`'s."""
    if re.fullmatch(r"[0-9]{1,2}:[0-9]{2}", text.strip()):
        hour, minute = (int(word) for word in text.strip().split(":"))
        if hour > 23 or minute > 59:
            raise UsageError(f"{text!r} is not a time of day; write one as 06:30.")
        today = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
        return today if today > now else today + timedelta(days=1)
    return moment_in_iso(text, now, "06:30 or 2026-11-25T06:30")


def moment_in_iso(text: str, now: datetime, example: str = "2026-11-25 or 2026-11-25T06:30") -> datetime:
    """The start of a date, or a date and time in ISO 8601; a time without a zone is in `now`'s."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"{text!r} is not a time; write one as {example}.") from None
    return found if found.tzinfo else found.replace(tzinfo=now.tzinfo)
