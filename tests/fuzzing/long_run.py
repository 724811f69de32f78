"""Fuzzing for as long as one likes: `python -m tests.fuzzing.long_run --minutes 10`.

Each round draws other examples, from a seed of its own; the first round that finds something ends it, and pytest's
words above tell the smallest example and how to get it again.
"""

import argparse
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = 1000  # of each test in a round


def command(seed: int) -> list[str]:
    return [sys.executable, "-m", "pytest", "tests/fuzzing", "-q", "-x", "-n", "2", f"--hypothesis-seed={seed}"]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tasks.py fuzz")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long; the round at work is finished")
    parser.add_argument("--seed", type=int, help="one round with this seed, to get a finding again")
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="of each test in a round")
    chosen = parser.parse_args(arguments)
    environ = os.environ | {"OFFBOARD_FUZZ_EXAMPLES": str(chosen.examples)}
    end = time.monotonic() + 60 * chosen.minutes
    rounds = 0
    while rounds == 0 or (chosen.seed is None and time.monotonic() < end):
        seed = secrets.randbelow(10**9) if chosen.seed is None else chosen.seed
        print(f"round {rounds + 1}, seed {seed}", flush=True)
        code = subprocess.run(command(seed), cwd=ROOT, env=environ, check=False).returncode  # ours
        if code != 0:
            print(f"FOUND with --seed {seed} --examples {chosen.examples}", flush=True)
            return code
        rounds += 1
    print(f"{rounds} rounds of {chosen.examples} examples a test found nothing.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
