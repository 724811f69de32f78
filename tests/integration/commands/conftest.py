"""An office in which whole commands run in-process."""

from tests.integration.commands.guards.conftest import make_office

__all__ = ["make_office"]
