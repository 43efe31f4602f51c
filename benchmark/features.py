"""One decode feeds every extractor: a video's frames, and what networks see in them, kept by content.

Features are stored under the sha256 of (video bytes, size it was brought to, extractor and its settings), so
a second evaluation of the same video costs nothing, and another extractor never finds a stale row.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datapipe import faces
from datapipe.files import publish, sha256_of
from datapipe.media import read_frames
from datapipe.weights import lookup

INCEPTION, ALEX, DETECTOR = "fid-inception", "lpips-alex", "scrfd-500m"
LANDMARKS, IDENTITY = "2d106det", "w600k-mbf"
"""Names in the weights registry."""
Array = NDArray[Any]
DETECT_EVERY = 10
"""Faces are detected in every tenth frame; landmarks in between use the nearest detection's box."""
PIXELS_TO_KEEP = 8_000_000
"""Ground truths with more pixels have their LPIPS activations made anew for each system."""


@dataclass(frozen=True, slots=True)
class Store:
    """Where features are kept between runs; a `folder` of None keeps nothing."""

    folder: Path | None = None
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    """Seconds spent per stage, over all workers."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: str, stage: str, make: Callable[[], Array]) -> Array:
        """Return the array stored under `key`, making and storing it when it is not there or not readable."""
        path = self.folder / key[:2] / f"{key}.npy" if self.folder else None
        if path and path.exists():
            try:
                return np.load(path, allow_pickle=False)  # type: ignore[no-any-return]
            except (ValueError, EOFError, OSError):
                path.unlink(missing_ok=True)  # half a file from a full disk: make it again
        array = self.timed(stage, make)
        if path:
            with publish(path) as temporary, temporary.open("wb") as out:
                np.save(out, array, allow_pickle=False)
        return array

    def timed(self, stage: str, make: Callable[[], Array]) -> Array:
        """Run `make` and add its seconds to the stage."""
        began = time.perf_counter()
        result = make()
        with self.lock:
            self.seconds[stage] += time.perf_counter() - began
        return result


@dataclass(frozen=True, slots=True)
class Footage:
    """A decoded video: frames (T, H, W, 3) uint8 RGB at 25 fps, and the hash of the file it came from."""

    sha256: str
    frames: NDArray[np.uint8]
    store: Store
    towers: dict[tuple[int, int], Any] = field(default_factory=dict)
    """LPIPS activations by stride and batch: kept in memory while the case lasts, too large for the disk."""

    @property
    def identity(self) -> str:
        """Content and the shape it was brought to: resized and trimmed copies are other footage."""
        return f"{self.sha256}:{'x'.join(map(str, self.frames.shape))}"

    def feature(
        self, name: str, every: int, extract: Callable[[Footage, int], Array], settings: str
    ) -> Array:
        """Rows of an extractor for every `every`-th frame, from the store when it has them."""
        return self.store.get(
            key_of(self.identity, name, str(every), settings), name, lambda: extract(self, every)
        )


def key_of(*parts: str) -> str:
    """Hash of all that a stored array depends on."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def open_footage(path: Path, store: Store) -> Footage:
    """Decode a video once; raises what `datapipe.media.read_frames` raises."""
    frames = store.timed("decode", lambda: read_frames(path))
    return Footage(sha256_of(path), frames, store)


def inception(footage: Footage, every: int) -> NDArray[np.float32]:
    """FID features (n, 2048)."""
    return footage.feature("inception", every, _inception, lookup(INCEPTION).sha256)


def detections(footage: Footage) -> NDArray[np.float32]:
    """Largest face of every tenth frame, (n, 15): box, score, five points; NaN where there is none."""
    return footage.feature("faces", DETECT_EVERY, _detections, lookup(DETECTOR).sha256)


def landmarks(footage: Footage, every: int) -> NDArray[np.float32]:
    """Landmarks (n, 106, 2) of every `every`-th frame; NaN where no face is near."""
    return footage.feature("landmarks", every, _landmarks, lookup(LANDMARKS).sha256)


def embeddings(footage: Footage) -> NDArray[np.float32]:
    """Unit ArcFace vectors (n, 512) of the frames in which faces were detected; NaN where there is none."""
    return footage.feature("identity", DETECT_EVERY, _embeddings, lookup(IDENTITY).sha256)


def lpips(truth: Footage, generated: Footage, every: int) -> NDArray[np.float64]:
    """LPIPS of every `every`-th frame, (n,); the truth's activations are kept for the next system."""
    from . import networks

    rows = []
    for index, frames in enumerate(networks.batches(generated.frames[::every])):
        rows.append(networks.lpips_distances(_truth_tower(truth, every, index), networks.lpips_tower(frames)))
    return np.concatenate(rows)


def _truth_tower(truth: Footage, every: int, index: int) -> Any:
    if (every, index) in truth.towers:
        return truth.towers[every, index]
    from . import networks

    frames = truth.frames[::every]
    tower = networks.lpips_tower(networks.batches(frames)[index])
    if frames[..., 0].size <= PIXELS_TO_KEEP:
        truth.towers[every, index] = tower
    return tower


def _inception(footage: Footage, every: int) -> Array:
    from .networks import inception_features

    return inception_features(footage.frames[::every])


def _detections(footage: Footage, every: int) -> Array:
    rows = np.full((len(footage.frames[::every]), 15), np.nan, np.float32)
    for row, frame in zip(rows, footage.frames[::every], strict=True):
        found = faces.detect(frame)
        if found:
            row[:] = [*found[0].box, found[0].score, *np.ravel(found[0].points_52)]
    return rows


def _landmarks(footage: Footage, every: int) -> Array:
    rows = np.full((len(footage.frames[::every]), 106, 2), np.nan, np.float32)
    found = detections(footage)
    for number, frame in enumerate(footage.frames[::every]):
        face = found[min(round(number * every / DETECT_EVERY), len(found) - 1)]
        if np.isfinite(face).all():
            rows[number] = faces.landmarks(frame, _face(face))
    return rows


def _embeddings(footage: Footage, every: int) -> Array:
    rows = np.full((len(footage.frames[::every]), 512), np.nan, np.float32)
    for row, frame, face in zip(rows, footage.frames[::every], detections(footage), strict=True):
        if np.isfinite(face).all():
            row[:] = faces.embed(frame, _face(face))
    return rows


def _face(row_15: NDArray[np.float32]) -> faces.Face:
    x0, y0, x1, y1, score = (float(value) for value in row_15[:5])
    return faces.Face(box=(x0, y0, x1, y1), score=score, points_52=row_15[5:].reshape(5, 2))
