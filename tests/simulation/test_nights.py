"""A night that dies at any change of a file: the next ones bring every sheet to its place, with its report."""

from collections import Counter
from collections.abc import Sequence
from functools import cache, partial

import pytest

from tests.simulation.host import Blow, Process, Step, nothing_strikes
from tests.simulation.nights import Nights
from tests.simulation.office import Office
from tests.simulation.scenario import Scenario
from tests.simulation.story import told_by

# A tenant that may not be read: no later look at it makes good what was not reported.
SCENARIO = Scenario(seed=21, devices=6, commands=0, disk=(0.0, 0.0), burst=6, readable=False, nights=1.0)
PARTS = 4


class DyingNight(Nights):
    """A night over a sheet, another of the same content and one that nobody can read; at one of its steps it dies, if
    at any."""

    def __init__(self, office: Office, at: Step | None = None) -> None:
        super().__init__(office)
        self._at = at

    async def _chaos(self) -> None:
        office = self._office
        [sheet] = self._unread
        broken = office.folder / "broken.xlsx"
        broken.write_bytes(b"PK and nothing more")
        for path, more in ((sheet.path, ""), (sheet.path, "-again"), (broken, "")):
            self._put_in(path, more)
        office.host.keep_steps, office.host.strikes = True, self._strike
        self.was_killed = (await office.give("nightly", self._night)).killed
        self.steps = tuple(office.host.steps)
        office.host.strikes = nothing_strikes

    def _strike(self, _process: Process, step: Step) -> Blow | None:
        return Blow.KILL if self._at is not None and step.number == self._at.number else None


def night(at: Step | None = None) -> DyingNight:
    return told_by(SCENARIO, partial(DyingNight, at=at))


@cache
def steps() -> Sequence[Step]:
    """Those that only a night has: before its first call, and when its last answer has been read."""
    all_steps = night().steps
    posts = [step.number for step in all_steps if step.kind == "network"]
    outside = [step for step in all_steps if not posts[0] <= step.number <= posts[-1]]
    return [step for step in outside if step.what not in ("begin", "write")]


@pytest.mark.parametrize("part", range(PARTS))
def test_a_night_that_dies_at_any_of_its_steps_loses_no_sheet_and_no_report(part: int) -> None:
    for step in steps()[part::PARTS]:
        assert night(step).was_killed, step


def test_a_night_moves_each_sheet_to_work_and_to_its_place_and_two_reports() -> None:
    moved = Counter(step.what for step in steps())
    assert (moved["rename .csv"], moved["rename .xlsx"]) == (2 + 2 + 1, 1 + 1 + 1)
    assert moved["commit"] >= 10
