"""Owns the durable state of batches, rows, jobs and calls, in one file: `schema` defines legal states, `store` writes,
`writer` writes for many concurrent tasks, `reading` reads, `locks` exclude other processes. Never sends, never asks the
tenant.
"""
