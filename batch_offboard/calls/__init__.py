"""Owns the order of a call: a batch sent and the tenant read, within the quota. Knows no command, prints nothing."""
