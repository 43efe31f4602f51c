"""LPIPS v0.1 with the AlexNet trunk (Zhang et al. 2018), at the size of the ground truth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..footage import Footage
from ..networks import lpips as network
from ..records import protocol
from .metric import Metric, Pair, mean_over_cases, per_case

PIXELS_TO_KEEP = 8_000_000
"""Ground truths with more pixels have their activations made anew for each system."""


def distances(truth: Footage, generated: Footage, every: int) -> NDArray[np.float64]:
    """LPIPS of every `every`-th frame, (n,); the truth's activations are kept for the next system."""
    rows = []
    for index, frames in enumerate(network.batches(generated.frames[::every])):
        tower = _truth_tower(truth, every, index)
        rows.append(network.lpips_distances(tower, network.lpips_tower(frames)))
    return np.concatenate(rows)


def _truth_tower(truth: Footage, every: int, index: int) -> Any:
    name = f"lpips_alex {every} {index}"
    if name in truth.towers:
        return truth.towers[name]
    frames = truth.frames[::every]
    tower = network.lpips_tower(network.batches(frames)[index])
    if frames[..., 0].size <= PIXELS_TO_KEEP:
        truth.towers[name] = tower
    return tower


def metric(every: int) -> Metric:
    """LPIPS over every `every`-th frame."""
    settings = protocol(
        version="0.1",
        trunk="alex",
        input="RGB in [-1, 1]",
        spatial=False,
        every=every,
        mean="frames, then clips",
    )

    def value(pair: Pair) -> float:
        """Mean over the frames of a clip."""
        return float(
            pair.stored("lpips_alex", settings, lambda: distances(pair.truth, pair.generated, every)).mean()
        )

    return Metric(
        name="video/lpips_alex",
        title="LPIPS",
        unit="",
        direction="lower",
        best=0.0,
        protocol=settings,
        weights=(network.ALEX,),
        about="Perceptual distance between frames (AlexNet trunk, 0 is identical).",
        symmetric=True,
        measure=per_case(value),
        compute=mean_over_cases,
    )
