"""What befalls the network in one run: how often each mishap comes is drawn once, each mishap from then on."""

from dataclasses import dataclass, field
from enum import StrEnum
from random import Random


class Mishap(StrEnum):
    """What becomes of one request on its way."""

    NONE = ""
    RESET_BEFORE = "reset before the first byte"
    RESET_HALFWAY = "reset in the middle of the request"
    RESET_AFTER = "reset after the request"
    ANSWER_CUT = "reset in the middle of the answer"
    SWALLOWED = "swallowed"
    HELD_UP = "held up"
    ANSWER_HELD_UP = "answer held up"
    DOUBLED = "sent twice by a box on the way"
    SLICED = "in pieces"


@dataclass(slots=True)
class Fate:
    """One request's. `delay` and `answer_delay` are seconds beyond the usual; `then` is when what follows comes."""

    mishap: Mishap = Mishap.NONE
    delay: float = 0.0
    answer_delay: float = 0.0
    then: float = 0.0
    slices: int = 1


@dataclass(slots=True)
class Weather:
    """`rates` are the shares of requests that meet each mishap; `refused` that of connections that cannot be made."""

    draw: Random
    rates: dict[Mishap, float] = field(default_factory=dict)
    refused: float = 0.0
    usual: tuple[float, float] = (0.005, 0.05)
    outages: list[tuple[float, float]] = field(default_factory=list)

    def latency(self) -> float:
        """Seconds from one end to the other."""
        low, high = self.usual
        return low + (high - low) * self.draw.random()

    def calm(self) -> None:
        self.rates, self.refused, self.outages = {}, 0.0, []

    def connecting(self, now: float) -> tuple[bool, float]:
        """Whether no connection can be made just now, and how long it takes until that is known."""
        refused = self._away(now) or (self.refused > 0 and self.draw.random() < self.refused)
        return refused, self.latency()

    def _away(self, now: float) -> bool:
        return any(start <= now < end for start, end in self.outages)

    def fate(self, now: float) -> Fate:
        """What becomes of a request whose first byte is about to leave."""
        if self._away(now):
            return Fate(self.draw.choice((Mishap.SWALLOWED, Mishap.RESET_BEFORE)))
        if not self.rates:
            return Fate()
        chance = self.draw.random()
        for mishap, rate in self.rates.items():
            if chance < rate:
                return self._shaped(mishap)
            chance -= rate
        return Fate()

    def _shaped(self, mishap: Mishap) -> Fate:
        draw = self.draw
        match mishap:
            case Mishap.HELD_UP:
                return Fate(mishap, delay=draw.choice((2.0, 20.0, 85.0, 100.0)) * draw.random())
            case Mishap.ANSWER_HELD_UP:
                return Fate(mishap, answer_delay=draw.choice((2.0, 20.0, 85.0, 100.0)) * draw.random())
            case Mishap.SLICED:
                return Fate(mishap, slices=draw.choice((2, 7, 50, 100_000)))
            case Mishap.RESET_AFTER | Mishap.DOUBLED:
                return Fate(mishap, then=draw.choice((0.0, 0.01, 0.2, 3.0)) * draw.random())
        return Fate(mishap)

    def arrives_at_the_end(self) -> bool:
        """Whether what is on its way when its connection ends still arrives."""
        return self.draw.random() < 0.5
