"""The names of batches for a shell that completes them. Loads no database toolkit: the person at the shell waits."""

from batch_offboard.journal.names import newest_names

__all__ = ["newest_names"]
