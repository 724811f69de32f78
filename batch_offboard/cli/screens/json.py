"""Facts as JSON text."""

from batch_offboard.base.text import safe_json


def dump(facts: object) -> str:
    """JSON for programs that people can read as well."""
    return safe_json(facts, indent=2)
