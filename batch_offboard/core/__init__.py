"""Owns the decisions: about rows, devices, answers, lists, times. Never does I/O; the time is passed in."""
