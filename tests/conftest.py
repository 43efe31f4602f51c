"""One thread a test: torch and onnxruntime on all cores fight each other and slow every test down."""

import os

import pytest

from datapipe.tools.home import state_of
from datapipe.tools.registry import lookup

os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["scripted", "speaking"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what is marked `tools("vision")` where that environment is not created, and say how to."""
    names = [name for marker in item.iter_markers("tools") for name in marker.args]
    for name in names:
        if (state := state_of(lookup(name))) != "ready":
            pytest.skip(
                f"the tool environment `{name}` is {state}; `avatarsync tools create {name}` makes it"
            )
