"""Networks that score and train alike: LPIPS, with its gradient, and how published weights are read."""
