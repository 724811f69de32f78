"""Owns the API and the sign-in: requests, responses, HTTP, tokens. Never writes the journal, never decides about a
device."""
