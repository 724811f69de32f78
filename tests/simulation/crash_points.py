"""One run, struck at each of its steps in each way that a step can be struck, and then resumed.

Nothing is drawn here. The steps are numbered in the order in which a run that nothing strikes takes them: each begin
and commit of a transaction, each change of a file, each connection, head and body of a request, and answer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from tests.simulation.host import Blow, Process, Step
from tests.simulation.inspection import BrokenInvariantError
from tests.simulation.office import Office
from tests.simulation.scenario import Scenario
from tests.simulation.story import Story, Told, tell, told_by

DEVICES = 20  # of the long run
FEW_DEVICES = 8  # of the checks: every kind of step and every special device
# By number. The first five must all be accepted, so that an unclear one among them has to be found in the tenant's list
# before anything else is sent.
DOUBTFUL_AT_FIRST, THROTTLED, FAILING, DOUBTFUL = 3, 5, 6, 7


def scenario(devices: int) -> Scenario:
    """The run of so many devices."""
    return Scenario(seed=20, devices=devices, commands=0, usual=(0.01, 0.02), workers=3, burst=3)


BLOWS = {
    "journal": (Blow.KILL, Blow.SIGTERM, Blow.DISK_FULL, Blow.IO_ERROR),
    "file": (Blow.KILL, Blow.SIGTERM, Blow.DISK_FULL, Blow.IO_ERROR),
    "network": (Blow.KILL, Blow.SIGTERM, Blow.RESET),
}


@dataclass(frozen=True, slots=True)
class Point:
    """A step of a run of so many devices, and what strikes there."""

    step: Step
    blow: Blow
    devices: int

    def __str__(self) -> str:
        return f"{self.blow} at step {self.step.number} ({self.step.kind}: {self.step.what})"


class StruckRun(Story):
    """The run, with what strikes it at one step, if anything does."""

    def __init__(self, office: Office, point: Point | None = None) -> None:
        super().__init__(office)
        self._point, self._has_struck = point, False

    def _faults(self) -> tuple[str, ...]:
        devices = self._office.devices
        return (
            f"no-reply-close-after:{devices[DOUBTFUL_AT_FIRST]}@1",
            f"429=30:{devices[THROTTLED]}@1",
            f"400=OsPlatformNotSupported:{devices[FAILING]}",
            f"no-reply-close-after:{devices[DOUBTFUL]}@1",
        )

    def _strike(self, _process: Process, step: Step) -> Blow | None:
        if self._point is None or step.number != self._point.step.number:
            return None
        if (step.kind, step.what) != (self._point.step.kind, self._point.step.what):
            raise AssertionError(f"the run took another way: {step}")
        self._has_struck = True
        return self._point.blow

    async def _chaos(self) -> None:
        office = self._office
        office.host.keep_steps, office.host.strikes = self._point is None, self._strike
        [sheet] = self._unread
        await office.give("run", partial(office.run_sheet, sheet))
        self.steps: Sequence[Step] = tuple(office.host.steps)
        if self._point is not None and not self._has_struck:
            raise AssertionError("the run never came to this step")


def steps_of_the_run(devices: int = DEVICES) -> Sequence[Step]:
    """Every step of the run that nothing strikes, in order."""
    return told_by(scenario(devices), StruckRun).steps


def points(steps: Sequence[Step], devices: int = DEVICES) -> Iterator[Point]:
    """Every step with everything that can strike there; a signal, wherever it is heard at another moment."""
    before = 0
    for step in steps:
        for blow in BLOWS[step.kind]:
            if blow is not Blow.SIGTERM or not step.moment or step.moment != before:
                yield Point(step, blow, devices)
        before = step.moment
        if step.what == "commit":
            yield Point(step, Blow.IO_ERROR_AFTER, devices)


def checked(steps: Sequence[Step], devices: int) -> Iterator[Point]:
    """The points that the checks play: the kill at each step that changes something, every other blow once for each
    place. A place is a step's kind together with the kind of the step before it.

    A kill leaves what every other blow leaves of the world, and the beginning of a transaction changes nothing: killed
    there or before the end, it leaves the same.
    """
    kinds = [(step.kind, step.what) for step in steps]
    played = set()
    for point in points(steps, devices):
        number = point.step.number
        place = (point.blow, *kinds[max(0, number - 2) : number])
        if (point.blow is Blow.KILL and point.step.what != "begin") or place not in played:
            played.add(place)
            yield point


def strike(point: Point) -> Told:
    """Play the run with this one blow, resume it to its end, and inspect everything."""
    try:
        return tell(scenario(point.devices), partial(StruckRun, point=point))
    except AssertionError as error:
        raise BrokenInvariantError(f"{point}: {error}") from error
