"""Plays one seed's story, whichever its scenario asks for."""

from tests.simulation.inspection import BrokenInvariantError
from tests.simulation.nights import Nights
from tests.simulation.scenario import Scenario
from tests.simulation.story import Story, Told, tell


def play(scenario: Scenario) -> Told:
    """Play the scenario to its end; BrokenInvariantError says what does not hold, and how to see it again."""
    try:
        return tell(scenario, Nights if scenario.nights else Story)
    except AssertionError as error:
        again = f"To see it again: python -m tests.simulation {scenario.again}"
        raise BrokenInvariantError(f"{error}\n{again}", getattr(error, "findings", ())) from error
