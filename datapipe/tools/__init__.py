"""Packages that cannot share our environment: each stack in its own, asked through a worker process."""
