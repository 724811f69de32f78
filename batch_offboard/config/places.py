"""Where the program keeps what it remembers, if nobody says otherwise. Nothing here opens or makes anything."""

from pathlib import Path

import platformdirs


def state_folder() -> Path:
    """The user's folder for what programs remember, as the operating system has it."""
    return platformdirs.user_state_path("batch-offboard", appauthor=False)


def default_journal() -> Path:
    """Where the journal lies if neither an option nor the configuration names one."""
    return state_folder() / "journal.db"


def rehearsal_journal() -> Path:
    """Where rehearsals have a journal of their own."""
    return state_folder() / "rehearsal.db"
