"""One thread a test: torch and onnxruntime on all cores fight each other and slow every test down."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["scripted"]
