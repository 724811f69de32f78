"""Owns unattended runs: the nightly inbox, and the schedulers that start it. Never sends by itself."""
