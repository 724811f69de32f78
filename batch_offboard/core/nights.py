"""One night over an inbox, as the journal remembers it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Night:
    """One nightly run. Times are seconds since the epoch; one that died has no end."""

    began_at: float
    ended_at: float | None
    exit_code: int | None
