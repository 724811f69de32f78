"""Owns what a row, a device, an answer, a list, a moment means. Never does I/O; the time is passed in."""
