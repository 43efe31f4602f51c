"""EARTalking (arXiv 2603.20307): frame after frame from sound, under a sink and a sliding window."""
