"""`python -m tests.simulation --seed N`: play a seed again."""

import argparse
import sys
import time

from tests.simulation.inspection import BrokenInvariantError
from tests.simulation.scenario import draw_scenario
from tests.simulation.story import play


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--most-devices", type=int, default=200)
    given = parser.parse_args(arguments)
    began, called, bad = time.process_time(), 0, 0
    for seed in range(given.seed, given.seed + given.seeds):
        try:
            told = play(draw_scenario(seed, given.most_devices))
            called += told.called
            if given.seeds == 1:
                print(told)
        except BrokenInvariantError as error:
            bad += 1
            print(seed, str(error)[:600])
        except Exception as e:
            bad += 1
            print(seed, "ERROR", repr(e)[:300])
            if given.seeds == 1:
                raise
    took = time.process_time() - began
    print(f"{given.seeds} seeds, {bad} bad, {called} devices, {took:.1f} s, {called / took:.0f} per s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
