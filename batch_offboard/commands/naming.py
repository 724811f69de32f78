"""Batch IDs for shell completion. Does not load the database toolkit: the person at the shell waits."""

from batch_offboard.journal.names import newest_names

__all__ = ["newest_names"]
