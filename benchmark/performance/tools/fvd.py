"""FVD as the public scripts compute it, of two folders of videos: `GENERATED TRUTH WEIGHTS OUT`.

Windows of 16 frames, one after the other; whole frames brought to 224 x 224, [-1, 1]; I3D's 400 logits; the
matrix square root of scipy, ddof 0 (StyleGAN-V's convention).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray
from torch.nn import functional

from datapipe.media import read_frames

from ..plain_i3d import PlainI3D

NUM_FRAMES, SIDE, BATCH = 16, 224, 8


def main(argv: Sequence[str]) -> None:
    """Take the logits of both folders, then the distance of their Gaussians."""
    generated, truth, weights, out = argv
    network = PlainI3D()
    network.load_state_dict(torch.load(weights, weights_only=True), strict=False)
    network.eval()
    rows = [logits(network, Path(folder)) for folder in (generated, truth)]
    Path(out).write_text(json.dumps({"fvd": distance(*rows)}), encoding="utf-8")


def logits(network: PlainI3D, folder: Path) -> NDArray[np.float64]:
    """One row (400,) for each window of each video."""
    windows = [each for path in sorted(folder.glob("*.mp4")) for each in _windows(read_frames(path))]
    with torch.no_grad():
        rows = [
            network(torch.stack(windows[at : at + BATCH])).numpy() for at in range(0, len(windows), BATCH)
        ]
    return np.concatenate(rows).astype(np.float64)


def _windows(frames_THW3: NDArray[np.uint8]) -> list[torch.Tensor]:
    video = torch.from_numpy(frames_THW3).permute(0, 3, 1, 2).float() / 255 * 2 - 1
    small = functional.interpolate(video, (SIDE, SIDE), mode="bilinear", align_corners=False)
    count = len(small) // NUM_FRAMES
    return list(small[: count * NUM_FRAMES].reshape(count, NUM_FRAMES, 3, SIDE, SIDE).transpose(1, 2))


def distance(first_ND: NDArray[np.float64], second_ND: NDArray[np.float64]) -> float:
    """Fréchet distance of the rows' Gaussians."""
    means = first_ND.mean(0) - second_ND.mean(0)
    first, second = (np.cov(rows, rowvar=False, ddof=0) for rows in (first_ND, second_ND))
    root = scipy.linalg.sqrtm(first @ second)
    return float(means @ means + np.trace(first + second) - 2 * np.trace(root).real)


if __name__ == "__main__":
    main(sys.argv[1:])
