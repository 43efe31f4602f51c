"""Frozen networks that losses look through: who a face is, with a gradient to the picture."""
