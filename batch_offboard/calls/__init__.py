"""Owns the order of a call: sending a batch, reading the tenant, within the quota. Knows no command, never prints."""
