"""Whole offices on drawn seeds: whatever befalls them, every promise is kept. CONTRIBUTING.md names the long run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.playing import play
from tests.simulation.scenario import Scenario, draw_scenario, pressing_scenarios

ROOT = Path(__file__).resolve().parents[2]

SMALL = [range(first, first + 5) for first in range(0, 10, 5)]
LARGE = (100, 108)
LARGEST = 1500  # devices
PRESSING = range(1)

# What the simulation has found, as small as it can be seen.
FOUND = {
    "an attempt began before the last one was told to have ended": Scenario(
        seed=5, devices=60, per_minute=10_000, per_hour=10_000, faults=("401:0.1",), commands=3, disk=(0.0, 0.0)
    ),
    "a night died when the report was in its place and the journal did not know": pressing_scenarios(22)[4],
}


def small(seed: int) -> Scenario:
    return draw_scenario(seed, 60)


def large(seed: int) -> Scenario:
    return draw_scenario(seed, LARGEST)


@pytest.mark.parametrize("seeds", SMALL, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_small_offices_keep_every_promise(seeds: range) -> None:
    for seed in seeds:
        play(small(seed))


@pytest.mark.parametrize("seed", LARGE)
def test_large_offices_keep_every_promise(seed: int) -> None:
    play(large(seed))


@pytest.mark.parametrize("seed", PRESSING)
def test_offices_under_pressure_keep_every_promise(seed: int) -> None:
    for scenario in pressing_scenarios(seed):
        play(scenario)


@pytest.mark.parametrize("scenario", FOUND.values(), ids=lambda scenario: str(scenario.seed))
def test_what_was_found_once_is_not_found_again(scenario: Scenario) -> None:
    play(scenario)


def test_the_offices_together_have_a_thousand_devices() -> None:
    scenarios = [small(seed) for seeds in SMALL for seed in seeds]
    scenarios += [large(seed) for seed in LARGE]
    scenarios += [scenario for seed in PRESSING for scenario in pressing_scenarios(seed)]
    assert sum(scenario.devices for scenario in scenarios) >= 1000


def test_a_seed_replays_exactly_in_another_process_too() -> None:
    """Another process hashes strings differently, and its libraries have not asked for their random bytes yet."""
    before, told = play(small(1)), play(small(2))
    assert told.digest != before.digest
    command = [sys.executable, "-m", "tests.simulation", *told.scenario.again.split()]
    environ = {**os.environ, "PYTHONHASHSEED": "7"}
    other = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, encoding="utf-8", check=True)
    assert f"digest {told.digest}" in other.stdout
