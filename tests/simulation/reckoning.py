"""Small facts about requests, times and tables that the checks are made of."""

import csv
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

from tests.simulation.record import Exchange


def most_in_any(times: Sequence[float], period: float) -> int:
    """The most of these moments (ascending) in any half-open stretch of `period` seconds."""
    return max((bisect_left(times, start + period) - place for place, start in enumerate(times)), default=0)


def group_of(exchange: Exchange) -> str:
    return "read" if exchange.method == "GET" else "cancel" if exchange.path.endswith("/cancel") else "offboard"


def wait_asked_for(values: tuple[str, ...]) -> float | None:
    """Seconds; None for a date, which means what the reader's calendar makes of it."""
    if len(values) != 1 or not values[0].isdigit():
        return None if len(values) == 1 and "GMT" in values[0] else 60.0
    return min(float(values[0]), 3600.0) or 60.0


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def difference(found: Sequence[object], wanted: Sequence[object]) -> str:
    for place, (one, other) in enumerate(zip(found, wanted, strict=False)):
        if one != other:
            return f"place {place}: {one} instead of {other}"
    return f"{len(found)} rows instead of {len(wanted)}"
