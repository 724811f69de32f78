"""The checks are worth what they notice: five rules are broken on purpose, and each time the simulation has to fail."""

import pytest

from tests.simulation.inspection import BrokenInvariantError
from tests.simulation.playing import play
from tests.simulation.sabotage import SABOTAGE
from tests.simulation.scenario import pressing_scenarios

# What each breaks: calls without an intent; a device that is accepted, yet reported as pending and then called twice; a
# window that is overfull; a report that does not tell; a call that is sent while one of the first is unclear.
BROKEN = {
    "send before intent": {"I2"},
    "resend at once": {"I1", "I4"},
    "quota counted from the send": {"I6"},
    "report from memory": {"I3", "I4"},
    "go on unsettled": {"I21"},
}
SEEDS = range(3)  # the same as those of the bounded part's scenarios under pressure


def invariants_found(name: str) -> set[str]:
    """The invariants that the sabotaged program was seen to break, as far as it takes to see one that it must break."""
    found: set[str] = set()
    for scenario in (scenario for seed in SEEDS for scenario in pressing_scenarios(seed)):
        with SABOTAGE[name]():
            try:
                play(scenario)
            except BrokenInvariantError as error:
                found |= {finding.invariant for finding in error.findings}
        if found & BROKEN[name]:
            break
    return found


@pytest.mark.parametrize("name", SABOTAGE)
def test_a_rule_that_is_broken_on_purpose_is_noticed(name: str) -> None:
    assert invariants_found(name) & BROKEN[name]
