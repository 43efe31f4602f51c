"""`python -m model.performance`: measure the generator's speed and write the figures and their page."""

from __future__ import annotations

import sys

from datapipe.performance.suite import Suite, run_suite

from .accelerator import measure_accelerator
from .cost import measure_cost
from .decoding import measure_decoding
from .film import measure_film
from .growth import measure_growth
from .pairs import measure_pairs
from .scan import measure_scan
from .sizes import FULL, QUICK

SUITE = Suite(
    package="model",
    title="How fast the generator is",
    measurements={
        "a": measure_decoding,
        "b": measure_growth,
        "c": measure_scan,
        "d": measure_film,
        "e": measure_pairs,
        "f": measure_cost,
        "g": measure_accelerator,
    },
    full=FULL,
    quick=QUICK,
    packages=("avatarsync", "av", "mambapy", "numpy", "onnxruntime", "torch", "transformers"),
)

if __name__ == "__main__":
    sys.exit(run_suite(SUITE, sys.argv[1:]))
