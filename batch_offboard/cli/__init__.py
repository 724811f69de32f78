"""Owns the command line: arguments in, one of the exit codes out; `screens` prints. Decides nothing about a device."""
