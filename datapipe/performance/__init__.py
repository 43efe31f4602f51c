"""How fast a build is, measured: `python -m datapipe.performance` writes reports/performance/."""
