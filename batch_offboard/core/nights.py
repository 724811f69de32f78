"""One nightly run over an inbox, as stored in the journal."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Night:
    """One nightly run. Times are in seconds since the epoch; one that was killed has no end."""

    began_at: float
    ended_at: float | None
    exit_code: int | None
