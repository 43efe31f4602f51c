"""Teacher-forced keyframes: single pictures, each made from the true past, beside the true frames.

A system that makes keyframes writes them beside its videos as `KEY.keyframes/NNNNNN.png`, named by the index
of the frame at 25 fps. They are never mixed with the free-running video's metrics.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from datapipe.records import Rejected

from .footage import Footage
from .metrics import Pair
from .records import Case, System


def keyframe_pair(case: Case, truth: Footage, system: System) -> Pair | Rejected:
    """The keyframes of a system beside the true frames of the same indices; why not, when it has none."""
    try:
        indices, pictures = read_keyframes(system.folder / f"{case.key}.keyframes", case.key, truth.frames)
    except Rejected as rejected:
        return rejected
    digest = hashlib.sha256(pictures.tobytes()).hexdigest()
    name = f"keyframes {','.join(map(str, indices))}"
    generated = Footage(digest, pictures, truth.store)
    true = replace(truth.changed(name, truth.frames[indices]), audio=None, sound="")
    return Pair(key=case.key, truth=true, generated=generated)


def read_keyframes(
    folder: Path, key: str, truth_THW3: NDArray[np.uint8]
) -> tuple[list[int], NDArray[np.uint8]]:
    """Indices in rising order, pictures (K, H, W, 3); raises `Rejected` for none, or one that is wrong."""
    files = sorted(folder.glob("*.png")) if folder.is_dir() else []
    if not files:
        raise Rejected(
            "missing_file", f"{key}: there are no keyframes; the system writes them to {key}.keyframes/"
        )
    indices = [int(file.stem) if file.stem.isascii() and file.stem.isdigit() else -1 for file in files]
    if not all(0 <= index < len(truth_THW3) for index in indices):
        raise Rejected(
            "bad_input", f"{key}: keyframes are named by frame, 000000.png to {len(truth_THW3) - 1:06d}.png"
        )
    return indices, np.stack([_picture(file, truth_THW3.shape[1:3]) for file in files])


def _picture(file: Path, size_HW: tuple[int, ...]) -> NDArray[np.uint8]:
    loaded = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if loaded is None or loaded.shape[:2] != size_HW:
        what = "no picture" if loaded is None else f"{loaded.shape[1]}x{loaded.shape[0]}"
        raise Rejected("bad_input", f"{file.name}: {what}; write PNGs of {size_HW[1]}x{size_HW[0]}")
    picture: NDArray[np.uint8] = cv2.cvtColor(loaded, cv2.COLOR_BGR2RGB).astype(np.uint8)
    return picture
