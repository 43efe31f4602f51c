"""Submissions: a run packed for another person's board, checked before it is merged there."""
