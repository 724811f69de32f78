"""Where the program keeps its files unless an option or the configuration names another path."""

import os
import tempfile
from pathlib import Path

import platformdirs

from batch_offboard.base.errors import BusyError


def state_folder() -> Path:
    """The user's folder for application data, by the operating system's convention."""
    return platformdirs.user_state_path("batch-offboard", appauthor=False)


def default_journal() -> Path:
    """The journal's path if neither an option nor the configuration names one."""
    return state_folder() / "journal.db"


def rehearsal_journal() -> Path:
    """The path of the separate journal of rehearsals."""
    return state_folder() / "rehearsal.db"


def lock_folder() -> Path:
    """The folder of the locks of all journals, created if missing: beside the journals, or in the system's folder for
    temporary files. Raises BusyError if neither is writable."""
    for folder in (state_folder() / "locks", Path(tempfile.gettempdir()) / "batch-offboard-locks"):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise BusyError(
        "No folder for the lock can be written, neither the user's nor the system's for temporary files; "
        "make one of them writable."
    )
