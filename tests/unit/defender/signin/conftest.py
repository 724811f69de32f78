"""A clock that only the test advances."""

from dataclasses import dataclass

import pytest

from batch_offboard.base.clock import Moment

NOW = 1_795_500_000.0


@dataclass
class HandClock:
    """`wall` and `ticks` in seconds."""

    wall: float = NOW
    ticks: float = 1000.0

    def now(self) -> Moment:
        return Moment(self.wall, self.ticks, "boot")

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.ticks += seconds


@pytest.fixture
def clock() -> HandClock:
    return HandClock()
