"""`python -m benchmark.performance`: measure an evaluation's speed and write the figures and their page."""

from __future__ import annotations

import sys

from datapipe.performance.suite import Suite, run_suite

from .frechet import measure_frechet
from .growth import measure_memory, measure_time
from .one_pass import measure_one_pass
from .sizes import FULL, QUICK
from .sync_stage import measure_sync_stage

SUITE = Suite(
    package="benchmark",
    title="How fast an evaluation is",
    measurements={
        "a": measure_frechet,
        "b": measure_one_pass,
        "c": measure_sync_stage,
        "d": measure_memory,
        "e": measure_time,
    },
    full=FULL,
    quick=QUICK,
    packages=("avatarsync", "av", "numpy", "onnxruntime", "scipy", "torch", "torchmetrics"),
)

if __name__ == "__main__":
    sys.exit(run_suite(SUITE, sys.argv[1:]))
