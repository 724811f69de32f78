"""Owns one module for each command: values in, views out. Never prints, never asks a person."""
