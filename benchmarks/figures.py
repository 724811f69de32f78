"""What a benchmark comes to: tables to read, targets that are met or not, and curves to draw."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that must hold: what was measured beside its limit, both as people read them."""

    what: str
    measured: str
    limit: str
    is_met: bool


@dataclass(frozen=True, slots=True)
class Table:
    """`rows` are texts, one for each word of `head`."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a picture."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Picture:
    """Curves over a common axis; both axes are logarithmic."""

    name: str  # of the file, without its suffix
    title: str
    across: str
    up: str
    curves: Sequence[Curve]


@dataclass(frozen=True, slots=True)
class Findings:
    """All that one benchmark has to say. `explanation` says what was compared with what, and how."""

    title: str
    explanation: str
    tables: Sequence[Table]
    targets: Sequence[Target] = ()
    pictures: Sequence[Picture] = field(default_factory=tuple)


Benchmark = Callable[[bool], Findings]
"""Is told whether to be quick: the same code with small numbers, so that it cannot rot."""


def seconds_text(seconds: float) -> str:
    """A duration as people compare them: `0.84 s`, `12.3 s`, `10 min 00 s`, `6 h 40 min`."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60):02} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60:,} h {minutes % 60:02} min"


def megabytes_text(size: float) -> str:
    return f"{size / 1e6:,.1f} MB" if size < 10e6 else f"{size / 1e6:,.0f} MB"


def ratio_text(ratio: float) -> str:
    return f"{ratio:.2f} x"
