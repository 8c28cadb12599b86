"""Measures the program against a flat one that creates the same objects: ``python -m tests.bench``."""
