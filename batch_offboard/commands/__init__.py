"""Owns one module for each thing a person can ask for: values in, views out. Never prints, never asks a person."""
