"""Published weights that come as pickles of numpy arrays: read without running anything, then kept safely."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, cast

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..files import publish
from ..records import Rejected
from ..weights import lookup, resolve

ARRAY_PARTS = {("numpy", "ndarray"), ("numpy", "dtype"), ("numpy.core.multiarray", "_reconstruct")}


LOADING = Lock()
"""Held while a network is loaded: of several threads that need it first, one loads it."""


def converted(name: str, to_torch: Callable[[Path], dict[str, Tensor]]) -> dict[str, Tensor]:
    """Tensors of a registry weight, made once by `to_torch` from its file and then read from safetensors."""
    with LOADING:
        return _converted(name, to_torch)


@cache
def _converted(name: str, to_torch: Callable[[Path], dict[str, Tensor]]) -> dict[str, Tensor]:
    source = resolve(name)
    target = source.with_name(f"{source.stem}.{lookup(name).sha256[:12]}.safetensors")
    if not target.exists():
        with publish(target) as temporary:
            safetensors.torch.save_file(to_torch(source), temporary)
    with torch.inference_mode(False):  # whoever comes first may only look; a later one takes gradients
        return safetensors.torch.load_file(target)


def flattened(tree: dict[str, Any], above: str = "") -> dict[str, NDArray[Any]]:
    """Arrays of nested dictionaries by path, names joined by `/`."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, value in tree.items():
        path = f"{above}{name}"
        arrays.update(flattened(value, f"{path}/") if isinstance(value, dict) else {path: value})
    return arrays


class _ArrayUnpickler(pickle.Unpickler):
    """Reads dictionaries of numpy arrays and nothing else: any other name in the file is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """Look up one of the three names that arrays are made of."""
        if (module, name) not in ARRAY_PARTS:
            raise Rejected("bad_weight", f"a weight file names {module}.{name}; only arrays are accepted")
        if name == "_reconstruct":
            return np.empty(0).__reduce__()[0]
        return getattr(np, name)


def read_array_pickle(path: Path) -> dict[str, Any]:
    """Read nested dictionaries of numpy arrays; `Rejected("bad_weight")` when a file holds anything else."""
    with path.open("rb") as stream:
        try:
            tree = _ArrayUnpickler(stream).load()
        except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise Rejected(
                "bad_weight", f"{path.name} is no pickle of numpy arrays; delete it and retry"
            ) from error
    return cast(dict[str, Any], tree)
