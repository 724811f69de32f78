"""Owns the command line: arguments in, an exit code out; `screens` prints. Decides nothing about a device."""
