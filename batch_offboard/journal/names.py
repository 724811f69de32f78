"""The batch IDs in a journal, for shell completion: read-only and fast.

The journal's other modules load the database toolkit, which takes too long after a press of the Tab key.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

PATIENCE = 0.2  # seconds that a shell waits for a journal that is being written to

_NEWEST = """
SELECT name, replace(state, 'held', 'stopped') || ', ' || source_name FROM batches
WHERE state <> 'planning' AND substr(name, 1, length(?1)) = ?1
ORDER BY id DESC LIMIT ?2
"""


def newest_names(journal: Path, begin: str, limit: int) -> list[tuple[str, str]]:
    """The newest batches whose ID begins with this text, each with its state and sheet; empty if the journal cannot be
    read."""
    try:
        address = f"{journal.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=PATIENCE)) as connection:
            return list(connection.execute(_NEWEST, (begin, limit)))
    except (sqlite3.Error, OSError, ValueError):
        return []
