"""Score talking-head videos against ground truth and show the result; read `evaluate.py` first."""
