"""How long the fuzzing lasts: a bounded part, the same each time, or as long as `python3 tasks.py fuzz` is asked to."""

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("OFFBOARD_FUZZ_EXAMPLES", "0"))


def effort(bounded: int) -> settings:
    """So many examples, always the same ones; with OFFBOARD_FUZZ_EXAMPLES so many of any kind."""
    return settings(
        settings.get_profile("project"),
        max_examples=EXAMPLES or bounded,
        derandomize=not EXAMPLES,
        database=None,
        print_blob=bool(EXAMPLES),
        suppress_health_check=list(HealthCheck),
    )
