"""`python -m tests.simulation --seed N`: play a seed again, or some."""

import argparse
import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sequence

from tests.simulation.inspection import BrokenInvariantError
from tests.simulation.playing import play
from tests.simulation.scenario import PRESSING, Scenario, draw_scenario, pressing_scenarios
from tests.simulation.story import Told


def main(arguments: Sequence[str]) -> int:
    given = _parser().parse_args(arguments)
    logging.disable()  # the embedded tenant's server tells of every connection that was lost
    began, told, bad = time.process_time(), 0, 0
    for scenario in _scenarios(given):
        outcome = _played(scenario)
        if isinstance(outcome, Told):
            told += outcome.called
            if given.seeds == 1:
                print("\n".join(_lines(outcome)), flush=True)
        else:
            bad += 1
            print(f"seed {scenario.seed}: {outcome}", flush=True)
    took = time.process_time() - began
    speed = f"{took:.1f} s of one core, {told / took:.0f} per second"
    print(f"{given.seeds} seeds, {bad} bad, {told} devices, {speed}")
    return 1 if bad else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Play seeds of the simulation.")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--most-devices", type=int, default=200, help="how large the offices may be")
    parser.add_argument("--least-devices", type=int, default=1, help="how small they may be")
    parser.add_argument(
        "--pressing", type=int, choices=range(len(PRESSING)), help="the scenario that presses on one rule"
    )
    return parser


def _scenarios(given: argparse.Namespace) -> Iterator[Scenario]:
    for seed in range(given.seed, given.seed + given.seeds):
        pressing = given.pressing
        if pressing is None:
            yield draw_scenario(seed, given.most_devices, given.least_devices)
        else:
            yield pressing_scenarios(seed)[pressing]


def _played(scenario: Scenario) -> Told | str:
    """What the scenario came to, or what does not hold."""
    try:
        return play(scenario)
    except BrokenInvariantError as error:
        return str(error)


def _lines(told: Told) -> Iterable[str]:
    yield repr(told.scenario)
    yield f"{told.called} devices called, {told.steps} steps, {told.seconds:.0f} s of the simulation's time"
    yield from (f"{number} x {fault}" for fault, number in sorted(told.faults.items()))
    yield f"digest {told.digest}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
