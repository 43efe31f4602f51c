"""Sound or text to phonemes with times."""
