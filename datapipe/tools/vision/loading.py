"""Networks of this environment: each loaded once, from files whose content is the one that was promised.

The packages look for their files under the publisher's names in folders of their own, and would download
what they miss. They are given a folder that holds links to the files that were sent, and nothing else.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from serve import ToolError

CPU = torch.device("cpu")
Weight = Mapping[str, str]
_loaded: dict[tuple[str, ...], Any] = {}


def once(load: Callable[[Path], Any], *weights: Weight) -> Any:
    """Load a network from a folder that holds these weights, the first time that it is asked for."""
    key = (f"{load.__module__}.{load.__qualname__}", *(each["sha256"] for each in weights))
    if key not in _loaded:
        with folder_of(weights) as folder:
            _loaded[key] = load(folder)
    return _loaded[key]


@contextmanager
def folder_of(weights: tuple[Weight, ...]) -> Iterator[Path]:
    """Yield a folder with the checked files under their publishers' names."""
    with tempfile.TemporaryDirectory(prefix="weights.") as name:
        for each in weights:
            check(each)
            (Path(name) / Path(each["file"]).name).symlink_to(each["path"])
        yield Path(name)


def check(weight: Weight) -> None:
    """Refuse a file that is absent or another one, before anything reads it: these packages unpickle."""
    path = Path(weight["path"])
    if not path.is_file():
        raise ToolError("missing_weight", f"{path} (`{weight['name']}`) is not there")
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != weight["sha256"]:
        raise ToolError("bad_weight", f"{path} is not the `{weight['name']}` that was promised; delete it")
