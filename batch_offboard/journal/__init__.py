"""Owns the durable state of batches, rows, jobs and calls, in one file: `schema` says what is legal, `store` writes,
`writer` writes for many tasks at once, `reading` reads, `locks` keep others out. Never sends, never asks the tenant.
"""
