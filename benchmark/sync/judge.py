"""A network that judges lips against sound, with all that a score of it depends on."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datapipe.files import sha256_of
from datapipe.records import Rejected, read_record
from datapipe.weights import cache_dir

from .distances import Edges, Pictures, Region
from .syncnet import (
    HOW_TO_GET,
    PUBLISHED_BLOB,
    FastSyncNet,
    SyncNetConfig,
    fast,
    git_blob_sha1,
    load_syncnet,
)

PUBLISHED = "syncnet_v2"
"""Name of the published network; its file is PUBLISHED.model."""
WEIGHTS, CONFIG = "syncnet.safetensors", "config.json"
"""Files of a judge of one's own; the second is written last."""
BATCH = 16
"""Windows that the networks take at a time."""
SCHEMA = "avatarsync-sync/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeRecord:
    """What `config.json` of a trained judge says."""

    network: SyncNetConfig
    region: Region
    unit: bool
    """Whether vectors are divided by their lengths before they are compared."""
    edges: Edges
    languages: tuple[str, ...]
    """Of the clips it was trained on."""
    num_train_clips: int
    num_heldout_clips: int
    heldout_split: str
    within_one_frame: float | None
    """Share of planted offsets found within one frame on held-out clips; None when none were held out."""
    data: str
    """sha256 over the shards it was trained on."""
    weights: str
    """sha256 of the weights."""
    seed: int
    steps: int
    training: dict[str, float] = field(default_factory=dict)
    """All other settings of the training."""
    schema: str = SCHEMA


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judge:
    """A loaded network, and how it is used."""

    name: str
    """`syncnet_v2`, `syncnet_` and a hash for other weights of its layout, else the folder's name."""
    network: FastSyncNet
    region: Region = field(default_factory=Region)
    unit: bool = False
    edges: Edges = "zeros"
    weights: str
    """sha256 of the file."""
    languages: tuple[str, ...] = ("en",)

    @property
    def side(self) -> int:
        """Pixels of the pictures it takes."""
        return self.network.config.side

    def lips(self, windows_N5SS3: Pictures) -> NDArray[np.float32]:
        """Vectors (N, dim) of windows of five pictures."""
        return self._scaled(self.network.lips(windows_N5SS3))

    def sound(self, windows_NFT: NDArray[np.float32]) -> NDArray[np.float32]:
        """Vectors (N, dim) of windows of cepstra."""
        return self._scaled(self.network.sound(windows_NFT))

    def _scaled(self, rows_ND: NDArray[np.float32]) -> NDArray[np.float32]:
        if not self.unit:
            return rows_ND
        lengths = np.linalg.norm(rows_ND, axis=1, keepdims=True)
        return np.asarray(rows_ND / np.maximum(lengths, 1e-12), np.float32)


def in_batches(run: Any, windows: NDArray[Any], batch: int = BATCH) -> NDArray[np.float32]:
    """Rows of all windows, a batch at a time."""
    starts = range(0, len(windows), batch)
    return np.concatenate([run(np.array(windows[start : start + batch])) for start in starts])


def placed_judge() -> Path | None:
    """The published file, where a user placed it among the weights; no registry carries it."""
    placed = os.environ.get("AVATARSYNC_WEIGHTS")
    folders = [Path(placed), cache_dir()] if placed else [cache_dir()]
    paths = (folder / f"{PUBLISHED}.model" for folder in folders)
    return next((path for path in paths if path.is_file()), None)


@cache
def load_judge(path: Path) -> Judge:
    """Load the published SyncNet (a file) or one's own (the folder that `train-sync` wrote).

    Raises `Rejected`: missing_weight, bad_weight, or bad_input for a folder that is no judge.
    """
    return _own(path) if path.is_dir() else _published(path)


def _published(path: Path) -> Judge:
    network = fast(load_syncnet(path))
    weights = sha256_of(path)
    name = PUBLISHED if git_blob_sha1(path) == PUBLISHED_BLOB else f"syncnet_{weights[:8]}"
    return Judge(name=name, network=network, weights=weights)


def _own(folder: Path) -> Judge:
    if not (folder / CONFIG).is_file():
        raise Rejected("missing_weight", f"{folder} holds no {CONFIG}, so no judge; {HOW_TO_GET}")
    record = read_record(folder / CONFIG, JudgeRecord, "train it again with `avatarsync bench train-sync`")
    return make_judge(folder, record)


def make_judge(folder: Path, record: JudgeRecord) -> Judge:
    """Load a judge of one's own by its record; `Rejected("bad_weight")` when the weights are not its own."""
    weights = folder / WEIGHTS
    if weights.is_file() and sha256_of(weights) != record.weights:
        raise Rejected("bad_weight", f"{weights} is not what {CONFIG} names; train the judge again")
    return Judge(
        name=_own_name(folder),
        network=fast(load_syncnet(weights, record.network)),
        region=record.region,
        unit=record.unit,
        edges=record.edges,
        weights=record.weights,
        languages=record.languages,
    )


def _own_name(folder: Path) -> str:
    """The folder's name in letters and digits; only networks of the published layout are called syncnet."""
    name = re.sub(r"[^a-z0-9]+", "_", folder.resolve().name.lower()).strip("_") or "own"
    return f"own_{name}" if name.startswith("syncnet") else name
