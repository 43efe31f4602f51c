"""Systems under test: a folder of videos, a command, a Python callable, or a ready adapter."""
