"""What went over the wire, as the wire itself saw it."""

from dataclasses import dataclass, field

from tests.simulation.host import Process


@dataclass(slots=True, eq=False)
class Exchange:
    """One request of a process and what came back, as the wire saw it. Times are the loop's."""

    number: int
    process: Process
    method: str
    path: str
    began: float
    arrived: float | None = None  # when the whole request was at the tenant
    ended: float | None = None  # when the whole answer was read, or the connection was over
    status: int | None = None
    retry_after: tuple[str, ...] = ()
    answered: bool = False  # the whole answer was read
    mishap: str = ""
    copies: int = 0  # how often the network itself has sent it again


@dataclass(slots=True)
class Record:
    """Everything that went over the wire, to be compared with another run of the same seed."""

    exchanges: list[Exchange] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def note(self, at: float, line: int, text: str) -> None:
        self.lines.append(f"{at:.6f} {line} {text}")
