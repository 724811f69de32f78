"""The history of a batch as a whole: how it was planned, its runs and calls, and what the tenant reported afterwards.

Pure values, for reports that show more than the rows. Times are seconds since the epoch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batch_offboard.reports.timeline import Run, Timeline

RUNS_KEPT = 100  # a batch that a scheduler resumes again and again must not grow without limit


@dataclass(frozen=True, slots=True)
class LookUp:
    """The result of the plan's look-up in the tenant, or why there was none. `cautions` are clauses that begin with a
    number of devices."""

    at: float | None = None
    devices: int | None = None
    onboarded: int | None = None
    why_not: str = ""
    no_actions: str = ""
    cautions: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Actions:
    """The states of the machine actions, in the API's own words, and when they were last read from the tenant.

    `differences` are sentences of the final comparison with the tenant; None if it was not made.
    """

    statuses: Mapping[str, int] = field(default_factory=dict)
    open: int = 0
    seen_at: float | None = None
    differences: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class History:
    """The whole history. `options`: the options, as typed, that changed how the sheet was read and planned."""

    source_kind: str = ""
    options: Sequence[str] = ()
    halted_because: str = ""
    lookup: LookUp = field(default_factory=LookUp)
    runs: Sequence[Run] = ()
    timeline: Timeline = field(default_factory=Timeline)
    actions: Actions = field(default_factory=Actions)


def options_typed(reading: Mapping[str, Any], *, lookup_wanted: bool) -> Sequence[str]:
    """The options of a plan, from the journal's record of how its sheet was read."""
    return tuple(_options(reading, lookup_wanted=lookup_wanted))


def _options(reading: Mapping[str, Any], *, lookup_wanted: bool) -> Iterator[str]:
    for name in ("sheet", "id_column", "name_column"):
        if reading.get(name):
            yield f"--{name.replace('_', '-')} '{reading[name]}'"
    hidden = reading.get("hidden", "refuse")
    if hidden != "refuse":
        yield "--include-hidden" if hidden == "include" else f"--{hidden}"
    yield from (f"--only {outcome}" for outcome in reading.get("only") or ())
    if reading.get("multiline_text"):
        yield "--multiline-text"
    if not lookup_wanted:
        yield "--no-lookup"
