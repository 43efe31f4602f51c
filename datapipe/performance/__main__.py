"""`python -m datapipe.performance`: measure a build's speed and write the figures and their page."""

from __future__ import annotations

import sys

from .backends import measure_backends
from .catalogue import measure_catalogue
from .chain import measure_chain
from .repeat import FULL, QUICK
from .straight import measure_straight
from .suite import Suite, run_suite
from .workers import measure_workers

SUITE = Suite(
    package="datapipe",
    title="How fast a build is",
    measurements={
        "a": measure_straight,
        "b": measure_workers,
        "c": measure_chain,
        "d": measure_catalogue,
        "e": measure_backends,
    },
    full=FULL,
    quick=QUICK,
    packages=("avatarsync", "av", "dask", "numpy", "onnxruntime", "opencv-python-headless", "pyarrow"),
)

if __name__ == "__main__":
    sys.exit(run_suite(SUITE, sys.argv[1:]))
