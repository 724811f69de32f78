"""Owns runs that nobody watches: the inbox at night, and the schedulers that start them. Never sends by itself."""
