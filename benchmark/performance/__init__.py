"""How fast an evaluation is, measured: `python -m benchmark.performance` writes reports/performance/."""
