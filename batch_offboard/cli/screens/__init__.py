"""Owns what the commands print: text for people, JSON for programs. Asks nothing of journal or tenant."""
