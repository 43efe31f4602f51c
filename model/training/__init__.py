"""Train the networks of a run."""
