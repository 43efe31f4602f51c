"""EARTalking and JoyAvatar on a run's own latents: trained from shards, and systems of the benchmark."""
