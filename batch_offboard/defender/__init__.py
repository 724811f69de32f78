"""Owns the API and the sign-in: requests, answers, HTTP, tokens. Never writes the journal or decides on a device."""
