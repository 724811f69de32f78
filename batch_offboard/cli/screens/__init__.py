"""Owns what the commands print: text for people, JSON for programs. Never reads the journal or the tenant."""
