"""Checkpoints for other programs: read without running anything, kept as a file that holds tensors alone.

The published files are pickles, and the old torch of a tool environment runs whatever a pickle says. So
this process reads them with torch's restricted unpickler and writes them again: only such copies are loaded
there. Numbers, names and nesting stay; what is no tensor (training notes, data set facts) is left out.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .files import hash_once, publish
from .networks.arrays import LOADING
from .records import Rejected
from .weights import cache_dir, content_of, resolve

Tree = dict[str, Any]
MAKERS: tuple[Any, ...] = (np.empty(0).__reduce__()[0], np.float64(0).__reduce__()[0])
ARRAY_NAMES: list[Any] = [
    *MAKERS,
    *((maker, f"numpy.core.multiarray.{maker.__name__}") for maker in MAKERS),  # as numpy 1 wrote them
    np.ndarray,
    np.dtype,
    *(type(np.dtype(each)) for each in ("f4", "f8", "i4", "i8", "u1", "b1")),
]
"""What numpy's arrays and numbers are made of: facts about a data set hold some, and they run nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A copy that is safe to load, as it is told to a tool's worker."""

    name: str
    """In the weights registry."""
    file: str
    """What its publisher calls it: some packages find their files by name only."""
    path: Path
    sha256: str
    """Of the copy."""

    @property
    def told(self) -> dict[str, str]:
        """As values of a message."""
        return {"name": self.name, "file": self.file, "path": str(self.path), "sha256": self.sha256}


def plain_checkpoint(name: str, file: str = "", change: Callable[[Path], Tree] | None = None) -> Checkpoint:
    """Give the safe copy of a registry weight, made once; `change` reads the original into another layout.

    Raises `Rejected`: missing_weight, bad_weight (not the registry's content, or more than tensors in it).
    """
    source = resolve(name)
    file = file or source.name
    target = cache_dir() / "plain" / content_of(name)[:16] / file
    with LOADING:
        if not target.exists():
            tree = (change or read_tensors)(source)
            with publish(target) as temporary:
                torch.save(tree, temporary)
    return Checkpoint(name=name, file=file, path=target.absolute(), sha256=hash_once(target))


def read_tensors(path: Path) -> Tree:
    """Read the tensors of a torch checkpoint, nested as they are; nothing that the file names is run.

    Raises `Rejected("bad_weight")` when it cannot be read so.
    """
    try:
        with torch.serialization.safe_globals(ARRAY_NAMES):
            tree = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise Rejected("bad_weight", f"{path} is no checkpoint of tensors alone; get it again") from error
    kept = _tensors(tree) if isinstance(tree, Mapping) else {}
    if not kept:
        raise Rejected("bad_weight", f"{path} holds no tensors by name; get it again")
    return kept


def _tensors(tree: Any) -> Tree:
    """Drop what is neither tensor nor a mapping with tensors; a state dict's version notes stay with it."""
    kept = {name: value for name, value in tree.items() if isinstance(value, Tensor)}
    below = {name: _tensors(value) for name, value in tree.items() if isinstance(value, Mapping)}
    result = copy(tree)
    result.clear()
    result.update(kept | {name: value for name, value in below.items() if value})
    ordered: Tree = result
    return ordered
