"""Published and closed-form values that the metrics must reproduce."""
