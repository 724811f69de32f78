"""A run of eight devices, killed at each step that changes something, struck in other ways at each kind of step."""

from collections import Counter
from collections.abc import Sequence
from functools import cache

import pytest

from tests.simulation.crash_points import (
    BLOWS,
    FEW_DEVICES,
    Point,
    checked,
    points,
    steps_of_the_run,
    strike,
)
from tests.simulation.host import Blow, Step

# Parts of about the same length, to be spread over cores; together they are all points.
PARTS = [
    (blow, part, parts)
    for blow, parts in ((Blow.KILL, 6), *((blow, 1) for blow in Blow if blow is not Blow.KILL))
    for part in range(parts)
]


@cache
def the_steps() -> Sequence[Step]:
    return steps_of_the_run(FEW_DEVICES)


@cache
def all_points() -> tuple[Point, ...]:
    return tuple(points(the_steps(), FEW_DEVICES))


@cache
def checked_points() -> tuple[Point, ...]:
    return tuple(checked(the_steps(), FEW_DEVICES))


@pytest.mark.parametrize(("blow", "part", "parts"), PARTS, ids=lambda value: str(value).replace(" ", "-"))
def test_a_run_struck_at_any_step_keeps_every_promise(blow: Blow, part: int, parts: int) -> None:
    for point in [point for point in checked_points() if point.blow is blow][part::parts]:
        strike(point)


def test_the_checks_kill_at_every_step_that_changes_something() -> None:
    killed = {point.step.number for point in checked_points() if point.blow is Blow.KILL}
    assert killed >= {step.number for step in the_steps() if step.what != "begin"}


def test_the_checks_strike_every_kind_of_step_in_every_way() -> None:
    def ways(points: tuple[Point, ...]) -> set[tuple[str, str, Blow]]:
        return {(point.step.kind, point.step.what, point.blow) for point in points}

    assert ways(checked_points()) == ways(all_points())


def test_the_long_run_strikes_every_step_in_every_way() -> None:
    struck = Counter(point.step.number for point in all_points() if point.blow is not Blow.SIGTERM)
    for step in the_steps():
        ways = set(BLOWS[step.kind]) - {Blow.SIGTERM}
        assert struck[step.number] == len(ways) + (step.what == "commit"), step


def test_every_moment_at_which_a_signal_is_heard_has_one() -> None:
    signalled = {point.step.number for point in all_points() if point.blow is Blow.SIGTERM}
    by_moment: dict[int, list[Step]] = {}
    for step in the_steps():
        if not step.moment:
            assert step.number in signalled, step
        by_moment.setdefault(step.moment, []).append(step)
    del by_moment[0]
    assert all(sum(step.number in signalled for step in steps) == 1 for steps in by_moment.values())


def test_the_run_has_every_kind_of_step() -> None:
    """An intent and an outcome for each device, and each request's head, body and answer."""
    kinds = Counter((step.kind, step.what) for step in the_steps())
    assert kinds["journal", "commit"] >= 2 * FEW_DEVICES
    assert kinds["network", "body leaves"] >= FEW_DEVICES
    assert kinds["network", "answer arrives"] >= FEW_DEVICES
    assert {"open", "fsync", "write", "unlink"} <= {what for kind, what in kinds if kind == "file"}
